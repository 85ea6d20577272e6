"""What datasets, nodes and tags may be called, and how a node's inputs and outputs may be declared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from unicodedata import category

from kernel.errors import PipelineError

if TYPE_CHECKING:
    from kernel.nodes.calling import DeclaredNames

__all__ = [
    "Declared",
    "base_name",
    "check_datasets",
    "check_plain",
    "checked_tags",
    "listed",
    "parse",
    "warn_of_dots",
]

Declared = None | str | Sequence[str] | Mapping[str, str]

_is_plain = re.compile(r"[\w.-]+").fullmatch
_dotted: list[str] = []


def base_name(name: str) -> str:
    """Return the dataset that a transcoded name stands for: 'ds' for 'ds@load', or the name itself."""
    return name.partition("@")[0]


def parse(side: str, declared: Declared) -> tuple[DeclaredNames, tuple[str, ...]]:
    """Return inputs or outputs in their frozen form (an empty list as None) and their names, unchecked."""
    if isinstance(declared, str):
        return declared, (declared,)
    if isinstance(declared, list | tuple):
        names = tuple(declared)
        return names or None, names
    if declared is None:
        return None, ()
    if not isinstance(declared, Mapping):
        kind = type(declared).__name__
        raise PipelineError(f"{side} must be None, a name, a list or a dict of names, got {kind}")
    form = dict(declared)
    for key in form:
        if not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
            raise PipelineError(f"{side} must have strings as keys, got {type(key).__name__}")
    return form or None, tuple(form.values())


def check_datasets(inputs: tuple[str, ...], outputs: tuple[str, ...]) -> bool:
    """Refuse what cannot be a node's inputs and outputs; say whether any name has a dot.

    Refused: no dataset at all, what is not a name, an output named twice, a dataset that is input and output.
    """
    names = inputs + outputs
    if not names:
        raise PipelineError("neither inputs nor outputs are declared; at least one dataset is needed")
    try:
        joined = " ".join(names)  # one string to look through is several times faster than each name
    except TypeError:
        kinds = sorted({type(name).__name__ for name in names} - {"str"})
        raise PipelineError(f"names of datasets must be strings, got {', '.join(kinds)}") from None
    transcoded = "@" in joined
    if transcoded or "" in names or not joined.isprintable():
        for name in names:
            _check_name(name)
    made = set(outputs)
    if transcoded or len(made) < len(outputs) or not made.isdisjoint(inputs):
        _check_roles(inputs, outputs)
    return "." in joined


def _check_name(name: str) -> None:
    if not name:
        raise PipelineError("a dataset has an empty name")
    if any(category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in name):
        raise PipelineError(f"dataset {name!r}: control characters and line breaks are not allowed in names")
    if name.count("@") > 1 or not all(name.split("@")):
        raise PipelineError(f"dataset {name!r}: a transcoded name is <dataset>@<form>, with one '@'")


def _check_roles(inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
    made = Counter(base_name(name) for name in outputs)
    twice = sorted(name for name, count in made.items() if count > 1)
    if twice:
        raise PipelineError(f"outputs must be unique, but these occur more than once: {', '.join(twice)}")
    both = sorted({name for name in inputs if base_name(name) in made})
    if both:
        raise PipelineError(
            f"a dataset cannot be both input and output of one node: {', '.join(both)}. Save under a new name"
        )


def check_plain(what: str, value: object) -> None:
    """Refuse what is not made of letters, digits, '_', '-' and '.' alone."""
    if not isinstance(value, str):
        raise PipelineError(f"{what} must be a string, got {type(value).__name__}")
    if not _is_plain(value):
        raise PipelineError(f"{what} {value!r} may only have letters, digits, '_', '-' and '.', and at least one")


def checked_tags(tags: str | Iterable[str]) -> frozenset[str]:
    """Return the tags as a set; a string is one tag."""
    found = frozenset([tags] if isinstance(tags, str) else tags)
    for tag in found:
        check_plain("tag", tag)
    return found


def listed(what: str, names: str | Iterable[str]) -> tuple[str, ...]:
    """Return names, each once, in order; a string is one name."""
    found = (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))
    if not all(isinstance(name, str) and name for name in found):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
        raise PipelineError(f"{what} must be a name or a list of names, none of them empty")
    return found


def warn_of_dots(node: str, namespace: str | None, dataset: str) -> None:
    """Warn, once in a process, of a dataset name with dots whose start is not the node's namespace."""
    own = (namespace or "").partition(".")[0]
    if _dotted or dataset.startswith("params:") or dataset.partition(".")[0] == own:
        return
    _dotted.append(dataset)
    import logging  # noqa: PLC0415 - seldom needed, and it would slow every start

    logging.getLogger(__name__).warning(
        "node %r uses the dataset %r: dots stand for namespaces, and the node is not in that namespace. "
        "Use '_' unless the dataset belongs to another namespace",
        node,
        dataset,
    )
