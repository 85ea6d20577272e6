"""What is to be run: an immutable DAG of nodes, its slices, and the plan that schedule and workers need."""

from __future__ import annotations

from kernel.pipelines.outline import NodeGroup
from kernel.pipelines.pipeline import Pipeline, pipeline
from kernel.pipelines.plan import Plan

__all__ = ["NodeGroup", "Pipeline", "Plan", "pipeline"]
