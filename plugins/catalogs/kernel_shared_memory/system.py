"""The system calls of this platform: how blocks are mapped, memory is given back, a process is known to be gone."""

from __future__ import annotations

import sys

if sys.platform == "linux":
    from kernel_shared_memory.linux import is_gone, map_shared, punch
    from kernel_shared_memory.mappings import Mappings
else:
    from kernel_shared_memory.posix import Mappings, is_gone, map_shared, punch

__all__ = ["Mappings", "is_gone", "map_shared", "punch"]
