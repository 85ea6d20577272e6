"""Reads projects: a folder with `[tool.kernel]` in its pyproject.toml, or one Python file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.specs.markers import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kernel.project import Project

__all__ = ["load_project"]

SETTINGS_FILE = "pyproject.toml"


# Every run imports this module, also one without a project: what reads projects is imported when needed.
@hookimpl
def load_project(path: Path, env: str | None, load_versions: Mapping[str, str]) -> Project | None:
    """Read a folder whose pyproject.toml has a table [tool.kernel], or a Python file with a `pipeline`."""
    if path.suffix == ".py" and path.is_file():
        from kernel_project.script import read_script  # noqa: PLC0415 - see above

        return read_script(path, env, load_versions)
    folder = path.parent if path.name == SETTINGS_FILE else path
    if not (folder / SETTINGS_FILE).is_file():
        return None
    from kernel_project.folder import read_folder  # noqa: PLC0415 - see above

    return read_folder(folder, env, load_versions)
