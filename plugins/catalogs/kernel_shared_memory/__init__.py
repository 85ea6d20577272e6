"""The `shared_memory` catalog: large values are written once to shared memory and mapped by their readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernel_shared_memory.catalog import SharedMemoryCatalog

__all__ = ["SharedMemoryCatalog"]


def __getattr__(name: str) -> Any:
    if name != "SharedMemoryCatalog":
        raise AttributeError(f"module 'kernel_shared_memory' has no attribute {name!r}")
    # Workers, which need the store alone, do not pay for the runner's half.
    from kernel_shared_memory.catalog import SharedMemoryCatalog  # noqa: PLC0415 - as said

    return SharedMemoryCatalog
