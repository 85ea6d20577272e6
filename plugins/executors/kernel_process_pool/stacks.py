"""Where a node stands that does not come back: each worker can write its stacks to a file when the runner asks it to.

The file is one without a name, shared by all workers of a pool, which append to it. A worker writes in a signal
handler in C, so it answers even while its interpreter is held by a library; it is asked by a signal that hardly
anybody uses. Nothing of this costs a worker anything until it is asked.
"""

from __future__ import annotations

import fcntl
import os
import signal

from kernel_process_pool.anonymous import open_anonymous

__all__ = ["SIGNAL", "Stacks", "answer"]

#: What a worker is asked by: a real-time signal where there are any.
SIGNAL: int = signal.SIGRTMAX - 4 if hasattr(signal, "SIGRTMAX") else signal.SIGUSR2


def answer(stacks: int) -> None:
    """Have this process append the stacks of all its threads to this file whenever `SIGNAL` comes (worker)."""
    import faulthandler  # noqa: PLC0415 - the runner's side has no use for it

    faulthandler.register(SIGNAL, file=stacks, all_threads=True, chain=False)


class Stacks:
    """The file, as the runner has it. One worker is asked at a time."""

    def __init__(self) -> None:
        self.fd = open_anonymous("stacks")
        fcntl.fcntl(self.fd, fcntl.F_SETFL, fcntl.fcntl(self.fd, fcntl.F_GETFL) | os.O_APPEND)

    def clear(self) -> None:
        """Forget what was written so far."""
        os.ftruncate(self.fd, 0)

    def read(self) -> str:
        """Return what has been written since it was cleared."""
        return os.pread(self.fd, os.fstat(self.fd).st_size, 0).decode(errors="replace")

    def close(self) -> None:
        """Give the file back."""
        os.close(self.fd)
