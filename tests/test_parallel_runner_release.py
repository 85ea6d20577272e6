"""Datasets are released when nobody will read them any more, and those of the user never."""

from __future__ import annotations

import os

import pytest

import parallel_nodes as nodes
from kernel import hookimpl, node, note, pipeline, run

EXECUTORS = ["sequential", "threads", "process_pool"]


def files(folder, log, *names):
    return {name: nodes.FileDataset(folder / name, log, name) for name in names}


def told(log, *, here=True):
    """List what was done with datasets, in the runner's process or in all."""
    return [(each["what"], each["name"]) for each in nodes.records(log) if not here or each["pid"] == os.getpid()]


def test_in_a_sequential_run_a_value_is_released_before_the_next_node_loads(tmp_path):
    log = tmp_path / "log"
    flow = pipeline(
        [
            node(nodes.same, "in", "middle", name="a"),
            node(nodes.same, "middle", "out", name="b"),
            node(nodes.add, ["in", "out"], "sum", name="c"),
        ]
    )
    datasets = files(tmp_path, log, "in", "middle", "out")
    datasets["in"].save(1)
    log.unlink()
    run(flow, datasets)
    assert told(log) == [
        ("load", "in"),
        ("save", "middle"),
        ("load", "middle"),
        ("save", "out"),
        ("release", "middle"),
        ("load", "in"),
        ("load", "out"),
        ("release", "out"),
    ]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_free_inputs_and_free_outputs_are_never_released(tmp_path, executor):
    log = tmp_path / "log"
    flow = pipeline([node(nodes.same, "in", "middle", name="a"), node(nodes.same, "middle", "out", name="b")])
    datasets = files(tmp_path, log, "in", "middle", "out")
    datasets["in"].save(1)
    result = run(flow, datasets, executor=executor)
    assert {name for what, name in told(log, here=False) if what == "release"} == {"middle"}
    assert result["out"] == 1


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_value_is_released_after_its_last_reader_and_once(tmp_path, executor):
    log = tmp_path / "log"
    readers = 5
    flow = pipeline(
        [
            node(nodes.same, "in", "middle", name="make"),
            *(node(nodes.add, ["middle", "middle"], f"out_{n}", name=f"read_{n}") for n in range(readers)),
        ]
    )
    run(flow, {"in": 1, **files(tmp_path, log, "middle")}, executor=executor, workers=2)
    here = [what for what, _ in told(log)]
    assert here.count("release") == 1
    loads = [at for at, (what, _) in enumerate(told(log, here=False)) if what == "load"]
    assert len(loads) == 2 * readers, "each declared input is loaded"
    last = max(at for at, each in enumerate(nodes.records(log)) if each["pid"] == os.getpid())
    assert last > max(loads)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_each_form_of_a_transcoded_dataset_is_released_by_its_own_reads(tmp_path, executor):
    log = tmp_path / "log"
    flow = pipeline([node(nodes.same, "in", "m@save", name="make"), node(nodes.same, "m@load", "out", name="read")])
    forms = {name: nodes.FileDataset(tmp_path / "m", log, name) for name in ("m@save", "m@load")}
    run(flow, {"in": 1, **forms}, executor=executor)
    here = [each for each in told(log) if each[0] == "release"]
    assert here == [("release", "m@save"), ("release", "m@load")]
    everything = told(log, here=False)
    assert everything.index(("release", "m@save")) > everything.index(("save", "m@save"))
    assert everything.index(("release", "m@load")) > everything.index(("load", "m@load"))


class NotesTheCache:
    """Notes, before each node, how much the worker's own copy of a dataset holds."""

    @hookimpl
    def before_node_run(self, catalog):
        note("cached", len(catalog._dataset("cached").cache))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_a_worker_caches_is_dropped_as_well(tmp_path, executor):
    flow = pipeline(
        [
            node(nodes.same, "in", "cached", name="a_make"),
            node(nodes.same, "cached", "read", name="b_read"),
            node(nodes.same, "read", "later", name="c_later"),
        ]
    )
    datasets = {"in": 1, "cached": nodes.CachingDataset(nodes.FileDataset(tmp_path / "cached"))}
    result = run(flow, datasets, executor=executor, workers=1, hooks=[NotesTheCache()])
    cached = {each.node: each.notes["cached"] for each in result.report.tasks}
    assert cached["b_read"] == 1
    assert cached["c_later"] == 0


@pytest.mark.parametrize("executor", ["sequential", "threads"])
def test_in_the_runners_process_a_cache_serves_the_next_reader(tmp_path, executor):
    log = tmp_path / "log"
    flow = pipeline(
        [
            node(nodes.same, "in", "cached", name="a_make"),
            node(nodes.same, "cached", "b", name="b_read"),
            node(nodes.same, "cached", "c", name="c_read"),
        ]
    )
    datasets = {"in": 1, "cached": nodes.CachingDataset(nodes.FileDataset(tmp_path / "cached", log))}
    run(flow, datasets, executor=executor)
    assert [what for what, _ in told(log)] == ["save", "release"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_listing_that_a_worker_made_early_is_made_anew_after_the_dataset_was_written(tmp_path, executor):
    class Peeks:
        @hookimpl
        def after_node_run(self, node, catalog):
            if node.name == "peek":
                note("seen", list(catalog.load("folder")))

    flow = pipeline(
        [
            node(nodes.same, "x", "y", name="peek"),
            node(nodes.same, "names", "folder", name="write", after="peek"),
            node(nodes.same, "folder", "found", name="read"),
        ]
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    # In the runner's process there is one object, whose own save refreshes it. In the worker it behaves as if
    # another process had written.
    datasets = {"x": 1, "names": ["a", "b"], "folder": nodes.Folder(folder, executor != "process_pool")}
    result = run(flow, datasets, executor=executor, workers=1, hooks=[Peeks()])
    seen = next(each.notes["seen"] for each in result.report.tasks if each.node == "peek")
    assert seen == []
    assert result["found"] == ["a", "b"]


def test_a_release_that_fails_is_a_warning_and_the_run_goes_on(caplog):
    flow = pipeline([node(nodes.same, "in", "odd", name="make"), node(nodes.same, "odd", "out", name="read")])
    assert run(flow, {"in": 1, "odd": nodes.Broken("release")})["out"] == 1
    (record,) = [each for each in caplog.records if each.levelname == "WARNING"]
    for part in ("'odd'", "could not be released", "OSError"):
        assert part in record.getMessage()
