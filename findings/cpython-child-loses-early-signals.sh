#!/usr/bin/env bash
# CPython 3.11 to 3.13: where a process has a Python handler for SIGTERM, a child that it forks loses a SIGTERM that comes
# before the child's first instruction: neither does the handler run there, nor does the child end. Without a handler the
# child dies of it. `multiprocessing.Process.terminate()` right after `start()` so has no effect, and `join()` waits for
# the child's own end. Blocking the signal around the fork, until the child has the handler that it is to have, helps.
# Seen (3.11.7, 3.12.1, 3.13.0): of 100 children, 76 to 95 go on to their end when there is a handler, none when there is none, none
# when the signal is blocked around the fork.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" - <<'PYTHON'
import multiprocessing
import os
import platform
import signal
import time

TRIES = 100


def lost():
    """Count the children that a signal sent at once did not end."""
    context = multiprocessing.get_context("fork")
    count = 0
    for _ in range(TRIES):
        child = context.Process(target=time.sleep, args=(0.2,))
        child.start()
        child.terminate()
        child.join()
        count += child.exitcode == 0
    return count


signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
with_handler = lost()
masks = []
os.register_at_fork(
    before=lambda: masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])),
    after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, masks.pop()),
    after_in_child=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, masks.pop()),
)
blocked = lost()
signal.signal(signal.SIGTERM, signal.SIG_DFL)
without = lost()
print(f"CPython {platform.python_version()}: of {TRIES} signals, lost with a handler {with_handler}, "
      f"blocked around the fork {blocked}, without a handler {without}")
if with_handler == 0 or blocked or without:
    raise SystemExit("a child gets what comes early, or loses it in other cases, now")
PYTHON
