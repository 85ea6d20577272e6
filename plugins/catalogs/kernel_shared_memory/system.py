"""The system calls of this platform: how blocks are mapped, and how memory is given back."""

from __future__ import annotations

import sys

if sys.platform == "linux":
    from kernel_shared_memory.linux import map_shared, punch
    from kernel_shared_memory.mappings import Mappings
else:
    from kernel_shared_memory.posix import Mappings, map_shared, punch

__all__ = ["Mappings", "map_shared", "punch"]
