"""The figures that the models have to reach on real listening: one split here, several in the experiment."""

import numpy as np
import pandas as pd
import pytest

from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.evaluation import protocol
from recommender.evaluation.cold_start import ColdStartConfig, run_cold_start_experiment
from recommender.evaluation.methods import METHODS, Fits
from recommender.evaluation.protocol import evaluate_method
from recommender.evaluation.suite import SUITE
from recommender.models.als import AlsConfig
from recommender.ranking.ranker import RankerConfig

pytestmark = pytest.mark.real

LIGHT = RankerConfig(als=AlsConfig(factors=32, iterations=8), validation_users=200)
"""A fraction of the default's time; the defaults reach more."""


@pytest.fixture(scope="module")
def listens(shared_dir) -> tuple[Catalog, Interactions, Embeddings]:
    folder = shared_dir / "listens"
    catalog = Catalog.from_frame(pd.read_csv(folder / "tracks.csv"))
    frame = pd.read_csv(folder / "interactions.csv").assign(timestamp=np.datetime64("NaT", "s"))
    timbre = pd.read_parquet(folder / "timbre.parquet")
    vectors = np.stack(timbre["embedding"].to_list()).astype(np.float32)
    return (
        catalog,
        Interactions.from_frame(frame, Vocabulary.of("user", frame["user_id"]), catalog.tracks),
        Embeddings.without_clips(Vocabulary("track", tuple(timbre["item_id"])), vectors, "timbre"),
    )


def test_als_reaches_its_true_strength_on_known_artists(listens):
    catalog, interactions, _ = listens
    task = protocol.warm_task(interactions, seed=0)
    fits = Fits(catalog, task.train, None, RankerConfig(), 0)
    figures = {
        name: evaluate_method(METHODS[name](task, fits), task, (20,), name=name).mean()
        for name in ("random", "popularity", "ALS alone")
    }
    # Several seeds by the same protocol: popularity .121 / .106, ALS .367 / .335.
    assert figures["popularity"]["recall@20"] == pytest.approx(0.121, abs=0.01)
    assert figures["popularity"]["ndcg@20"] == pytest.approx(0.106, abs=0.01)
    assert figures["ALS alone"]["ndcg@20"] >= 0.32
    assert figures["random"]["ndcg@20"] < 0.01


@pytest.mark.slow
def test_new_artists_are_found_by_their_timbre(listens, tmp_path):
    catalog, interactions, timbre = listens
    names = ("random", "popularity", "oracle popularity", "ALS alone", "content kNN", "audio alone", "First Listen")
    report = run_cold_start_experiment(
        catalog,
        interactions,
        timbre,
        ColdStartConfig(seeds=(0,), draws=200, ranker=LIGHT, tasks=("cold",)),
        tmp_path,
        suite={name: SUITE[name] for name in names},
    )
    recall = {name: report.figure("cold", name, "recall@10") for name in names}
    assert recall["random"] == pytest.approx(0.12, abs=0.02)
    assert recall["ALS alone"] == pytest.approx(0.12, abs=0.02)
    assert recall["First Listen"] > 0.35
    assert recall["First Listen"] > recall["content kNN"] > recall["random"] + 0.1
    assert recall["oracle popularity"] > recall["First Listen"]
