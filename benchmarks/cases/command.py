"""The command on a Python file with three small nodes: the CPU time of the whole process tree, bytecode in place."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import figures, row
from benchmarks.trees import cpu_seconds

PROJECT = '''"""Three nodes."""

from kernel import node, pipeline as make


def split(text):
    return text.split()


def longest(words):
    return max(words, key=len)


pipeline = make(
    [
        node(split, "text", "words", name="split"),
        node(longest, "words", "longest", name="longest"),
        node(len, "words", "count", name="count"),
    ]
)
datasets = {"text": "so many small words"}
'''


def measure(settings):
    script = Path(sys.executable).with_name("kernel")
    command = [script] if script.exists() else [sys.executable, "-m", "kernel"]
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "kernel run, sequential": [*command, "run", "words.py"],
        "kernel run, process_pool": [*command, "run", "words.py", "--executor", "process_pool"],
    }
    seconds = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "words.py").write_text(PROJECT)
        # Bytecode goes to a folder of our own, so it is there from the second time on and is never forbidden.
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment = {**kept, "PYTHONPYCACHEPREFIX": f"{folder}/bytecode"}
        for turn in range(4 if settings.quick else 16):
            for name, words in commands.items():
                spent = cpu_seconds(words, cwd=folder, env=environment)
                if turn:
                    seconds[name].append(spent)
    rows = [row(f"`{name}`", median=found, least=[min(found)]) for name, found in seconds.items()]
    reference = (rows[0]["name"], "median")
    return figures("CPU time of a command", rows, columns=("median", "least"), reference=reference)
