"""One cleaner per raw table: types, plausible ranges, gaps; no table is joined to another here."""

from __future__ import annotations

import numpy as np
import pandas as pd

from flights.airports import AIRPORTS

ORIGIN = pd.CategoricalDtype(list(AIRPORTS))
MEASURED = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
FASTEST_WIND_MPH = 120.0  # the table holds one wind of 1,048 mph
FREEZING_F = 32.0


def clean_flights(path: str) -> pd.DataFrame:
    """Read one row per planned flight, 336,776 x 22, in the order of the raw table.

    Times of the day stay as the clock shows them (HHMM, New York); delays and `air_time` are minutes,
    `distance` miles. New are `sched_minute` (the planned departure in minutes since 1970, UTC), `weekday`
    (Monday is 0), `sched_clock` (minutes since local midnight), `date` (local) and `cancelled`.
    """
    named = dict.fromkeys(["carrier", "tailnum", "dest"], "category")
    frame = pd.read_csv(path, dtype={**named, "origin": ORIGIN})
    hour = _hours_since_1970(frame.pop("time_hour"))
    date = pd.to_datetime(frame[["year", "month", "day"]])
    frame["date"] = date.astype("datetime64[ns]")
    frame["weekday"] = date.dt.weekday.astype("int64")
    frame["sched_clock"] = frame["hour"] * 60 + frame["minute"]
    frame["sched_minute"] = hour * 60 + frame["minute"]
    frame["cancelled"] = frame["dep_time"].isna()
    return frame.drop(columns="year")


def clean_weather(path: str, min_visibility: float, max_gap_h: int) -> pd.DataFrame:
    """Read the weather of each airport in every hour of the year, about 26,200 x 17, without holes in time.

    Degrees Fahrenheit, miles per hour, inches, millibars and miles, as observed. `weather_hour` is the hour
    in hours since 1970 (UTC). An hour without an observation has that of up to `max_gap_h` hours before; no
    gust means a gust as strong as the wind. New are the wind's parts, three-hour rain and change of pressure,
    and the flags `freezing` and `low_visibility` (below `min_visibility` miles).
    """
    # Exact digits: the default reading of fractions differs in the last bit between versions of pandas.
    frame = pd.read_csv(path, dtype={"origin": ORIGIN}, float_precision="round_trip")
    frame["weather_hour"] = _hours_since_1970(frame["time_hour"])
    frame.loc[frame["wind_speed"] > FASTEST_WIND_MPH, ["wind_speed", "wind_gust"]] = np.nan
    hours = range(frame["weather_hour"].min(), frame["weather_hour"].max() + 1)
    grid = pd.MultiIndex.from_product([AIRPORTS, hours], names=["origin", "weather_hour"])
    frame = frame.astype({"origin": "object"}).set_index(["origin", "weather_hour"])[MEASURED].reindex(grid)
    frame = frame.groupby(level="origin").ffill(limit=max_gap_h)
    frame["wind_gust"] = frame["wind_gust"].fillna(frame["wind_speed"])
    angle = np.deg2rad(frame["wind_dir"])
    frame["wind_east"] = -frame["wind_speed"] * np.sin(angle)
    frame["wind_north"] = -frame["wind_speed"] * np.cos(angle)
    airport = frame.groupby(level="origin")
    frame["precip_3h"] = sum(airport["precip"].shift(hours) for hours in range(3))
    frame["pressure_change_3h"] = airport["pressure"].diff(3)
    frame["freezing"] = (frame["temp"] <= FREEZING_F).astype("float64")
    frame["low_visibility"] = (frame["visib"] < min_visibility).astype("float64")
    return frame.reset_index().astype({"origin": ORIGIN})


def clean_planes(path: str) -> pd.DataFrame:
    """Read one row per aircraft, 3,322 x 8; `speed` is dropped, as 99 of 100 aircraft have none."""
    words = dict.fromkeys(["type", "manufacturer", "model", "engine"], "category")
    frame = pd.read_csv(path, dtype=words).drop(columns="speed")
    return frame.rename(columns={"year": "plane_year", "type": "plane_type"})


def clean_airports(path: str) -> pd.DataFrame:
    """Read one row per airport, 1,458 x 6: degrees, `dest_alt` in feet, `dest_tz` in hours from UTC."""
    frame = pd.read_csv(path, dtype={"name": "category"}, float_precision="round_trip")
    kept = ["name", "lat", "lon", "alt", "tz"]
    return frame[["faa", *kept]].rename(columns={name: f"dest_{name}" for name in kept})


def clean_airlines(path: str) -> pd.DataFrame:
    """Read one row per airline, 16 x 2, with the legal form cut off its name."""
    frame = pd.read_csv(path)
    short = frame["name"].str.replace(r",? (Inc|Co|Corporation)\.?$", "", regex=True)
    return pd.DataFrame({"carrier": frame["carrier"], "airline": short.astype("category")})


def _hours_since_1970(text: pd.Series) -> pd.Series:
    """Turn timestamps of full hours (ISO 8601, UTC) into whole hours since 1970."""
    moment = pd.to_datetime(text, utc=True).dt.tz_localize(None).astype("datetime64[ns]")
    return moment.astype("int64") // 3_600_000_000_000
