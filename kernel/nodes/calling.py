"""From values to a function's arguments and from what it returns back to values; workers do this per node."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from kernel.errors import PipelineError

__all__ = ["DeclaredNames", "bind_inputs", "names_of", "unpack_outputs"]

DeclaredNames = None | str | tuple[str, ...] | Mapping[str, str]
"""Inputs or outputs as a node declares them: nothing, one name, names in order, names by argument or key."""

_NO_KEYWORDS: Mapping[str, Any] = {}


def names_of(declared: DeclaredNames) -> Sequence[str]:
    """List the dataset names of one side of a node, in order."""
    if isinstance(declared, str):
        return (declared,)
    if declared is None:
        return ()
    return declared if isinstance(declared, tuple) else tuple(declared.values())


def bind_inputs(declared_inputs: DeclaredNames, values: Sequence[Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Turn values, in the order of the node's `input_names`, into positional and keyword arguments."""
    if declared_inputs is None or isinstance(declared_inputs, str | tuple):
        return values, _NO_KEYWORDS
    return (), dict(zip(declared_inputs, values, strict=True))


def unpack_outputs(name: str, declared_outputs: DeclaredNames, result: Any) -> Sequence[Any]:
    """Turn what the function of node `name` returned into values in the order of the node's `output_names`.

    Raises PipelineError when type, length or keys are not those declared; warns when a value was returned
    although no output is declared.
    """
    if isinstance(declared_outputs, str):
        return (result,)
    if declared_outputs is None:
        if result is not None:
            warnings.warn(
                f"node {name!r} declares no outputs but its function returned a {type(result).__name__}: "
                f"it is ignored. Name an output to keep it",
                UserWarning,
                stacklevel=2,
            )
        return ()
    if isinstance(declared_outputs, tuple):
        if isinstance(result, tuple | list):
            values = cast("Sequence[Any]", result)
            if len(values) == len(declared_outputs):
                return values
        raise PipelineError(_sequence_mismatch(name, declared_outputs, result))
    if isinstance(result, Mapping) and result.keys() == declared_outputs.keys():
        return tuple([result[key] for key in declared_outputs])
    raise PipelineError(_mapping_mismatch(name, declared_outputs, result))


def _sequence_mismatch(name: str, declared: tuple[str, ...], result: Any) -> str:
    got = f"a {type(result).__name__}"
    if isinstance(result, tuple | list):
        got += f" of {len(cast('Sequence[Any]', result))}"
    return (
        f"node {name!r} declares {len(declared)} outputs ({', '.join(declared)}), so its function must "
        f"return a list or tuple of {len(declared)}, but it returned {got}"
    )


def _mapping_mismatch(name: str, declared: Mapping[str, str], result: Any) -> str:
    got = f"a {type(result).__name__}"
    if isinstance(result, Mapping):
        keys = sorted(map(str, cast("Iterable[Any]", result)))
        got += f" with the keys {', '.join(keys) or '(none)'}"
    return (
        f"node {name!r} declares its outputs by key, so its function must return a dict with the keys "
        f"{', '.join(sorted(declared))}, but it returned {got}"
    )
