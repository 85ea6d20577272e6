"""The options of the catalog, given as values or as texts of the command line, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, cast, get_args

from kernel.amounts import bytes_of
from kernel.errors import ConfigError

__all__ = ["Keep", "parse_flag", "parse_keep", "parse_run", "parse_size", "parse_storage"]

#: When a run's values stay although it is over.
Keep = Literal["failure", "never", "always"]

_FLAGS = {"yes": True, "true": True, "no": False, "false": False}
_PREFIX = "storage."


def parse_size(given: object) -> int | None:
    """Return bytes: of a number, "64KB" (1000 bytes each) or "64KiB"; None for None. Raises `ConfigError`."""
    if given is None:
        return None
    size = bytes_of(given)
    if size is None:
        raise ConfigError(
            f"catalog 'objects': above={given!r} is no size; "
            f'take a number of bytes, or a text such as "64KB" or "1MiB"; 0 makes objects of all values'
        )
    return size


def parse_keep(given: object) -> Keep:
    """Return when values stay. Raises `ConfigError` for anything else."""
    if given not in get_args(Keep):
        raise ConfigError(f"catalog 'objects': keep={given!r} is none of {', '.join(get_args(Keep))}")
    return cast("Keep", given)


def parse_run(given: object) -> str | None:
    """Return the name of a run's folder; None for none. Raises `ConfigError` for what can be no such name."""
    if given is None or (isinstance(given, str) and re.fullmatch(r"run-[\w.-]+", given)):
        return given
    raise ConfigError(
        f"catalog 'objects': resume={given!r} is no run's folder; it is named when a run fails, and starts with 'run-'"
    )


def parse_flag(name: str, given: object) -> bool:
    """Return a flag, given as such or as a text of the command line. Raises `ConfigError` for anything else."""
    flag = given if isinstance(given, bool) else _FLAGS.get(str(given).lower())
    if flag is None:
        raise ConfigError(f"catalog 'objects': {name}={given!r} is neither yes nor no")
    return flag


def parse_storage(given: object, dotted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the file system: a mapping, and those given by themselves as `storage.NAME`.

    Raises `ConfigError` for options that are neither. Values are never shown.
    """
    if given is not None and not isinstance(given, Mapping):
        raise ConfigError(
            "catalog 'objects': storage is a mapping of the file system's options; "
            "on the command line each is an option: storage.endpoint_url=..."
        )
    unknown = [name for name in dotted if not name.startswith(_PREFIX)]
    if unknown:
        raise ConfigError(
            f"catalog 'objects' has no option {', '.join(map(repr, unknown))}. "
            f"Its options are url, above, keep, resume, trust_others and storage "
            f"(storage.NAME for one of the file system's)."
        )
    named = {name.removeprefix(_PREFIX): value for name, value in dotted.items()}
    return {**cast("Mapping[str, Any]", given or {}), **named}
