"""A kind of value: how one is made and changed, and what is expected to become of it on its way to its readers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

from attrs import frozen
from packaging.requirements import Requirement

#: So many elements of eight bytes are far more than what travels inside of a message.
MANY = 10_000


def itself(value: Any) -> Any:
    return value


@frozen
class Kind:
    """One row of the page about values.

    `name`: what the page calls it. `make`: makes one anew, always the same. `change`: changes it in place; None: nobody
    can. `view`: what there is to compare, for types that do not say themselves what is equal. `whole`: makes what it is
    a part of. `lost`: words for what does not arrive, and what to look at for it. `remark`: what else there is to know.
    `refused`: what is said where it is refused. `needs`: the versions from which on all this holds.
    """

    name: str
    make: Callable[[], Any]
    change: Callable[[Any], Any] | None = None
    view: Callable[[Any], Any] = itself
    whole: Callable[[], Any] | None = None
    lost: Mapping[str, Callable[[Any], Any]] = {}
    remark: str = ""
    refused: str = ""
    needs: str = ""

    @property
    def is_there(self) -> bool:
        """Say whether what is installed is new enough for it."""
        needs = Requirement(self.needs) if self.needs else None
        return needs is None or needs.specifier.contains(version(needs.name), prereleases=True)


def set_first(value: Any) -> None:
    value[0] = 99


def add_to_first(value: Any) -> None:
    value[0].append(99)


def add(value: Any) -> None:
    value.append(99)


def set_key(value: Any) -> None:
    value["changed"] = 99


def set_attribute(value: Any) -> None:
    value.changed = 99
