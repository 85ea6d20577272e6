"""Ridge regression: least squares with a penalty on the size of the coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flights.nodes.features import feature_names, matrix

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RidgeModel:
    """A linear model of p features: `centre`, `scale`, `weights` are of length p, `intercept` is minutes."""

    names: tuple[str, ...]
    centre: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    intercept: float

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return delays in minutes (n) for features (n x p); what is missing counts as average."""
        return self.intercept + np.nan_to_num((x - self.centre) / self.scale) @ self.weights


def train_ridge(features: pd.DataFrame, strength: float) -> RidgeModel:
    """Fit on the training set; `strength` is the penalty per training flight on standardised features."""
    x, y, in_test = matrix(features)
    x, y = x[~in_test], y[~in_test]
    centre = np.nanmean(x, axis=0)
    scale = np.nanstd(x, axis=0)
    scale[scale == 0] = 1.0
    z = np.nan_to_num((x - centre) / scale)
    intercept = float(y.mean())
    gram = z.T @ z + strength * len(z) * np.eye(z.shape[1])
    weights = np.linalg.solve(gram, z.T @ (y - intercept))
    return RidgeModel(feature_names(features), centre, scale, weights, intercept)
