"""The executor on Ray: the conformance kit and what is Ray's own, on a cluster of two machines of one CPU each.

Run in a network of its own, for Ray listens on every interface: see tests/test_engine_ray.py.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

os.environ.update(
    RAY_USAGE_STATS_ENABLED="0",
    RAY_AUTH_MODE="disabled",  # nobody else is in this network
    RAY_TMPDIR=tempfile.mkdtemp(prefix="kr-", dir="/tmp"),  # its sockets need short names
)

import pytest
import ray
from ray.cluster_utils import Cluster

import ray_nodes
from kernel import Datasets, Runner, hookimpl, node, pipeline
from kernel.errors import ConfigError, KernelError, NodeError, ValidationError, WorkerLost
from kernel.testing import ExecutorSuite
from kernel_memory import MemoryCatalog
from kernel_ray import RayExecutor
from kernel_remote.engine import Ref
from watching import wait_until

FOLDER = Path(os.environ["RAY_TMPDIR"])
FLIGHTS = Path(__file__).parents[2] / "examples" / "flights"
MEMORY = 200_000_000


@pytest.fixture(scope="session")
def cluster():
    for name in ("stdout", "stderr"):
        os.environ.pop(name, None)
    made = Cluster(shutdown_at_exit=False)
    made.add_node(num_cpus=1, object_store_memory=MEMORY, include_dashboard=False)
    made.add_node(num_cpus=1, object_store_memory=MEMORY, resources={"gold": 2, "silver": 1})
    yield made
    ray.shutdown()
    made.shutdown()
    shutil.rmtree(FOLDER)


@pytest.fixture(scope="session")
def factory(cluster):
    return partial(RayExecutor, cluster.address)


@pytest.fixture(scope="module")
def runner(factory):
    """Return a runner that keeps its connection for all tests of this file that share it."""
    with Runner(factory, plugins=False) as made:
        yield made


class TestRay(ExecutorSuite):
    capabilities = RayExecutor.capabilities

    @pytest.fixture
    def executor_factory(self, factory):
        return factory

    @pytest.fixture
    def catalog_factory(self):
        return MemoryCatalog
