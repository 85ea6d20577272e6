"""Measures every case with every contender, prints a Markdown table for each and keeps all figures as JSON.

    python -m benchmarks [--quick] [--cases NAME,...] [--only NAME,...] [--output FILE]

A figure is the median of several repetitions, each until the caller has the values that no node reads. All repetitions
of a case are made in turn within one run; compare figures of one run only.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from benchmarks import machine, table
from benchmarks.cases import CASES
from benchmarks.contenders import CONTENDERS
from benchmarks.contest import Settings

RESULTS = Path(__file__).parent / "results"


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # with all that was started, some of which stands still
    settings = Settings(options.quick, options.workers, words(options.only))
    names = [name for name in CASES if not options.cases or any(part in name for part in words(options.cases))]
    # New processes shall find the bytecode that those before them made, as they do wherever it is not forbidden.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    about = machine.describe()
    print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    output = options.output or RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H.%M.%S}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    measured = {}
    for name in names:
        begun = monotonic()
        measured[name] = CASES[name](settings)
        print(f"\n{table.case_table(measured[name])}", flush=True)
        print(f"{name}: {monotonic() - begun:.0f} s", file=sys.stderr)
        # After each case, so that a run which is ended early leaves what it found.
        figures = {"machine": about, "workers": options.workers, "quick": options.quick, "cases": measured}
        output.write_text(json.dumps(figures, indent=1))
    if not settings.quick and any(case["targets"] for case in measured.values()):  # they are meant for full sizes
        print(f"\n{table.target_table(measured.values())}")


def words(text):
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def arguments():
    contenders = ", ".join(contender.name for contender in CONTENDERS)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"cases: {', '.join(CASES)}\n\ncontenders: {contenders}",
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, few repetitions, no engines: a smoke run")
    parser.add_argument("--cases", help="cases whose names have one of these parts, separated by commas")
    parser.add_argument("--only", help="contenders whose names have one of these parts, separated by commas")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--output", type=Path, help="where the JSON goes (default: benchmarks/results/)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
