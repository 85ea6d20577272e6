"""What a run costs before its nodes run: pools made for it, libraries that its project imports, functions that share.

Each figure is of a new interpreter: seconds until a pool made for 1,000 no-op nodes is gone again, until a command has
ended, until its first node runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import time

from benchmarks.figures import Target, figures, row

#: 1,000 no-op nodes on two workers, the pool made for them and ended with them, by hand and by this project.
NOOPS = """
import sys
from time import perf_counter


def nothing():
    return 1


def loop():
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    begun = perf_counter()
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        values = [future.result() for future in [pool.submit(nothing) for _ in range(1000)]]
    return perf_counter() - begun, values


def joblib():
    from joblib import Parallel, delayed

    begun = perf_counter()
    values = Parallel(2)(delayed(nothing)() for _ in range(1000))
    return perf_counter() - begun, values


def process_pool():
    from kernel import Runner, node, pipeline

    flow = pipeline([node(nothing, None, f"value_{at}", name=f"node_{at}") for at in range(1000)])
    begun = perf_counter()
    with Runner("process_pool", workers=2) as runner, runner.run(flow) as result:
        values = [result[f"value_{at}"] for at in range(1000)]
    return perf_counter() - begun, values


if __name__ == "__main__":
    seconds, values = globals()[sys.argv[1]]()
    assert values == [1] * 1000
    print(seconds)
"""

#: 330 nodes whose functions share one object: in the first run of a pool made for them, and in the third.
SHARED = """
import sys
from time import perf_counter

from kernel import Runner, node, pipeline

rates = {f"law_{law}": {f"step_{step}": law * step / 7 for step in range(200)} for law in range(60)}


def rule(at):
    def tax():
        return rates[f"law_{at % 60}"]["step_1"]

    return tax


if __name__ == "__main__":
    flow = pipeline([node(rule(at), None, f"tax_{at}", name=f"rule_{at}") for at in range(330)])
    with Runner("process_pool", workers=2) as runner:
        took = []
        for _ in range(3):
            begun = perf_counter()
            with runner.run(flow) as result:
                assert result["tax_61"] == rates["law_1"]["step_1"]
            took.append(perf_counter() - begun)
    print(took[0] if sys.argv[1] == "cold" else took[-1])
"""

#: A model on a small frame; the first node notes when it runs.
MODEL = """
import os
from time import time

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

from kernel import node, pipeline as make


def data():
    with open(os.environ["NOTE"], "w") as file:
        file.write(str(time()))
    return pd.DataFrame({"x": np.arange(1000.0), "y": np.arange(1000.0) * 2})


def fit(data):
    return float(LinearRegression().fit(data[["x"]], data["y"]).coef_[0])


pipeline = make([node(data, None, "data", name="data"), node(fit, "data", "slope", name="fit")])
"""

#: Tables are cleaned and joined, a model is fitted and judged, and three plots are drawn.
FLIGHTS = """
import io

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split

from kernel import node, pipeline as make

ROWS = 20_000


def companies():
    rng = np.random.default_rng(1)
    return pd.DataFrame({"company": np.arange(500), "rating": rng.integers(1, 100, 500).astype(str) + "%"})


def shuttles():
    rng = np.random.default_rng(2)
    price = rng.uniform(1000, 9000, ROWS).round(2)
    return pd.DataFrame(
        {
            "shuttle": np.arange(ROWS),
            "company": rng.integers(0, 500, ROWS),
            "engines": rng.integers(1, 6, ROWS),
            "seats": rng.integers(1, 12, ROWS),
            "price": [f"${value:,}" for value in price],
        }
    )


def reviews():
    rng = np.random.default_rng(3)
    return pd.DataFrame({"shuttle": rng.permutation(ROWS), "score": rng.uniform(0, 100, ROWS)})


def clean_companies(companies):
    return companies.assign(rating=companies["rating"].str.rstrip("%").astype(float) / 100)


def clean_shuttles(shuttles):
    return shuttles.assign(price=shuttles["price"].str.replace(r"[$,]", "", regex=True).astype(float))


