"""One picture of the results: four panels, as the text of an SVG file."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.dates import DateFormatter, DayLocator
from matplotlib.figure import Figure

from flights.airports import AIRPORTS
from flights.nodes.evaluation import ALL, MODELS, Metrics
from flights.nodes.features import TARGET

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLOURS = {"EWR": "#0072b2", "JFK": "#d55e00", "LGA": "#009e73"}
SHADES = {"mean": "#c8c8c8", "median": "#969696", "ridge": "#56b4e9", "trees": "#0072b2"}
NAMES = {"EWR": "Newark", "JFK": "Kennedy", "LGA": "LaGuardia", ALL: "All three"}
SHOWN_FEATURES = 10
FEWEST_FLIGHTS = 100  # an hour with fewer says little


def draw(by_hour: pd.DataFrame, predictions: pd.DataFrame, metrics: Metrics, importance: pd.DataFrame) -> str:
    """Return the picture as SVG; it is the same text for the same data, so that runs can be compared."""
    style = {"svg.hashsalt": "flights", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
    with mpl.rc_context(style):
        figure = Figure(figsize=(13, 9), layout="constrained")
        (hours, days), (errors, features) = figure.subplots(2, 2)
        _draw_hours(hours, by_hour)
        _draw_days(days, predictions)
        _draw_errors(errors, metrics)
        _draw_features(features, importance)
        figure.suptitle("Departure delays of flights from New York, 2013", fontsize=16, fontweight="bold")
        text = StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _draw_hours(axes: Axes, by_hour: pd.DataFrame) -> None:
    """Draw the mean delay (minutes) over the planned hour, a line per airport."""
    often = by_hour[by_hour["flights"] >= FEWEST_FLIGHTS]
    for airport in AIRPORTS:
        mine = often[often["origin"] == airport].set_index("hour")["mean_delay_min"]
        axes.plot(mine.index, mine, "o-", ms=4, color=COLOURS[airport], label=NAMES[airport])
    axes.set_title("Delays pile up over the day (whole year)", loc="left")
    axes.set_xlabel("planned hour of departure (local time)")
    axes.set_ylabel("mean departure delay (minutes)")
    axes.set_xticks(range(5, 24, 2))
    axes.axhline(0, color="black", lw=0.8)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


def _draw_days(axes: Axes, predictions: pd.DataFrame) -> None:
    """Draw the mean delay (minutes) of each test day, observed and predicted by the trees."""
    daily = predictions.groupby("date")[[TARGET, "trees", "mean"]].mean()
    axes.plot(daily.index, daily[TARGET], color="black", lw=1.3, label="observed")
    axes.plot(daily.index, daily["trees"], color=SHADES["trees"], lw=1.8, label="predicted (trees)")
    axes.plot(daily.index, daily["mean"], color="grey", lw=1, ls="--", label="mean of the training months")
    axes.set_xlim(daily.index[0], daily.index[-1])
    axes.xaxis.set_major_locator(DayLocator(bymonthday=[1, 15]))
    axes.xaxis.set_major_formatter(DateFormatter("%d %b"))
    axes.set_title("Predicted an hour ahead, day by day (test set)", loc="left")
    axes.set_xlabel("day (2013)")
    axes.set_ylabel("mean departure delay (minutes)")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper left")


def _draw_errors(axes: Axes, metrics: Metrics) -> None:
    """Draw the root mean squared error (minutes) of each model, a group of bars per airport."""
    groups = [*AIRPORTS, ALL]
    width = 0.8 / len(MODELS)
    for place, model in enumerate(MODELS):
        x = np.arange(len(groups)) + (place - (len(MODELS) - 1) / 2) * width
        errors = [metrics[name][model]["rmse"] for name in groups]
        bars = axes.bar(x, errors, width * 0.92, color=SHADES[model], label=model)
        axes.bar_label(bars, fmt="%.1f", fontsize=8, padding=1)
    axes.set_title("Error by airport (test set)", loc="left")
    axes.set_xticks(range(len(groups)), [NAMES[name] for name in groups])
    axes.set_xlabel("airport")
    axes.set_ylabel("root mean squared error (minutes)")
    axes.margins(y=0.18)
    axes.legend(frameon=False, ncols=len(MODELS), loc="upper center")


def _draw_features(axes: Axes, importance: pd.DataFrame) -> None:
    """Draw the share of the trees' gain (percent) of the greatest features, a bar per airport."""
    top = importance.head(SHOWN_FEATURES).iloc[::-1]
    height = 0.8 / len(AIRPORTS)
    for place, airport in enumerate(AIRPORTS):
        y = np.arange(len(top)) + (1 - place) * height
        axes.barh(y, 100 * top[airport], height * 0.92, color=COLOURS[airport], label=NAMES[airport])
    axes.set_title("What the trees look at", loc="left")
    axes.set_yticks(range(len(top)), [_spoken(name) for name in top["feature"]])
    axes.set_xlabel("share of the gain of all splits (percent)")
    axes.set_ylabel(f"feature (first {len(top)} of {len(importance)})")
    axes.legend(frameon=False, loc="lower right")


def _spoken(feature: str) -> str:
    """Return a feature's name in words: a number at its end is the length of a window in minutes."""
    words, _, window = feature.rpartition("_")
    if window.isdigit():
        return f"{words.replace('_', ' ')}, last {int(window) / 60:g} h"
    return feature.replace("_", " ")
