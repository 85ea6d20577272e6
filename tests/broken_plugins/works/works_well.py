"""A distribution with one good plugin of each kind."""

from attrs import field, frozen

from kernel.datasets.dataset import Dataset
from kernel.specs.executor import Capabilities, Reach
from kernel.specs.markers import hookimpl


class WorksExecutor:
    """Runs nothing, correctly.

    A second line that no list shows.
    """

    default_catalog = "works"

    def __init__(self, depth, *, colour="red", path=None):
        self.capabilities = Capabilities(Reach.THREAD)
        self.depth, self.colour, self.path = depth, colour, path

    def validate_nodes(self, nodes): ...
    def start(self, program, workers): ...
    def submit(self, tasks): ...
    def wait(self, timeout=None): ...
    def wake(self): ...
    def cancel(self, *, kill): ...
    def capacity(self): ...
    def shutdown(self, *, cancel=False): ...


def make_executor(**options):
    """Make an executor, or half of one."""
    return object() if options.pop("half", False) else WorksExecutor(**options)


class WorksCatalog:
    def __init__(self, limit=10):
        if limit < 0:
            raise ValueError("limit must not be negative")
        if limit > 100:
            raise OSError("no room")

    def validate_catalog(self, names, values, reach, readers): ...
    def open(self, copy_modes, reach, workers): ...
    def handle(self, name): ...
    def adopt(self, names, handles): ...
    def release(self, names): ...
    def discard(self, handles): ...
    def worker_lost(self, worker): ...
    def settle(self, keep): ...
    def close(self): ...


@frozen
class WorksDataset(Dataset):
    """Holds nothing."""

    where: str
    tags: list = field(factory=list)

    def load(self): ...
    def save(self, data): ...


class Counts:
    """Counts nodes."""

    @hookimpl
    def after_node_run(self, node): ...

    @hookimpl(specname="before_worker_stop")
    def goodbye(self, worker): ...


ready = Counts()
