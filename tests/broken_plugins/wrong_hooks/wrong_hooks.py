"""Listeners whose implementations fit no hook."""

from kernel.specs.markers import hookimpl


class Typo:
    @hookimpl
    def before_node_runs(self, node): ...


class Greedy:
    @hookimpl
    def before_node_run(self, node, session): ...


class Deaf:
    def before_node_run(self, node): ...
