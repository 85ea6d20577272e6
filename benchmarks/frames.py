"""What the nodes with a large frame do: five transforms as a data pipeline has them, each of the frame before."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

#: Bytes of a row as `make_frame` makes it: five numbers, and two texts with their offsets.
ROW_BYTES = 5 * 8 + 2 * 8 + 30
SHOPS, GOODS = 1_000, 20_000


def make_frame(megabytes):
    """Return numbers and texts in Arrow's own layout; the same ones each time."""
    rows = megabytes * 2**20 // ROW_BYTES
    chance = np.random.default_rng(7)
    shop, good = chance.integers(0, SHOPS, rows), chance.integers(0, GOODS, rows)
    return pd.DataFrame(
        {
            "day": np.arange(rows) // 1_000,
            "shop": shop,
            "amount": chance.integers(1, 20, rows),
            "price": chance.random(rows) * 100,
            "weight": chance.random(rows),
            "place": _texts([f"shop {number}" for number in range(SHOPS)], shop),
            "good": _texts([f"good no. {number:,} (new)" for number in range(GOODS)], good),
        }
    )


def _texts(words, chosen):
    return pd.Series(pa.array(words, pa.large_string()).take(pa.array(chosen)), dtype=pd.ArrowDtype(pa.large_string()))


def add_value(frame):
    return frame.assign(value=frame["amount"] * frame["price"])


def drop_light(frame):
    return frame[frame["weight"] > 0.02]


def tidy_goods(frame):
    return frame.assign(good=frame["good"].str.upper())


def add_share(frame):
    return frame.assign(share=frame["value"] / frame.groupby("shop")["value"].transform("sum"))


def put_in_order(frame):
    return frame.sort_values(["shop", "day"], ignore_index=True)


def summarise(frame):
    return float(frame["share"].sum() + frame["value"].iloc[::1000].sum() + frame["good"].iloc[-1].count("G"))


TRANSFORMS = (add_value, drop_light, tidy_goods, add_share, put_in_order)
