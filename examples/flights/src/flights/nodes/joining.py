"""All tables beside each other, one row per flight: the widest and largest frame of the project."""

from __future__ import annotations

import numpy as np
import pandas as pd


def join_tables(
    flights: pd.DataFrame,
    weather: pd.DataFrame,
    planes: pd.DataFrame,
    airports: pd.DataFrame,
    airlines: pd.DataFrame,
    traffic: pd.DataFrame,
    notice_min: int,
) -> pd.DataFrame:
    """Join all that is known about each flight, 336,776 x 65, about 150 MB; rows as in `flights`.

    The weather is that of the last full hour before the prediction, `notice_min` minutes before the planned
    departure: the weather at departure is not known yet. Aircraft and destinations without an entry get NaN.
    """
    hour = (flights["sched_minute"] - notice_min) // 60 - 1
    asked = flights[["origin"]].assign(weather_hour=hour)
    weather_then = asked.merge(weather, on=["origin", "weather_hour"], how="left", sort=False)
    joined = pd.concat(
        [
            flights,
            weather_then.drop(columns="origin").set_index(flights.index),
            _look_up(planes.set_index("tailnum"), flights["tailnum"]),
            _look_up(airports.set_index("faa"), flights["dest"]),
            _look_up(airlines.set_index("carrier"), flights["carrier"]),
            traffic,
        ],
        axis=1,
    )
    joined["plane_age"] = joined["date"].dt.year - joined["plane_year"]
    here = _look_up(airports.set_index("faa"), flights["origin"])
    joined["bearing"] = _bearing(here["dest_lat"], here["dest_lon"], joined["dest_lat"], joined["dest_lon"])
    return joined


def _look_up(table: pd.DataFrame, key: pd.Series) -> pd.DataFrame:
    """Return the table's row for each key (a categorical column): as many rows as `key`, with its index."""
    return table.reindex(pd.Index(key.astype("object"))).set_index(key.index)


def _bearing(lat: pd.Series, lon: pd.Series, to_lat: pd.Series, to_lon: pd.Series) -> pd.Series:
    """Return the direction of the shortest way, in degrees from north by east, from positions in degrees."""
    start, end = np.deg2rad(lat), np.deg2rad(to_lat)
    turn = np.deg2rad(to_lon - lon)
    east = np.sin(turn) * np.cos(end)
    north = np.cos(start) * np.sin(end) - np.sin(start) * np.cos(end) * np.cos(turn)
    return np.rad2deg(np.arctan2(east, north)) % 360
