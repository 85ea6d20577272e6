"""The system calls of this platform: how blocks are mapped, memory is given back, a process is known to be gone."""

from __future__ import annotations

import sys

if sys.platform == "linux":
    from kernel_shared_memory.linux import is_gone, map_private, map_shared, punch
else:
    from kernel_shared_memory.posix import is_gone, map_private, map_shared, punch

__all__ = ["is_gone", "map_private", "map_shared", "punch"]
