"""Where values go for which there is no memory: files in a folder, mapped as all others are."""

from __future__ import annotations

import contextlib
import fcntl
import os

from kernel.processes import Home

__all__ = ["OWNER", "Spill"]

#: The file in a run's folder that its owner, or owners, have locked.
OWNER = "owner"

_TRIES = 10


class Spill:
    """The folder `path` of a run, mode 0700. It is made when a process first needs it, and removed by the runner's.

    Each process that uses it holds a shared lock on its owner file: a folder that can be locked alone is nobody's.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock: int | None = None
        self._home = Home()

    def join(self) -> None:
        """Make the folder if need be, and keep it from being swept while this process lives; raises `OSError`."""
        if self._lock is not None:
            return
        for _ in range(_TRIES):  # another run may be sweeping a folder that was just made
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.path, 0o700)  # noqa: PTH102 - paths are strings here: they travel to workers
            owner = os.path.join(self.path, OWNER)  # noqa: PTH118 - as above
            try:
                lock = os.open(owner, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue
            fcntl.flock(lock, fcntl.LOCK_SH)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(owner), os.fstat(lock)):  # noqa: PTH116 - as above
                    self._lock = lock
                    return
            os.close(lock)
        raise OSError(f"{self.path} is swept again and again")

    def file(self, number: int) -> str:
        """Return the path of the file of the process in slot `number`."""
        return os.path.join(self.path, f"arena-{number}")  # noqa: PTH118 - as above

    def leave(self) -> None:
        """Let go of the folder; not in a process that was forked off."""
        if self._lock is not None and self._home.is_here:
            os.close(self._lock)
            self._lock = None

    def remove(self) -> None:
        """Remove the folder, if anybody made it; the mappings of processes stay valid until they end."""
        if self._home.is_here and os.path.exists(self.path):  # noqa: PTH110 - as above
            import shutil  # noqa: PLC0415 - for the runner's process, and seldom needed

            shutil.rmtree(self.path, ignore_errors=True)
            self.leave()
