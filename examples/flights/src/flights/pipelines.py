"""The project's pipelines: prepare the tables, model each airport, report."""

from __future__ import annotations

from functools import partial

from flights.airports import AIRPORTS
from flights.nodes.cleaning import clean_airlines, clean_airports, clean_flights, clean_planes, clean_weather
from flights.nodes.evaluation import collect_predictions, importance, measure, overall, predict_test
from flights.nodes.features import build_features
from flights.nodes.joining import join_tables
from flights.nodes.picture import draw
from flights.nodes.raw import TABLES, locate_tables
from flights.nodes.ridge import train_ridge
from flights.nodes.tables import delays_by_airport, delays_by_hour
from flights.nodes.traffic import recent_traffic
from flights.nodes.trees import train_trees
from kernel import Pipeline, node, pipeline


def pipelines() -> dict[str, Pipeline]:
    """Return all pipelines by name; `__default__` is what runs when none is named.

    `report` reads only what an earlier run has left in files, so that the picture can be drawn again.
    """
    prepared, reported = prepare(), report()
    return {"__default__": prepared + model() + reported, "prepare": prepared, "report": reported}


def prepare() -> Pipeline:
    """Read, clean and join the tables, and tell how the airports' day goes."""
    paths = [f"{table}_path" for table in TABLES]
    weather = ["weather_path", "params:min_visibility", "params:max_gap_h"]
    recent = ["flights_clean", "params:notice_min", "params:traffic_windows_min"]
    tables = ["flights_clean", "weather_clean", "planes_clean", "airports_clean", "airlines_clean", "traffic"]
    return pipeline(
        [
            node(locate_tables, "params:distribution", paths, name="locate_tables"),
            node(clean_flights, "flights_path", "flights_clean", name="clean_flights"),
            node(clean_weather, weather, "weather_clean", name="clean_weather"),
            node(clean_planes, "planes_path", "planes_clean", name="clean_planes"),
            node(clean_airports, "airports_path", "airports_clean", name="clean_airports"),
            node(clean_airlines, "airlines_path", "airlines_clean", name="clean_airlines"),
            node(recent_traffic, recent, "traffic", name="recent_traffic"),
            node(join_tables, [*tables, "params:notice_min"], "joined", name="join_tables"),
            node(delays_by_hour, "joined", "delays_by_hour", name="delays_by_hour"),
        ],
        tags="prepare",
    )


def model() -> Pipeline:
    """Train and test both models of each airport and measure them; `joined` comes from `prepare`."""
    predicted = [f"{airport}_predictions" for airport in AIRPORTS]
    return pipeline(
        [
            *(_model_one(airport) for airport in AIRPORTS),
            node(collect_predictions, predicted, "predictions", name="collect_predictions"),
            node(measure, "predictions", "metrics", name="measure"),
            node(overall, "metrics", "overall_metrics", name="overall"),
            node(delays_by_airport, ["joined", "metrics"], "delays_by_airport", name="delays_by_airport"),
        ],
        tags="model",
    )


def report() -> Pipeline:
    """Say what the models look at and draw the picture."""
    trees = [f"{airport}_trees_model" for airport in AIRPORTS]
    drawn = ["delays_by_hour", "predictions", "metrics", "feature_importance"]
    return pipeline(
        [
            node(importance, trees, "feature_importance", name="importance"),
            node(draw, drawn, "delays_picture", name="draw"),
        ],
        tags="report",
    )


def _model_one(airport: str) -> Pipeline:
    """Return the four nodes of one airport, with the airport's tag."""
    features, ridge, trees = f"{airport}_features", f"{airport}_ridge_model", f"{airport}_trees_model"
    known = ["joined", "params:split_date", "params:prior_flights"]
    build, predict = partial(build_features, airport), partial(predict_test, airport)
    judged = ["joined", features, ridge, trees]
    return pipeline(
        [
            node(build, known, features, name=f"{airport}_features"),
            node(train_ridge, [features, "params:ridge_strength"], ridge, name=f"{airport}_ridge"),
            node(train_trees, [features, "params:trees"], trees, name=f"{airport}_trees"),
            node(predict, judged, f"{airport}_predictions", name=f"{airport}_predict"),
        ],
        tags=airport,
    )
