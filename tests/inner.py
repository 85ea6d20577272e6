"""Runs a suite of engines' tests as its own pytest, in a network that has nothing but a loopback."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def run_inner(suite: str, *arguments: str) -> None:
    """Run a suite, given relative to this folder; fail with its output unless all of it passes."""
    command = [sys.executable, TESTS / "loopback.py", sys.executable, "-m", "pytest", TESTS / suite, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=TESTS.parent)
    try:
        output, _ = process.communicate()
    except BaseException:
        process.send_signal(signal.SIGINT)  # it ends what it started
        print(process.communicate()[0])
        raise
    if process.returncode:
        pytest.fail(f"{suite} ended with {process.returncode}:\n{output}", pytrace=False)
