"""One of two distributions that use the same names."""

from kernel.specs.markers import hookimpl


class Listener:
    @hookimpl
    def after_node_run(self, node): ...
