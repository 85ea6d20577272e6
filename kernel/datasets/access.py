"""Load, save and ask a dataset under its name: what goes wrong is a `DatasetError` with it in front."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from kernel.datasets.credentials import hide
from kernel.datasets.names import shown
from kernel.errors import DatasetError, VersionNotFoundError

if TYPE_CHECKING:
    from kernel.datasets.dataset import Dataset

__all__ = ["confirm", "exists", "failed", "load", "save"]

Answer = TypeVar("Answer")


def load(name: str, dataset: Dataset) -> Any:
    """Return the dataset's data. Raises `DatasetError`, its cause the dataset's own error."""
    return _ask(name, "loaded", dataset, dataset.load)


def save(name: str, dataset: Dataset, data: Any) -> None:
    """Save the data. Raises `DatasetError`, also for None, which is no data."""
    if data is None:
        raise DatasetError(f"{shown(name)}: Saving 'None' is refused: return data for it, or declare no such output")
    _ask(name, "saved", dataset, dataset.save, data)


def exists(name: str, dataset: Dataset) -> bool:
    """Say whether there is something to load. Raises `DatasetError` when that cannot be found out."""
    return _ask(name, "looked for", dataset, dataset.exists)


def confirm(name: str, dataset: Dataset, token: Any) -> None:
    """Confirm what `token` stands for. Raises `DatasetError`, its cause the dataset's own error."""
    _ask(name, "confirmed", dataset, dataset.confirm, token)


def _ask(name: str, what: str, dataset: Dataset, method: Callable[..., Answer], *given: Any) -> Answer:
    try:
        return method(*given)
    except Exception as error:  # a dataset is foreign code and raises anything
        failure = failed(name, what, dataset.secrets, error)
    raise failure


def failed(name: str, what: str, secrets: tuple[str, ...], error: Exception) -> DatasetError:
    """Return the error to raise for a dataset's own, which becomes its cause unless that would tell a secret.

    To be raised outside of the `except` block, or the secret comes along as the context.
    """
    kind = VersionNotFoundError if isinstance(error, VersionNotFoundError) else DatasetError
    text = hide(str(error), secrets)
    if not isinstance(error, DatasetError):
        text = f"cannot be {what}: {type(error).__name__}: {text}"
    failure = kind(f"{shown(name)}: {text}")
    if not _tells(error, secrets):
        failure.__cause__ = error
    return failure


def _tells(error: BaseException, secrets: tuple[str, ...]) -> bool:
    """Say whether an error, or one that it came from, has a secret in its text."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error] if secrets else []
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        text = f"{each} {each!r}"
        if hide(text, secrets) != text:
            return True
        todo += [each.__cause__, each.__context__]
    return False
