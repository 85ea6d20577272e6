"""The plugins that are used when none is named: the only place where the kernel knows a plugin's name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["EXECUTOR", "PARALLEL_EXECUTOR", "VALUES"]

#: What runs a pipeline when nothing else is said. Its catalog is the one that it names itself.
EXECUTOR = "sequential"
#: What `ParallelRunner` stands for.
PARALLEL_EXECUTOR = "process_pool"
#: What is known of the values of libraries, by package: every process knows these without a search for entry points.
VALUES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ibis": "kernel_values.engines:LIBRARY",
        "numpy": "kernel_values.numpy_:LIBRARY",
        "pandas": "kernel_values.pandas_:LIBRARY",
        "polars": "kernel_values.polars_:LIBRARY",
        "pyarrow": "kernel_values.arrow:LIBRARY",
        "pyspark": "kernel_values.engines:LIBRARY",
    }
)
