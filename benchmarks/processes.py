"""Which processes belong to a contender, and what memory they use together, from `/proc`."""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")


def table():
    """Return the parent and the session of each process, by pid."""
    found = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if words[0] != "Z":
                found[int(entry.name)] = int(words[1]), int(words[3])
    return found


def of_session(leader):
    """Return the pids of a session, and of all that descend from it into sessions of their own."""
    processes = table()
    found = {pid for pid, (_, session) in processes.items() if session == leader}
    grown = True
    while grown:
        children = {pid for pid, (parent, _) in processes.items() if parent in found}
        grown = not children <= found
        found |= children
    return found


def proportional_bytes(pids):
    """Return the sum of the processes' proportional set sizes: a page that several map counts once in all."""
    total = 0
    for pid in pids:
        try:
            lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
    return total
