"""Things that are no plugins of the kind they say."""

from kernel.datasets.dataset import Dataset

text = "an executor"


class Bare:
    def close(self): ...

    def submit(self, tasks): ...


class HalfDataset(Dataset):
    def load(self): ...
