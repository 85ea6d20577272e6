"""The memory catalog: values by reference to threads, pickled to processes, and nobody sees another's change."""

from __future__ import annotations

import marshal
import pickle
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pandas as pd
import pytest

from kernel.errors import DatasetError, ValidationError
from kernel.specs.executor import Reach
from kernel_memory import MemoryCatalog

FAR = [Reach.PROCESS, Reach.MACHINE]


def opened(reach=Reach.THREAD, **copy_modes):
    return MemoryCatalog().open(copy_modes, reach, 2)


def values():
    frame = pd.DataFrame(
        {
            "number": [1.5, 2.5],
            "text": pd.array(["a", "ü"], dtype="string"),
            "maybe": pd.array([1, None], dtype="Int64"),
            "kind": pd.Categorical(["x", "y"]),
        }
    )
    return [
        7,
        2.5,
        True,
        None,
        1 + 2j,
        "text",
        b"bytes",
        (1, (2, 3)),
        [1, {"a": [2]}],
        {1, 2},
        frame,
        frame["text"],
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array(["2024-01-01"], dtype="M8[ns]"),
        np.array([]),
        np.arange(10)[::2],
    ]


def same(left, right):
    if isinstance(left, pd.DataFrame):
        pd.testing.assert_frame_equal(left, right)
    elif isinstance(left, pd.Series):
        pd.testing.assert_series_equal(left, right)
    elif isinstance(left, np.ndarray):
        np.testing.assert_array_equal(left, right)
        assert left.dtype == right.dtype
    else:
        assert left == right
        assert type(left) is type(right)


@pytest.mark.parametrize("reach", list(Reach))
@pytest.mark.parametrize("value", values(), ids=lambda value: type(value).__name__)
def test_a_value_comes_back_as_it_was_saved(reach, value):
    store = opened(reach)
    handle = store.save("x", value)
    same(value, store.load("x", handle))
    same(value, store.load("x", handle, last=True))
    assert store.size(handle) == 0


@pytest.mark.parametrize("reach", list(Reach))
def test_no_reader_sees_what_the_producer_or_another_reader_does_to_a_value(reach):
    store = opened(reach)
    for value in ([1, [2]], np.arange(3), np.array([[1], "a"], dtype=object), pd.DataFrame({"a": [1, [2]]})):
        handle = store.save("x", value)
        before = pickle.dumps(value)
        if isinstance(value, pd.DataFrame):
            value.loc[0, "a"] = 9
        else:
            value[0] = 9
        first = store.load("x", handle)
        same(pickle.loads(before), first)
        if isinstance(first, pd.DataFrame):
            first.loc[0, "a"] = 8
        else:
            first[0] = 8
        same(pickle.loads(before), store.load("x", handle, last=True))


def test_nested_parts_of_a_list_are_separate_too():
    store = opened()
    handle = store.save("x", [[1], {"a": [2]}])
    store.load("x", handle)[0].append(5)
    store.load("x", handle)[1]["a"].append(5)
    assert store.load("x", handle) == [[1], {"a": [2]}]


def test_the_last_thread_to_read_gets_the_kept_value_without_a_copy():
    store = opened()
    value = np.arange(3)
    handle = store.save("x", value)
    first, kept = store.load("x", handle), store.load("x", handle, last=True)
    assert not np.shares_memory(first, value)
    assert not np.shares_memory(kept, value)
    assert not np.shares_memory(first, kept)
    assert store.load("x", handle, last=True) is kept


@pytest.mark.parametrize("value", [7, 2.5, "text", b"bytes", None, True, 1j])
def test_what_nobody_can_change_is_not_copied_for_threads(value):
    store = opened()
    assert store.save("x", value) is value
    assert store.load("x", value) is value


def test_assign_gives_the_very_object():
    store = opened(x="assign")
    value = [object()]
    handle = store.save("x", value)
    assert store.load("x", handle) is value


def test_copy_is_shallow_and_deepcopy_is_deep():
    inner = [1]
    shallow, deep = opened(x="copy"), opened(x="deepcopy")
    assert shallow.load("x", shallow.save("x", [inner]))[0] is inner
    assert deep.load("x", deep.save("x", [inner]))[0] is not inner


@pytest.mark.parametrize("reach", list(Reach))
def test_readonly_arrays_refuse_to_be_written(reach):
    store = opened(reach, x="readonly")
    handle = store.save("x", np.arange(3))
    loaded = store.load("x", handle, last=True)
    with pytest.raises(ValueError, match="read-only"):
        loaded[0] = 1


def test_a_readonly_array_for_threads_cannot_be_unlocked_and_takes_no_second_copy():
    store = opened(x="readonly")
    value = np.arange(3)
    handle = store.save("x", value)
    value[0] = 9
    first, second = store.load("x", handle), store.load("x", handle)
    assert np.shares_memory(first, second)
    assert first[0] == 0
    with pytest.raises(ValueError, match="WRITEABLE"):
        first.flags.writeable = True


def test_what_cannot_be_locked_is_copied_under_readonly():
    store = opened(x="readonly")
    handle = store.save("x", [1])
    store.load("x", handle).append(2)
    assert store.load("x", handle) == [1]


