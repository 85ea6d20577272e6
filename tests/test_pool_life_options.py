"""Options of the pool that make no sense are refused before anything runs, and say what would make some."""

from __future__ import annotations

import pytest

import pool_life
from kernel import Runner, node, pipeline
from kernel.errors import ConfigError
from kernel_process_pool.options import Options


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"threads_per_worker": -1}, "threads_per_worker should be a whole number not below 0, got -1"),
        ({"threads_per_worker": "two"}, "threads_per_worker should be a whole number not below 0, got 'two'"),
        ({"max_nodes_per_worker": 0}, "max_nodes_per_worker should be a whole number not below 1, got 0"),
        ({"max_nodes_per_worker": True}, "max_nodes_per_worker should be a whole number"),
        ({"max_worker_memory": "much"}, "max_worker_memory should be a number of bytes, or a size like .*, got 'much'"),
        ({"max_worker_memory": 0}, "max_worker_memory should be a number of bytes"),
        ({"starts_ahead": 1}, "starts_ahead should be true or false, got 1"),
        ({"report_silent_after": -1}, "report_silent_after should be a number of seconds not below 0, got -1"),
        ({"report_silent_after": None}, "report_silent_after should be a number of seconds"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(options, text):
    steps = pipeline([node(pool_life.process, "x", "y")])
    with pytest.raises(ConfigError, match=text):
        Runner("process_pool", executor_options=options).run(steps, {"x": 0})


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (None, None),
        (1000, 1000),
        ("1000", 1000),
        ("1.5 kB", 1500),
        ("2GB", 2_000_000_000),
        ("2 GiB", 2 << 30),
        ("500M", 500_000_000),
        ("1tib", 1 << 40),
    ],
)
def test_memory_is_given_in_bytes_or_as_people_write_it(given, size):
    assert Options.checked(None, None, given, 60, True).max_worker_memory == size
