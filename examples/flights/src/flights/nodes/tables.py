"""Tables for a reader: how the airports do, by themselves and over the day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from flights.airports import AIRPORTS

if TYPE_CHECKING:
    from flights.nodes.evaluation import Metrics

LATE_MIN = 15  # from here on the aviation authority calls a departure late


def delays_by_airport(joined: pd.DataFrame, metrics: Metrics) -> pd.DataFrame:
    """Return a row per airport, 3 x 14: the year's flights and delays (minutes), then the models' errors."""
    airport = joined.groupby("origin", observed=True)
    late = (joined["dep_delay"] >= LATE_MIN).where(joined["dep_delay"].notna())
    table = pd.DataFrame(
        {
            "flights": airport.size(),
            "destinations": airport["dest"].nunique(),
            "cancelled_percent": 100 * airport["cancelled"].mean(),
            "mean_delay_min": airport["dep_delay"].mean(),
            "median_delay_min": airport["dep_delay"].median(),
            "p90_delay_min": airport["dep_delay"].quantile(0.9),
            "late_percent": 100 * late.astype("float64").groupby(joined["origin"], observed=True).mean(),
        }
    ).reindex(list(AIRPORTS))
    for model in ("mean", "ridge", "trees"):
        for measure in ("mae", "rmse"):
            table[f"{model}_{measure}_min"] = [metrics[name][model][measure] for name in table.index]
    return table.round(3).rename_axis("origin").reset_index()


def delays_by_hour(joined: pd.DataFrame) -> pd.DataFrame:
    """Return a row per airport and planned hour (local), 57 x 6: flights, delays (minutes), cancelled."""
    hour = joined.groupby(["origin", "hour"], observed=True)
    table = pd.DataFrame(
        {
            "flights": hour.size(),
            "mean_delay_min": hour["dep_delay"].mean(),
            "median_delay_min": hour["dep_delay"].median(),
            "cancelled_percent": 100 * hour["cancelled"].mean(),
        }
    )
    return table.round(3).reset_index().astype({"origin": "str"})
