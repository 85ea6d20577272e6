"""What the models of one airport learn from: numbers, known before departure, in fixed columns."""

from __future__ import annotations

import numpy as np
import pandas as pd

TARGET = "dep_delay"
IN_TEST = "in_test"

TAKEN = [
    "sched_clock", "weekday", "distance", "bearing", "dest_tz", "seats", "plane_age",
    "temp", "dewp", "humid", "wind_speed", "wind_gust", "wind_east", "wind_north", "precip", "precip_3h",
    "pressure", "pressure_change_3h", "visib", "freezing", "low_visibility",
    "origin_planned", "origin_overdue", "aircraft_delay", "aircraft_rest_h",
]  # fmt: skip
TRAFFIC_PREFIXES = ("origin_delay_", "origin_departures_", "carrier_delay_", "city_delay_")
HABITS = {"airline_habit": "carrier", "dest_habit": "dest", "hour_habit": "hour", "weekday_habit": "weekday"}


def build_features(airport: str, joined: pd.DataFrame, split_date: str, prior_flights: float) -> pd.DataFrame:
    """Return the flights that left `airport`, about 110,000 x 41: features, TARGET (minutes), IN_TEST (bool).

    Features are float64, NaN where not known. The columns in HABITS are mean delays (minutes) of an airline,
    a destination, an hour and a weekday in the training set, drawn towards its overall mean by
    `prior_flights`; the test set is what leaves on `split_date` or later. The index is that of `joined`.
    Cancelled flights have no delay and are left out.
    """
    mine = joined.loc[(joined["origin"] == airport) & joined[TARGET].notna()]
    in_test = mine["date"] >= pd.Timestamp(split_date)
    if in_test.all() or not in_test.any():
        raise ValueError(f"split_date {split_date} leaves the training or the test set of {airport} empty")
    traffic = [name for name in joined.columns if name.startswith(TRAFFIC_PREFIXES)]
    features = mine[[*TAKEN, *traffic]].astype("float64")
    for name, column in HABITS.items():
        features[name] = _habit(mine[column], mine[TARGET], ~in_test, prior_flights)
    features["clock_sin"] = np.sin(mine["sched_clock"] * (2 * np.pi / 1440))
    features["clock_cos"] = np.cos(mine["sched_clock"] * (2 * np.pi / 1440))
    features[TARGET] = mine[TARGET]
    features[IN_TEST] = in_test
    return features


def matrix(features: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split a table of features into X (n x p, float64, row by row), y (n, minutes) and the test mask (n)."""
    table = features.drop(columns=[TARGET, IN_TEST])
    # One memory layout, whatever way the frame came: sums then round alike on every executor.
    return (
        np.ascontiguousarray(table.to_numpy(dtype="float64")),
        np.ascontiguousarray(features[TARGET].to_numpy(dtype="float64")),
        np.ascontiguousarray(features[IN_TEST].to_numpy(dtype=bool)),
    )


def feature_names(features: pd.DataFrame) -> tuple[str, ...]:
    """Return the names of the columns of X."""
    return tuple(name for name in features.columns if name not in {TARGET, IN_TEST})


def _habit(group: pd.Series, delay: pd.Series, train: pd.Series, prior_flights: float) -> pd.Series:
    """Return the smoothed mean training delay (minutes) of each row's group."""
    overall = delay[train].mean()
    seen = delay[train].groupby(group[train], observed=True).agg(["sum", "count"])
    mean = (seen["sum"] + prior_flights * overall) / (seen["count"] + prior_flights)
    return group.map(mean).astype("float64").fillna(overall)
