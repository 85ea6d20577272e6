"""The index in a run's folder: which nodes are done, and where the values are that the others need."""

from __future__ import annotations

import json
import pickle
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from kernel.errors import ConfigError
from kernel_objects.handles import is_name, is_object
from kernel_objects.owner import is_alive, this_process

if TYPE_CHECKING:
    from collections.abc import Collection

    from kernel.specs.catalog import Handle
    from kernel_objects.place import Folder, Place

__all__ = ["INDEX", "Index", "read_index", "write_index"]

#: The name of the index among the objects of a run.
INDEX = "index.json"

_FORMAT = 1


@frozen
class Index:
    """What a run has come to. `ended`: no process works on it any more."""

    run: str
    ended: bool = False
    nodes: Collection[str] = ()
    values: Mapping[str, Handle] = field(factory=dict[str, "Handle"], repr=False)


def write_index(folder: Folder, index: Index) -> None:
    """Write the index, whole or not at all; raises whatever the file system does."""
    values = {name: entry for name, handle in index.values.items() if (entry := _entry(handle)) is not None}
    content = {
        "format": _FORMAT,
        "run": index.run,
        "ended": index.ended,
        "owner": this_process(),
        "nodes": [*index.nodes],
        "values": values,
    }
    folder.write(INDEX, [json.dumps(content).encode()])


def read_index(place: Place, run: str, *, trusts_others: bool = False) -> Index:
    """Read the index of a run to go on with.

    Raises `ConfigError` when there is none, the run still goes on, or the folder is not this user's own alone.
    """
    where = place.shown(run)
    folder = place.folder(run)
    if not trusts_others and (strangers := folder.strangers(INDEX)):
        raise ConfigError(
            f"catalog 'objects': {where} {strangers}, and going on with a run unpickles what is in its folder, which "
            f"can run any code: it is refused. If you trust them, say so with the catalog option trust_others=yes"
        )
    try:
        content: dict[str, Any] = json.loads(bytes(folder.read(INDEX)))
        alive = is_alive(content["owner"]) if not content["ended"] else False
        known = content["format"] == _FORMAT and content["run"] == run
        values = {name: _handle(entry) for name, entry in content["values"].items()} if known else {}
        index = Index(run, bool(content["ended"]), frozenset(content["nodes"]), values)
    except FileNotFoundError:
        failure = ConfigError(f"catalog 'objects': there is no run to go on with in {where}")
    except Exception as error:  # a file system raises anything, and so does what somebody else wrote
        failure = ConfigError(f"catalog 'objects': {where}/{INDEX} cannot be read: {place.told(error)}")
    else:
        if known and not alive:
            return index
        problem = f"still goes on, in process {content['owner']['pid']}" if known else "is of another version or moved"
        failure = ConfigError(f"catalog 'objects': the run in {where} {problem}: it cannot be gone on with")
    raise failure  # out here, since the cause may tell a secret


def _entry(handle: Handle) -> dict[str, Any] | None:
    """Return what the index says of a value; None for one that only this process, or an engine, has."""
    if is_object(handle):
        return {"object": handle[0], "size": handle[1]}
    if isinstance(handle, (bytes, int, float, complex, str, tuple)) or handle is None:
        return {"pickle": b64encode(pickle.dumps(handle, 5)).decode()}
    return None


def _handle(entry: Mapping[str, Any]) -> Handle:
    if "object" in entry:
        if not is_name(entry["object"]):
            raise ValueError(f"{entry['object']!r} is not the name of an object")
        return str(entry["object"]), int(entry["size"])
    handle = pickle.loads(b64decode(entry["pickle"]))
    if is_object(handle):
        raise ValueError("a value inside of the index says that it is an object")
    return handle