def join(companies, shuttles, reviews):
    return shuttles.merge(reviews, on="shuttle").merge(companies, on="company")


def split(table):
    return train_test_split(table[["engines", "seats", "rating", "score"]], table["price"], random_state=4)


def fit(x, y):
    return RandomForestRegressor(20, random_state=5).fit(x, y)


def judge(model, x, y):
    return float(r2_score(y, model.predict(x)))


def plot(column):
    def draw(table):
        figure, axes = plt.subplots()
        axes.hist(table[column], bins=60)
        axes.set_title(column)
        file = io.BytesIO()
        figure.savefig(file)
        plt.close(figure)
        return file.getvalue()

    draw.__name__ = draw.__qualname__ = f"plot_{column}"
    return draw


plot_price, plot_seats, plot_score = map(plot, ("price", "seats", "score"))

pipeline = make(
    [
        node(companies, None, "companies", name="companies"),
        node(shuttles, None, "shuttles", name="shuttles"),
        node(reviews, None, "reviews", name="reviews"),
        node(clean_companies, "companies", "good_companies", name="clean_companies"),
        node(clean_shuttles, "shuttles", "good_shuttles", name="clean_shuttles"),
        node(join, ["good_companies", "good_shuttles", "reviews"], "table", name="join"),
        node(split, "table", ["x", "x_test", "y", "y_test"], name="split"),
        node(fit, ["x", "y"], "model", name="fit"),
        node(judge, ["model", "x_test", "y_test"], "score", name="judge"),
        node(plot_price, "table", "price.png", name="plot_price"),
        node(plot_seats, "table", "seats.png", name="plot_seats"),
        node(plot_score, "table", "score.png", name="plot_score"),
    ]
)
"""
POOLS, FIRST, WHOLE, SHARING = "1,000 no-ops", "first node", "whole run", "330 functions that share"
EXECUTORS = ("sequential", "process_pool")


def measure(settings):
    taken = {}
    with tempfile.TemporaryDirectory() as name:
        place = _Place(Path(name), taken)
        for turn in range(3 if settings.quick else 8):
            place.counts = turn > 0  # the first compiles bytecode, and warms caches of files
            for way in ("loop", "joblib", "process_pool"):
                place.script(POOLS, way, NOOPS, way)
            for executor in EXECUTORS:
                place.first_node(FIRST, executor)
                place.command(WHOLE, executor)
            for when in ("cold", "warm"):
                place.script(SHARING, when, SHARED, when)
    rows = [row(name, **cells) for name, cells in taken.items()]
    columns = list(dict.fromkeys(column for cells in taken.values() for column in cells))
    targets = [
        Target((POOLS, "process_pool"), (POOLS, "loop"), 1.0),
        Target((FIRST, "process_pool"), (FIRST, "sequential"), 1.2),
        Target((WHOLE, "process_pool"), (WHOLE, "sequential"), 1.0),
    ]
    return figures("A start that nobody waits for", rows, columns=columns, targets=targets)


class _Place:
    """A folder with the scripts and projects, and the seconds that each took."""

    def __init__(self, folder, taken):
        self.folder, self.taken, self.counts = folder, taken, False
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self.environment = {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "NOTE": str(folder / "note")}
        for name, text in (("noops", NOOPS), ("shared", SHARED), ("model", MODEL), ("flights", FLIGHTS)):
            (folder / f"{name}.py").write_text(text)
        self.files = {NOOPS: "noops.py", SHARED: "shared.py"}

    def script(self, what, way, text, argument):
        self._take(what, way, float(self._run([sys.executable, self.files[text], argument])))

    def first_node(self, what, executor):
        begun = time()
        self._run([sys.executable, "-m", "kernel", "run", "model.py", "-x", executor])
        self._take(what, executor, float((self.folder / "note").read_text()) - begun)

    def command(self, what, executor):
        begun = time()
        self._run([sys.executable, "-m", "kernel", "run", "flights.py", "-x", executor])
        self._take(what, executor, time() - begun)

    def _run(self, command):
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def _take(self, what, way, seconds):
        if self.counts:
            self.taken.setdefault(what, {}).setdefault(way, []).append(seconds)
