"""Files without a name, which processes share by their descriptors."""

from __future__ import annotations

import os

from kernel.errors import KernelError

__all__ = ["open_anonymous"]


def open_anonymous(name: str, size: int = 0) -> int:
    """Return the descriptor of a file of this size (bytes), closed on exec; raises KernelError where none can be had.

    It is in memory where the system gives such files (Linux, if a container's rules do not refuse the call), else in
    the folder for temporary files.
    """
    try:
        fd = os.memfd_create(f"kernel-{name}", os.MFD_CLOEXEC)
    except (AttributeError, OSError):
        fd = _on_disk()
    os.ftruncate(fd, size)
    return fd


def _on_disk() -> int:
    import tempfile  # noqa: PLC0415 - nearly all systems give such files

    try:
        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())
    except OSError as error:
        raise KernelError(
            f"workers and runner need a small file that they share, and this system gives none: memfd_create is "
            f"refused, and {error.filename or 'the folder for temporary files'} cannot be used ({error.strerror}). "
            f"Set TMPDIR to a folder that can be written to, or use the executor 'threads'"
        ) from error
