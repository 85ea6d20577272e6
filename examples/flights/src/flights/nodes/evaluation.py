"""How good the models are on the test set, beside two guesses that know nothing of the flight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from flights.airports import AIRPORTS
from flights.nodes.features import TARGET, matrix

if TYPE_CHECKING:
    from flights.nodes.ridge import RidgeModel
    from flights.nodes.trees import TreesModel

MODELS = ("mean", "median", "ridge", "trees")
ALL = "all"

Metrics = dict[str, dict[str, dict[str, float]]]


def predict_test(
    airport: str, joined: pd.DataFrame, features: pd.DataFrame, ridge: RidgeModel, trees: TreesModel
) -> pd.DataFrame:
    """Predict the airport's test flights, about 27,000 x 10: who, when, TARGET and what each of MODELS says.

    Delays are minutes. `mean` and `median` are those of the training set, the same for all flights.
    """
    x, y, in_test = matrix(features)
    who = joined.loc[features.index[in_test], ["date", "carrier", "flight", "dest"]].reset_index(drop=True)
    who.insert(0, "origin", airport)
    return who.assign(
        **{TARGET: y[in_test]},
        mean=y[~in_test].mean(),
        median=np.median(y[~in_test]),
        ridge=ridge.predict(x[in_test]),
        trees=trees.predict(x[in_test]),
    )


def collect_predictions(*predicted: pd.DataFrame) -> pd.DataFrame:
    """Put the airports' predictions below each other, about 82,000 x 10."""
    return pd.concat(predicted, ignore_index=True)


def measure(predictions: pd.DataFrame) -> Metrics:
    """Return airport (and ALL) -> model -> `mae` and `rmse` (minutes), `r2`, `flights`, to four decimals."""
    groups = {airport: predictions[predictions["origin"] == airport] for airport in AIRPORTS}
    groups[ALL] = predictions
    return {
        name: {model: _errors(group[TARGET].to_numpy(), group[model].to_numpy()) for model in MODELS}
        for name, group in groups.items()
    }


def overall(metrics: Metrics) -> dict[str, dict[str, float]]:
    """Return model -> `mae`, `rmse` (minutes) and `r2` over all airports: what the end of the run shows."""
    return {model: {key: errors[key] for key in ("mae", "rmse", "r2")} for model, errors in metrics[ALL].items()}


def importance(*models: TreesModel) -> pd.DataFrame:
    """Return each feature's share of the gain in each airport's trees, p x 4, greatest mean first."""
    table = pd.DataFrame({"feature": models[0].names})
    for airport, model in zip(AIRPORTS, models, strict=True):
        table[airport] = model.importance().round(6)
    order = table[list(AIRPORTS)].mean(axis=1).sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def _errors(observed: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Measure predictions (n, minutes) against what was observed (n, minutes)."""
    miss = observed - predicted
    spread = observed - observed.mean()
    return {
        "mae": round(float(np.abs(miss).mean()), 4),
        "rmse": round(float(np.sqrt((miss**2).mean())), 4),
        "r2": round(float(1 - (miss**2).sum() / (spread**2).sum()), 4),
        "flights": len(observed),
    }
