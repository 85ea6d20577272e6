"""What the names of datasets stand for: values in memory, objects, or entries of a catalog file."""

from kernel.datasets.dataset import CopyMode, Dataset, Version
from kernel.datasets.datasets import Datasets
from kernel.datasets.memory import MemoryDataset

__all__ = ["CopyMode", "Dataset", "Datasets", "MemoryDataset", "Version"]
