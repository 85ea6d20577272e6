"""Kinds of values, by library: what `docs/values.md` says of each is measured with them."""

from __future__ import annotations

from value_kinds import of_arrow, of_numpy, of_objects, of_pandas, of_refused, plain
from value_kinds.kind import Kind

__all__ = ["GROUPS", "KINDS", "REFUSED", "Kind"]

#: Heading -> kinds.
GROUPS = {
    "Python": plain.KINDS,
    "Objects, functions and other libraries": of_objects.KINDS,
    "numpy": of_numpy.KINDS,
    "pandas": of_pandas.KINDS,
    "Arrow": of_arrow.ARROW,
    "polars": of_arrow.POLARS,
}
REFUSED = {kind.name: kind for kind in of_refused.KINDS}
#: Name, with its heading -> kind; without those for which something is too old here.
KINDS = {f"{group}: {kind.name}": kind for group, kinds in GROUPS.items() for kind in kinds if kind.is_there}
