"""Runs a suite of tests in a network of its own, for engines that listen on every interface."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def run_inner(suite: str, *arguments) -> None:
    """Run the tests of a file in tests/engines there; fail with what they say."""
    command = [sys.executable, TESTS / "loopback.py", sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, TESTS / "engines" / suite, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=TESTS.parent,
    )
    if done.returncode:
        pytest.fail(f"{suite} ended with {done.returncode}:\n{done.stdout[-20_000:]}", pytrace=False)
