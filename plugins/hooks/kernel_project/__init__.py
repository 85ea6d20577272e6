"""Reads projects: a folder with `[tool.kernel]` in its pyproject.toml, or one Python file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kernel.specs.markers import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kernel.project import Project

__all__ = ["load_project", "load_settings"]

SETTINGS_FILE = "pyproject.toml"


# Every run imports this module, also one without a project: what reads projects is imported when needed.
@hookimpl
def load_project(path: Path, env: str | None, load_versions: Mapping[str, str]) -> Project | None:
    """Read a folder whose pyproject.toml has a table [tool.kernel], or a Python file with a `pipeline`."""
    if path.suffix == ".py" and path.is_file():
        from kernel_project.script import read_script  # noqa: PLC0415 - see above

        return read_script(path, env, load_versions)
    folder = _folder(path)
    if folder is None:
        return None
    from kernel_project.folder import read_folder  # noqa: PLC0415 - see above

    return read_folder(folder, env, load_versions)


@hookimpl
def load_settings(path: Path) -> Mapping[str, Any] | None:
    """Read what [tool.kernel] in a folder's pyproject.toml says of the executor."""
    folder = _folder(path)
    if folder is None:
        return None
    from kernel_project.settings import read_settings  # noqa: PLC0415 - see above

    settings = read_settings(folder / SETTINGS_FILE)
    if settings is None:
        return None
    return {"executor": settings.executor, "executor_options": settings.executor_options}


def _folder(path: Path) -> Path | None:
    folder = path.parent if path.name == SETTINGS_FILE else path
    return folder if (folder / SETTINGS_FILE).is_file() else None
