"""The `shared_memory` catalog: large values are written once to shared memory and mapped by their readers."""

from __future__ import annotations

from kernel_shared_memory.catalog import SharedMemoryCatalog

__all__ = ["SharedMemoryCatalog"]
