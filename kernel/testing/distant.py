"""What the kit asks of another process (`elsewhere`): to work with a store or a dataset there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kernel.testing.functions import change
from kernel.testing.kinds import VALUES

if TYPE_CHECKING:
    from kernel.datasets import Dataset
    from kernel.specs.catalog import Handle, Store

__all__ = [
    "change_loaded",
    "close_store",
    "load",
    "load_dataset",
    "make_and_save",
    "open_store",
    "save_and_forget",
    "save_in_turn",
]


def open_store(kept: dict[str, Any], store: Store, worker: int) -> None:
    """Open a store as that worker."""
    store.open(worker)
    kept["store"] = store


def close_store(kept: dict[str, Any]) -> None:
    """Close it."""
    kept.pop("store").close()


def load(kept: dict[str, Any], name: str, handle: Handle) -> Any:
    """Load a value and send it back."""
    return kept["store"].load(name, handle)


def change_loaded(kept: dict[str, Any], name: str, handle: Handle) -> None:
    """Load a value and change it in place."""
    kept["changed"] = kept["store"].load(name, handle)
    change(kept["changed"])


def make_and_save(kept: dict[str, Any], name: str, kind: str) -> Handle:
    """Make a value of `kinds.VALUES` and save it."""
    return kept["store"].save(name, VALUES[kind]())


def save_and_forget(kept: dict[str, Any], name: str, kind: str) -> None:
    """Save a value and tell nobody where."""
    kept["store"].save(name, VALUES[kind]())


def load_dataset(kept: dict[str, Any], build: Callable[[], Dataset]) -> Any:
    """Build a dataset and load it."""
    return build().load()


def save_in_turn(kept: dict[str, Any], build: Callable[[], Dataset], values: list[Any], times: int) -> None:
    """Save the values one after the other, over and over."""
    dataset = build()
    for _ in range(times):
        for value in values:
            dataset.save(value)
