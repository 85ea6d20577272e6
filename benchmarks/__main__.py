"""Measures every graph with every contender, prints one Markdown table and keeps all figures as JSON.

    python -m benchmarks [--quick] [--only NAME,...] [--output FILE]

A figure is the median of several repetitions, each until the caller has the values that no node reads. All repetitions
of a graph are made in turn within one run; compare figures of one run only.
"""

from __future__ import annotations

import argparse
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import contest, graphs, import_cost, machine, table

RESULTS = Path(__file__).parent / "results"


def main():
    options = arguments()
    contenders = [
        name for name in contest.CONTENDERS if not options.only or any(part in name for part in options.only.split(","))
    ]
    # New processes shall find the bytecode that those before them made, as they do wherever it is not forbidden.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    about = machine.describe()
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    measured = {}
    for graph in graphs.all_graphs(quick=options.quick):
        measured[graph.title] = contest.measure(graph, options.workers, contenders)
    imports = import_cost.measure(3 if options.quick else 15)
    print(table.markdown(measured, contenders, imports))
    output = options.output or RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H.%M.%S}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    figures = {"machine": about, "workers": options.workers, "seconds": measured, "import_seconds": imports}
    output.write_text(json.dumps(figures, indent=1))


def arguments():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small graphs, few repetitions")
    parser.add_argument("--only", help="contenders whose names have one of these parts, separated by commas")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--output", type=Path, help="where the JSON goes (default: benchmarks/results/)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
