"""What is to be run: an immutable DAG of nodes, its slices, and the plan that schedule and workers need."""

from __future__ import annotations

from kernel.pipeline.outline import NodeGroup
from kernel.pipeline.pipeline import Pipeline, pipeline
from kernel.pipeline.plan import Plan

__all__ = ["NodeGroup", "Pipeline", "Plan", "pipeline"]
