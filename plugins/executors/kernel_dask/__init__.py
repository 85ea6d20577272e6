"""The `dask` executor: runs nodes on a Dask cluster, given by address, by scheduler file, or made for the run."""

from __future__ import annotations

from kernel_dask.executor import DaskExecutor

__all__ = ["DaskExecutor"]
