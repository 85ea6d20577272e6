"""What was known of the day's traffic when a delay is predicted: a look back from each planned departure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_OVERDUE_MIN = 180  # after that a flight no longer counts as waiting: most such flights are cancelled
AIRCRAFT_MEMORY_MIN = 1440

Minutes = np.ndarray  # of int64, minutes since 1970


def recent_traffic(flights: pd.DataFrame, notice_min: int, windows_min: Sequence[int]) -> pd.DataFrame:
    """Describe the traffic before each of the n flights, n x (4 for each window + 4), rows as in `flights`.

    Everything is seen from `notice_min` minutes before the planned departure; only what had happened by then
    counts. For each window of w minutes: the mean delay (minutes) of those who left in it, from the same
    airport (`origin_delay_w`), by the same airline there (`carrier_delay_w`), from all three airports
    (`city_delay_w`), and how many left the airport (`origin_departures_w`). NaN where nobody left. Then the
    airport's planned and overdue departures, and the same aircraft's last delay and the hours since.
    """
    earliest = -float(flights["dep_delay"].min())
    if notice_min <= earliest:
        raise ValueError(
            f"notice_min is {notice_min}, but flights have left up to {earliest:.0f} minutes early: "
            f"their own departure would be among what is known. Set notice_min above that."
        )
    sched = flights["sched_minute"].to_numpy()
    delay = flights["dep_delay"].to_numpy()
    known = sched - notice_min
    airport = flights["origin"].cat.codes.to_numpy().astype("int64")
    airline = airport * 100 + flights["carrier"].cat.codes.to_numpy()
    city = np.zeros_like(airport)
    columns: dict[str, np.ndarray] = {}
    for window in windows_min:
        columns[f"origin_delay_{window}"], left = _delay_before(airport, sched, delay, known, window)
        columns[f"origin_departures_{window}"] = left
        columns[f"carrier_delay_{window}"], _ = _delay_before(airline, sched, delay, known, window)
        columns[f"city_delay_{window}"], _ = _delay_before(city, sched, delay, known, window)
    columns["origin_planned"], columns["origin_overdue"] = _queue(airport, sched, delay, known)
    columns["aircraft_delay"], columns["aircraft_rest_h"] = _last_departure(flights, known)
    return pd.DataFrame(columns, index=flights.index)


def _delay_before(
    group: np.ndarray, sched: Minutes, delay: np.ndarray, known: Minutes, window: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean delay and number of the group's departures in (known - window, known], for each flight."""
    mean = np.full(len(sched), np.nan)
    left = np.zeros(len(sched))
    for label in np.unique(group):
        rows = np.flatnonzero(group == label)
        gone = rows[~np.isnan(delay[rows])]
        moment = sched[gone] + delay[gone].astype("int64")
        order = np.argsort(moment, kind="stable")
        moment = moment[order]
        total = np.concatenate([[0.0], np.cumsum(delay[gone][order])])
        last = np.searchsorted(moment, known[rows], side="right")
        first = np.searchsorted(moment, known[rows] - window, side="right")
        left[rows] = last - first
        some = last > first
        mean[rows[some]] = (total[last] - total[first])[some] / left[rows[some]]
    return mean, left


def _queue(airport: np.ndarray, sched: Minutes, delay: np.ndarray, known: Minutes) -> tuple[np.ndarray, np.ndarray]:
    """Return the departures planned within half an hour of each flight's, and those overdue at `known`.

    A flight is overdue from its planned departure until it leaves, but for LONGEST_OVERDUE_MIN at most; that
    it will be cancelled is not known yet.
    """
    waiting = np.clip(np.nan_to_num(delay, nan=LONGEST_OVERDUE_MIN), 0, LONGEST_OVERDUE_MIN)
    planned = np.zeros(len(sched))
    overdue = np.zeros(len(sched))
    for label in np.unique(airport):
        rows = np.flatnonzero(airport == label)
        begins = np.sort(sched[rows])
        ends = np.sort(sched[rows] + waiting[rows].astype("int64"))
        late = np.searchsorted(begins, sched[rows] + 30, side="right")
        planned[rows] = late - np.searchsorted(begins, sched[rows] - 30, side="left")
        begun = np.searchsorted(begins, known[rows], side="right")
        overdue[rows] = begun - np.searchsorted(ends, known[rows], side="right")
    return planned, overdue


def _last_departure(flights: pd.DataFrame, known: Minutes) -> tuple[np.ndarray, np.ndarray]:
    """Return the delay (minutes) with which the same aircraft last left New York, and the hours since."""
    plane = flights["tailnum"].cat.codes.to_numpy()
    asked = pd.DataFrame({"plane": plane, "moment": known, "row": np.arange(len(known))})
    gone = pd.DataFrame({"plane": plane, "moment": flights["sched_minute"], "delay": flights["dep_delay"]})
    gone = gone[(plane >= 0) & gone["delay"].notna()]
    gone["moment"] = gone["left"] = gone["moment"] + gone["delay"].astype("int64")
    met = pd.merge_asof(
        asked.sort_values("moment", kind="stable"),
        gone.sort_values("moment", kind="stable"),
        on="moment",
        by="plane",
        tolerance=AIRCRAFT_MEMORY_MIN,
    ).sort_values("row")
    return met["delay"].to_numpy(), ((met["moment"] - met["left"]) / 60).to_numpy()
