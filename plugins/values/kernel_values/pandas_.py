"""Values of pandas: whose a frame is, with all that it is made of; and when two are the same to a reader."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary, getweakrefcount, getweakrefs

from kernel.values.copying import IMMUTABLE
from kernel.values.libraries import Library
from kernel.values.ownership import holders, is_held_by_one
from kernel.values.pickling import rebuilt
from kernel_values.numpy_ import is_own_array

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["LIBRARY"]

pd: Any = import_module("pandas")  # its types say less of a value than is looked at here

#: All that an ordinary frame or series has.
_FRAME_PARTS = frozenset({"_mgr", "_attrs", "_flags", "_typ", "_name"})
#: What was copied already, by identity: frames share the columns that a node leaves as they are.
_copied: WeakValueDictionary[int, Any] = WeakValueDictionary()
#: Before version 3 a frame shares what it lends, unless it is told to copy on write.
_LENDS = int(pd.__version__.partition(".")[0]) < 3  # noqa: PLR2004 - the version that this is about


def _is_own(value: Any, others: int) -> bool:
    is_plain = value.__class__ in (pd.DataFrame, pd.Series)
    return is_plain and others == 1 and _is_own_frame(value)  # its flags hold it weakly


def _is_own_frame(frame: Any) -> bool:
    """Say whether a frame or series has all its parts to itself, and copies on write what it lends."""
    if _LENDS and pd.options.mode.copy_on_write is not True:
        return False
    parts: Mapping[str, Any] = frame.__dict__
    if parts.get("_attrs") or type(parts.get("_name")) not in IMMUTABLE or not parts.keys() <= _FRAME_PARTS:
        return False
    weak = getweakrefs(frame)
    # Without a callback there is one weak reference for all who ask: its flags, and anybody.
    if len(weak) != 1 or "_flags" not in parts:
        return False
    flags_know = weak.pop()
    manager = parts["_mgr"]
    blocks: Sequence[Any] = manager.blocks
    if not all([is_held_by_one(flags_know), is_held_by_one(manager), is_held_by_one(blocks)]):
        return False
    # pandas itself holds blocks weakly, to know who lends what.
    if not all(holders(block) == 2 + getweakrefcount(block) and _is_own_column(block) for block in blocks):
        return False
    axes: list[Any] = manager.axes
    return is_held_by_one(axes) and all(_make_own_labels(axes, at) for at in range(len(axes)))


def _is_own_column(block: Any) -> bool:
    """Say whether the columns in a block of a frame, and what they consist of, are nobody else's.

    Of Arrow's memory, of which most columns of texts are, that cannot be told: so it is copied, which costs a fraction
    of what it costs to save the frame.
    """
    values = block.values
    if not is_held_by_one(values):
        return False
    if type(values).__module__ == "numpy":
        return is_own_array(values)
    if hasattr(values, "_pa_array"):
        return _make_own_memory(values)
    if hasattr(values, "categories"):
        return False  # columns share them, by a type that may be anybody's, though each can name them anew
    for name in ("_data", "_mask") if hasattr(values, "_mask") else ("_ndarray",):
        array = getattr(values, name, None)
        if type(array).__module__ != "numpy" or not is_held_by_one(array) or not is_own_array(array):
            return False
    return True


def _make_own_memory(values: Any) -> bool:
    """Copy the Arrow memory of a column that nobody else holds; say whether that can be done."""
    from kernel_values.arrow import packed_copy  # noqa: PLC0415 - pandas does without Arrow, too

    arrow = values._pa_array  # noqa: SLF001 - pandas has no other name for it
    if _copied.get(id(arrow)) is arrow:
        return True
    copy = packed_copy(arrow)
    if copy is not None:
        values._pa_array = _copied[id(copy)] = copy  # noqa: SLF001 - as above
    return copy is not None


def _make_own_labels(axes: list[Any], at: int) -> bool:
    """Make the labels on one side of a frame its own: frames share them, though each can name them anew.

    They are rebuilt from a pickle, as they would be if the frame were saved.
    """
    axis = axes[at]
    if type(axis) is pd.RangeIndex and is_held_by_one(axis) and type(axis.name) in IMMUTABLE:
        return True
    own = rebuilt(axis)
    if own is not NotImplemented:
        axes[at] = own
    return own is not NotImplemented


def _is_equal(one: Any, other: Any) -> Any:
    if isinstance(one, pd.DataFrame):
        check = pd.testing.assert_frame_equal
    elif isinstance(one, pd.Series):
        check = pd.testing.assert_series_equal
    elif isinstance(one, pd.Index):
        check = pd.testing.assert_index_equal
    else:
        return NotImplemented
    try:
        check(one, other, check_exact=True)
    except AssertionError:
        return False
    return getattr(one, "attrs", None) == getattr(other, "attrs", None)


LIBRARY = Library(is_own=_is_own, is_equal=_is_equal)
