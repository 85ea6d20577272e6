"""The name under which catalogs of others know `kernel.values.pickling`."""

from __future__ import annotations

from kernel.values.pickling import PLAIN, Dumped, Inline, by_value, dump, load, load_inline, prepare

__all__ = ["PLAIN", "Dumped", "Inline", "by_value", "dump", "load", "load_inline", "prepare"]
