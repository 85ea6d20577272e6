"""The `ray` executor: runs nodes on a Ray cluster, or on a local instance of Ray that lives as long as the runner."""

from __future__ import annotations

from kernel_ray.executor import RayExecutor

__all__ = ["RayExecutor"]
