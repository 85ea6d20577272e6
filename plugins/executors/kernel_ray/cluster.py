"""What the connected cluster offers, asked for now and then."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Any

from kernel_ray.library import ray

__all__ = ["Cluster"]

#: How old an answer may be (seconds).
_FRESH_S = 1.0
#: Ray's names of what nodes ask for by other names. Everything else is called the same.
_NAMES = {"CPU": "cpu", "GPU": "gpu"}


class Cluster:
    """The nodes that are alive, each as what it offers; machines come and go."""

    def __init__(self) -> None:
        self._nodes: list[Mapping[str, float]] = []
        self._until = float("-inf")

    def slots(self) -> int:
        """Return how many CPUs there are, at least one."""
        return max(1, int(sum(node.get("cpu", 0.0) for node in self._fresh())))

    def most(self) -> Mapping[str, float]:
        """Return the most that any node has of each resource."""
        found: dict[str, float] = {}
        for node in self._fresh():
            for name, amount in node.items():
                found[name] = max(amount, found.get(name, 0.0))
        return found

    def fits(self, resources: Mapping[str, float]) -> bool:
        """Say whether one node has all of this."""
        return any(all(amount <= node.get(name, 0.0) for name, amount in resources.items()) for node in self._fresh())

    def _fresh(self) -> list[Mapping[str, float]]:
        now = monotonic()
        if now > self._until:
            nodes: list[dict[str, Any]] = ray.nodes()
            self._nodes = [_offer(node["Resources"]) for node in nodes if node["Alive"]]
            self._until = now + _FRESH_S
        return self._nodes


def _offer(resources: Mapping[str, float]) -> Mapping[str, float]:
    return {
        _NAMES.get(name, name): float(amount)
        for name, amount in resources.items()
        if not name.startswith("node:") and name != "object_store_memory"
    }
