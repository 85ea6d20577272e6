"""The name under which catalogs of others and datasets of others know `kernel.values.pickling` and `by_value`."""

from __future__ import annotations

from kernel.values.by_value import by_value, pickler
from kernel.values.pickling import PLAIN, Dumped, Inline, dump, load, load_inline, prepare

__all__ = ["PLAIN", "Dumped", "Inline", "by_value", "dump", "load", "load_inline", "pickler", "prepare"]
