"""The settings of a folder project: the table [tool.kernel] of its pyproject.toml, read and checked."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, cast

from attrs import field, fields_dict, frozen

from kernel.errors import ConfigError
from kernel_project.problems import Problems, suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Settings", "read_settings"]

_TEXT, _TEXTS, _TABLE, _TARGETS = "a string", "a string or a list of strings", "a table", "a table of strings"


def _key(kind: str, default: Any = None) -> Any:
    return field(default=default, metadata={"kind": kind})


@frozen
class Settings:
    """What [tool.kernel] may say, there with hyphens in its keys. Paths start from the project's folder.

    `pipelines` and each of `hooks` and `dataset_types` are written "module:attribute".
    """

    pipelines: str = field(metadata={"kind": _TEXT})
    name: str | None = _key(_TEXT)
    source: Sequence[str] = _key(_TEXTS, ("src",))
    catalog: str = _key(_TEXT, "conf/catalog.yml")
    parameters: str = _key(_TEXT, "conf/parameters.yml")
    credentials: str = _key(_TEXT, "conf/credentials.yml")
    hooks: Sequence[str] = _key(_TEXTS, ())
    executor: str | None = _key(_TEXT)
    executor_options: Mapping[str, Any] = _key(_TABLE, {})
    catalog_plugin: str | None = _key(_TEXT)
    catalog_options: Mapping[str, Any] = _key(_TABLE, {})
    dataset_types: Mapping[str, str] = _key(_TARGETS, {})
    #: The keys that the file gives itself: a file that is named must be there.
    given: frozenset[str] = frozenset()


def read_settings(file: Path) -> Settings | None:
    """Read [tool.kernel]; None when the file has no such table. Raises ConfigError with all that is wrong."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    tool: Any = content.get("tool", {})
    if not isinstance(tool, dict) or "kernel" not in tool:
        return None
    table = cast("dict[str, Any]", tool)["kernel"]
    where = f"[tool.kernel] in {file}"
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: expected a table, got {type(table).__name__}")
    return _checked(cast("dict[str, Any]", table), where)


def _checked(table: Mapping[str, Any], where: str) -> Settings:
    kinds: dict[str, str] = {
        name.replace("_", "-"): attribute.metadata["kind"]
        for name, attribute in fields_dict(Settings).items()
        if "kind" in attribute.metadata
    }
    problems = Problems()
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in kinds:
            problems.add(f"{where}: unknown key {key!r}{suggestion(key, list(kinds))}")
        elif not _fits(value, kinds[key]):
            problems.add(f"{where}: {key!r} must be {kinds[key]}, got {type(value).__name__}")
        else:
            values[key.replace("-", "_")] = [value] if kinds[key] is _TEXTS and isinstance(value, str) else value
    if "pipelines" not in table:
        problems.add(f"{where}: the key 'pipelines' is missing; write pipelines = \"module:attribute\"")
    problems.raise_any()
    return Settings(**values, given=frozenset(values))


def _fits(value: Any, kind: str) -> bool:
    if isinstance(value, str):
        return kind in {_TEXT, _TEXTS}
    if isinstance(value, list):
        return kind is _TEXTS and all(isinstance(each, str) for each in cast("list[object]", value))
    if isinstance(value, dict):
        targets = all(isinstance(each, str) for each in cast("dict[str, Any]", value).values())
        return kind is _TABLE or (kind is _TARGETS and targets)
    return False
