"""Values that nobody but the runner has: where nodes share its process they are kept and read without a copy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kernel import MemoryDataset, Runner, hookimpl, node, note, pipeline

pytestmark = pytest.mark.timeout(60)

SIZE = 100_000
KEPT = []


@pytest.fixture(params=["sequential", "threads"])
def runner(request):
    with Runner(request.param) as runner:
        yield runner


def address(array):
    return array.__array_interface__["data"][0]


def new():
    array = np.arange(SIZE)
    note("made", address(array))
    return array


def kept():
    array = new()
    KEPT.append(array)
    return array


def doubled(array):
    note("read", address(array))
    array *= 2
    return array


def total(array):
    note("read", address(array))
    result = int(array.sum())
    array[:] = -1
    return result


def chain(first=new):
    return pipeline(
        [node(first, None, "a", name="make"), node(doubled, "a", "b", name="double"), node(total, "b", "c", name="sum")]
    )


def places(result):
    return [place for task in result.report.tasks for place in task.notes.values()]


def test_what_nobody_else_has_reaches_its_only_reader_as_it_is(runner):
    with runner.run(chain()) as result:
        assert result["c"] == SIZE * (SIZE - 1)
        assert len(set(places(result))) == 1


def test_what_a_module_keeps_is_copied(runner):
    KEPT.clear()
    with runner.run(chain(kept)) as result:
        assert result["c"] == SIZE * (SIZE - 1)
        made, *read = places(result)
        assert made not in read
    assert (KEPT.pop() == np.arange(SIZE)).all()


def test_each_of_several_readers_has_one_of_its_own(runner):
    readers = [node(total, "a", f"sum_{at}", name=f"sum_{at}") for at in range(4)]
    with runner.run(pipeline([node(new, None, "a", name="make"), *readers])) as result:
        assert {result[f"sum_{at}"] for at in range(4)} == {SIZE * (SIZE - 1) // 2}


def test_what_the_caller_reads_again_is_the_same_again(runner):
    with runner.run(pipeline([node(new, None, "a", name="make")])) as result:
        result["a"][:] = 7
        assert (result["a"] == np.arange(SIZE)).all()


@pytest.mark.parametrize("mode", ["copy", "deepcopy", "readonly"])
def test_a_copy_mode_is_kept_to(mode, runner):
    flow = pipeline([node(new, None, "a", name="make"), node(lambda array: array.flags.writeable, "a", "b", name="r")])
    with runner.run(flow, {"a": MemoryDataset(copy_mode=mode)}) as result:
        assert result["b"] is (mode != "readonly")


class Spoiler:
    """Changes what it is shown."""

    @hookimpl
    def after_dataset_saved(self, data):
        if isinstance(data, np.ndarray):
            data[:] = 5


class Keeper:
    """Keeps what it is shown."""

    @hookimpl
    def after_node_run(self, outputs):
        KEPT.extend(value for value in outputs.values() if isinstance(value, np.ndarray))


@pytest.mark.parametrize("listener", [Spoiler, Keeper])
@pytest.mark.parametrize("executor", ["sequential", "threads"])
def test_what_listeners_are_shown_is_not_what_readers_get(listener, executor):
    KEPT.clear()
    with Runner(executor, hooks=[listener()]) as runner, runner.run(chain()) as result:
        assert result["c"] == SIZE * (SIZE - 1)
    assert all((array != -1).all() for array in KEPT)
    KEPT.clear()


def frame():
    return pd.DataFrame({"number": np.arange(SIZE), "text": [f"text {at}" for at in range(SIZE)]})


def with_more(data):
    return data.assign(more=data["number"] * 2)


def summed(data):
    return int(data["more"].sum()), data["text"].iloc[-1], list(data.columns)


@pytest.mark.skipif(int(pd.__version__.partition(".")[0]) < 3, reason="frames lend their columns before pandas 3")
def test_a_frame_that_keeps_the_columns_of_its_input_goes_on_as_it_is(runner, monkeypatch):
    flow = pipeline(
        [
            node(frame, None, "a", name="make"),
            node(with_more, "a", "b", name="more"),
            node(summed, "b", "c", name="summed"),
        ]
    )
    pickled = []
    monkeypatch.setattr(pd.DataFrame, "__reduce_ex__", lambda *_: pickled.append(1))
    with runner.run(flow) as result:
        whole, text, columns = result["c"]
        assert (whole, text, columns) == (SIZE * (SIZE - 1), f"text {SIZE - 1}", ["number", "text", "more"])
    assert not pickled


def with_gaps():
    return np.arange(SIZE)[: SIZE // 2 : 5]


def a_little_of_much():
    return np.arange(SIZE)[:10]


def looked_at(array):
    base = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    return array.flags.c_contiguous, base.nbytes <= array.nbytes


@pytest.mark.parametrize("make", [with_gaps, a_little_of_much])
@pytest.mark.parametrize("executor", ["sequential", "threads", "process_pool"])
@pytest.mark.parametrize("readers", [1, 2])
def test_a_slice_is_what_a_pickle_gives_however_many_read_it(make, executor, readers):
    nodes = [node(looked_at, "a", f"seen_{at}", name=f"look_{at}") for at in range(readers)]
    with Runner(executor) as runner, runner.run(pipeline([node(make, None, "a", name="make"), *nodes])) as result:
        assert all(result[f"seen_{at}"] == (True, True) for at in range(readers))
