"""Gradient-boosted regression trees on binned features, for squared error, in plain NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from flights.nodes.features import feature_names, matrix

if TYPE_CHECKING:
    import pandas as pd


class TreeSettings(TypedDict):
    """How to grow: all numbers are counts but for `learning_rate` and `subsample`, shares between 0 and 1."""

    rounds: int
    depth: int
    learning_rate: float
    bins: int
    min_leaf: int
    subsample: float
    seed: int


@dataclass(frozen=True)
class Tree:
    """A complete binary tree: 2^depth - 1 splits, level by level, and 2^depth leaves (minutes).

    A row goes right at a split when its code in `feature` is above `cut`.
    """

    feature: np.ndarray
    cut: np.ndarray
    leaves: np.ndarray
    gain: np.ndarray  # by how much each split lowers the sum of squared errors

    def predict(self, codes: np.ndarray) -> np.ndarray:
        """Return each row's leaf value (n) for codes (p x n, uint8)."""
        place = np.zeros(codes.shape[1], dtype=np.intp)
        rows = np.arange(codes.shape[1])
        for _ in range(len(self.leaves).bit_length() - 1):
            place = 2 * place + 1 + (codes[self.feature[place], rows] > self.cut[place])
        return self.leaves[place - len(self.feature)]


@dataclass(frozen=True)
class TreesModel:
    """The sum of many small trees: `edges` are each feature's limits of bins, `intercept` is in minutes."""

    names: tuple[str, ...]
    edges: tuple[np.ndarray, ...]
    trees: tuple[Tree, ...]
    intercept: float

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return delays in minutes (n) for features (n x p)."""
        codes = _codes(x, self.edges)
        total = np.full(len(x), self.intercept)
        for tree in self.trees:
            total += tree.predict(codes)
        return total

    def importance(self) -> np.ndarray:
        """Return each feature's share (p, sums to 1) of what all splits gained."""
        gained = np.zeros(len(self.names))
        for tree in self.trees:
            np.add.at(gained, tree.feature, tree.gain)
        return gained / gained.sum()


def train_trees(features: pd.DataFrame, settings: TreeSettings) -> TreesModel:
    """Fit on the training set; each round grows one tree on a random share of the rows (seeded)."""
    x, y, in_test = matrix(features)
    x, y = x[~in_test], y[~in_test]
    edges = tuple(_edges(column, settings["bins"]) for column in x.T)
    codes = _codes(x, edges)
    random = np.random.default_rng(settings["seed"])
    intercept = float(y.mean())
    rest = y - intercept
    trees: list[Tree] = []
    for _ in range(settings["rounds"]):
        rows = np.flatnonzero(random.random(len(y)) < settings["subsample"])
        tree = _grow(codes[:, rows], rest[rows], settings)
        rest -= tree.predict(codes)
        trees.append(tree)
    return TreesModel(feature_names(features), edges, tuple(trees), intercept)


def _edges(column: np.ndarray, bins: int) -> np.ndarray:
    """Return at most bins - 2 increasing limits, so that about as many known values lie between any two."""
    known = column[~np.isnan(column)]
    return np.unique(np.quantile(known, np.linspace(0, 1, bins)[1:-1]))


def _codes(x: np.ndarray, edges: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return the bin of each value, feature by feature (p x n, uint8); 0 stands for a missing value."""
    codes = np.empty(x.shape[::-1], dtype=np.uint8)
    for place, limits in enumerate(edges):
        column = x[:, place]
        codes[place] = np.where(np.isnan(column), 0, np.searchsorted(limits, column) + 1)
    return codes


def _grow(codes: np.ndarray, rest: np.ndarray, settings: TreeSettings) -> Tree:
    """Grow one tree on codes (p x n) for what is left to explain (n, minutes), level by level."""
    depth, bins = settings["depth"], settings["bins"]
    feature = np.zeros(2**depth - 1, dtype=np.intp)
    cut = np.full(2**depth - 1, bins, dtype=np.intp)  # above every code: all rows go left
    gain = np.zeros(2**depth - 1)
    place = np.zeros(len(rest), dtype=np.intp)
    rows = np.arange(len(rest))
    for level in range(depth):
        width = 2**level
        better = slice(width - 1, 2 * width - 1)
        first_cell = place * bins
        for candidate, column in enumerate(codes):
            at, won = _best_cuts(first_cell + column, rest, width, bins, settings["min_leaf"])
            wins = won > gain[better]
            feature[better][wins] = candidate
            cut[better][wins] = at[wins]
            gain[better][wins] = won[wins]
        split = place + width - 1
        place = 2 * place + (codes[feature[split], rows] > cut[split])
    count = np.bincount(place, minlength=2**depth)
    total = np.bincount(place, weights=rest, minlength=2**depth)
    return Tree(feature, cut, settings["learning_rate"] * total / np.maximum(count, 1), gain)


def _best_cuts(
    cell: np.ndarray, rest: np.ndarray, width: int, bins: int, min_leaf: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a feature's best cut in each of `width` places, and by how much it lowers the squared error."""
    count = np.bincount(cell, minlength=width * bins).reshape(width, bins).cumsum(axis=1)
    total = np.bincount(cell, weights=rest, minlength=width * bins).reshape(width, bins).cumsum(axis=1)
    right_count = count[:, -1:] - count
    right_total = total[:, -1:] - total
    won = (
        total**2 / np.maximum(count, 1)
        + right_total**2 / np.maximum(right_count, 1)
        - total[:, -1:] ** 2 / np.maximum(count[:, -1:], 1)
    )
    won[(count < min_leaf) | (right_count < min_leaf)] = 0.0
    at = won.argmax(axis=1)
    return at, won[np.arange(width), at]
