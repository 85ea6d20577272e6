"""The `memory` catalog: a value travels inside its handle, by reference to threads, pickled to processes."""

from __future__ import annotations

from kernel_memory.catalog import MemoryCatalog

__all__ = ["MemoryCatalog"]
