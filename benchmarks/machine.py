"""What it was measured on, and with what."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DISTRIBUTIONS = (
    *("kernel-pipelines", "attrs", "pluggy", "numpy", "pandas", "pyarrow"),
    *("joblib", "loky", "dask", "distributed", "ray", "kedro"),
)


def describe():
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: found for name in DISTRIBUTIONS if (found := installed(name))},
        "load before": round(os.getloadavg()[0], 2),
    }


def installed(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def cpu_model():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
