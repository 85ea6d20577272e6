"""The `objects` catalog: large values are objects in any place that fsspec knows; a run that failed leaves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernel_objects.catalog import ObjectsCatalog

__all__ = ["ObjectsCatalog"]


def __getattr__(name: str) -> Any:
    if name != "ObjectsCatalog":
        raise AttributeError(f"module 'kernel_objects' has no attribute {name!r}")
    # Workers, which need the store alone, do not pay for the runner's half.
    from kernel_objects.catalog import ObjectsCatalog  # noqa: PLC0415 - as said

    return ObjectsCatalog