def test_frames_of_engines_are_handed_on_as_they_are():
    engine = type("DataFrame", (), {"__module__": "pyspark.sql", "__deepcopy__": None})
    table = type("Table", (), {"__module__": "ibis.expr.types", "__deepcopy__": None})
    store = opened()
    for value in (engine(), table()):
        handle = store.save("x", value)
        assert store.load("x", handle) is value


def test_a_value_that_cannot_be_kept_names_the_dataset_and_the_way_out():
    with pytest.raises(DatasetError, match=r"model: a value of type 'list' cannot be serialised: .*lock.*copy_mode"):
        opened().save("model", [threading.Lock()])


@pytest.mark.parametrize("reach", FAR)
def test_handles_for_processes_are_small_plain_values_that_marshal_carries(reach):
    store = opened(reach)
    for value in values():
        handle = store.save("x", value)
        same(value, store.load("x", marshal.loads(marshal.dumps(handle))))


@pytest.mark.parametrize("reach", FAR)
def test_a_value_that_cannot_be_serialised_names_dataset_and_type(reach):
    with pytest.raises(DatasetError, match=r"model: a value of type 'lock' cannot be serialised: TypeError") as info:
        opened(reach).save("model", threading.Lock())
    assert info.value.__cause__ is not None


class Explodes:
    def __reduce__(self):
        return int, ("no number, and secret",)


def test_a_value_that_cannot_be_rebuilt_names_the_dataset_and_shows_no_data():
    store = opened(Reach.PROCESS)
    with pytest.raises(DatasetError, match=r"model: .* cannot be rebuilt here: ValueError") as info:
        store.load("model", store.save("model", Explodes()))
    assert "secret" not in str(info.value)


@pytest.mark.parametrize("reach", FAR)
def test_a_value_too_deep_to_serialise_is_an_error_that_names_it(reach):
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(DatasetError, match="deep: a value of type 'list' cannot be serialised"):
        opened(reach).save("deep", deep)


@pytest.mark.parametrize("reach", FAR)
def test_a_reader_may_write_an_array_that_was_locked_when_it_was_saved(reach):
    array, frame = np.arange(6.0).reshape(2, 3), pd.DataFrame({"a": [1.0, 2.0]})
    array.flags.writeable = False
    store = opened(reach)
    for value in (array, {"inside": array.T}, frame["a"].to_numpy()):
        loaded = store.load("x", store.save("x", value))
        target = loaded["inside"] if isinstance(loaded, dict) else loaded
        same(value["inside"] if isinstance(value, dict) else value, target)
        target[...] = 0
    assert array[0, 1] == 1.0


def test_what_the_main_script_defines_can_be_loaded_by_another_process(tmp_path):
    script = textwrap.dedent(
        """
        import pickle, sys
        from kernel.specs.executor import Reach
        from kernel_memory import MemoryCatalog

        class Point:
            x = 3
            def double(self):
                return self.x * 2

        store = MemoryCatalog().open({}, Reach.PROCESS, 1)
        values = {"point": Point(), "function": lambda: 5, "kind": Point}
        sys.stdout.buffer.write(pickle.dumps((store, store.save("x", values))))
        """
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    store, handle = pickle.loads(done.stdout)
    loaded = store.load("x", handle)
    assert loaded["point"].double() == 6
    assert loaded["function"]() == 5
    assert loaded["kind"].x == 3


def test_validation_names_every_input_that_cannot_reach_the_workers_and_its_readers():
    values = {"good": [1], "bad": threading.Lock(), "worse": (i for i in ())}
    with pytest.raises(ValidationError) as info:
        MemoryCatalog().validate_catalog(list(values), values, Reach.PROCESS, {"bad": ["train", "score"]})
    assert len(info.value.problems) == 2
    assert info.value.problems[0].startswith("bad: ")
    assert info.value.problems[0].endswith("(read by: train, score)")
    assert info.value.problems[1].startswith("worse: ")
    MemoryCatalog().validate_catalog(list(values), values, Reach.THREAD, {})


class Counted:
    count = 0

    def __reduce__(self):
        Counted.count += 1
        return (Counted, ())


def test_an_input_that_was_validated_is_not_serialised_again():
    catalog, value = MemoryCatalog(), Counted()
    catalog.validate_catalog(["x"], {"x": value}, Reach.PROCESS, {})
    store = catalog.open({}, Reach.PROCESS, 1)
    handle = store.save("x", value)
    assert isinstance(store.load("x", handle), Counted)
    assert Counted.count == 1
    pickle.loads(pickle.dumps(store)).load("x", handle)


def test_the_catalog_keeps_what_was_adopted_until_it_is_released_or_the_run_settles():
    catalog = MemoryCatalog()
    catalog.adopt(["a", "b", "c"], [1, 2, 3])
    catalog.adopt(["a"], [10])
    assert catalog.handle("a") == 10
    catalog.release(["b", "unknown"])
    catalog.discard([2])
    catalog.worker_lost(0)
    with pytest.raises(DatasetError, match="b: no value in memory"):
        catalog.handle("b")
    catalog.settle(["c", "unknown"])
    assert catalog.handle("c") == 3
    with pytest.raises(DatasetError):
        catalog.handle("a")
    catalog.close()
    catalog.close()
    with pytest.raises(DatasetError):
        catalog.handle("c")
