"""What a handle looks like, and how objects are named."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import TYPE_CHECKING, Any, cast

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernel.specs.catalog import Handle
    from kernel_objects.packing import Part

__all__ = ["Assigned", "Object", "address_of", "is_name", "is_object", "new_name"]

#: An object's name and size in bytes: the handle of a value outside.
Object = tuple[str, int]

_ADDRESS = 64
_NAME = re.compile(r"[0-9a-f]{64}-[0-9a-f]{8}")


@frozen(eq=False)
class Assigned:
    """The handle of a value that threads share as it is: the very object."""

    value: Any


def is_object(handle: Handle) -> bool:
    """Say whether the handle names an object; all others hold their value themselves."""
    return type(handle) is tuple and isinstance(cast("tuple[object, ...]", handle)[0], str)


def new_name(parts: Iterable[Part]) -> str:
    """Name an object: the SHA-256 of its content, and a few letters of its own.

    With a name to itself a save can never be undone by the removal of an equal value that was there before.
    """
    content = hashlib.sha256()
    for part in parts:
        content.update(part)
    return f"{content.hexdigest()}-{secrets.token_hex(4)}"


def is_name(given: object) -> bool:
    """Say whether this can be the name of an object: one that stays in the folder of its run."""
    return isinstance(given, str) and _NAME.fullmatch(given) is not None


def address_of(name: str) -> str:
    """Return the part of an object's name that says what is in it."""
    return name[:_ADDRESS]
