"""Where the raw tables are: data files of an installed distribution, found without importing it."""

from __future__ import annotations

from importlib.metadata import distribution

TABLES = ("airlines", "airports", "flights", "planes", "weather")


def locate_tables(name: str) -> tuple[str, ...]:
    """Return the paths of the files of the tables in TABLES, in that order.

    The package itself is not imported: its `__init__` needs a module that current setuptools no longer ships.
    """
    found = {
        path.name.partition(".")[0]: str(path.locate())
        for path in distribution(name).files or ()
        if path.parent.name == "data"
    }
    missing = [table for table in TABLES if table not in found]
    if missing:
        raise FileNotFoundError(f"distribution {name!r} has no data file for {', '.join(missing)}")
    return tuple(found[table] for table in TABLES)
