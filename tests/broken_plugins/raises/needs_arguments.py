"""A listener that nobody can build."""

from kernel.specs.markers import hookimpl


class Listener:
    def __init__(self, address):
        self.address = address

    @hookimpl
    def after_node_run(self, node): ...
