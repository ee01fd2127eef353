from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.evaluation import protocol
from recommender.evaluation.methods import Fits
from recommender.models.als import AlsConfig
from recommender.ranking.ranker import RankerConfig


@dataclass(frozen=True)
class Planted:
    """Two camps of listeners, two kinds of music; a track's embedding tells its kind, and little else."""

    catalog: Catalog
    interactions: Interactions
    embeddings: Embeddings
    affinity: np.ndarray


def plant(seed: int, n_users: int = 70, n_tracks: int = 90, first_users: int = 40, first_tracks: int = 50) -> Planted:
    rng = np.random.default_rng(seed)
    own = (np.arange(n_users) < first_users)[:, None] == (np.arange(n_tracks) < first_tracks)[None, :]
    fame = rng.uniform(0.5, 1.5, n_tracks)
    affinity = np.where(own, 0.35, 0.01) * fame
    users, tracks = np.nonzero(rng.random((n_users, n_tracks)) < affinity)
    order = rng.permutation(n_tracks)  # the two kinds do not lie one after the other
    position = np.argsort(order)
    ids = [f"t{row:02d}" for row in range(n_tracks)]
    times = np.datetime64("2024-01-01") + rng.integers(0, 100, len(users)).astype("timedelta64[D]")
    frame = pd.DataFrame(
        {
            "user_id": [f"u{row:02d}" for row in users],
            "item_id": [ids[position[row]] for row in tracks],
            "weight": rng.integers(1, 9, len(users)).astype(float),
            "timestamp": times,
        }
    )
    catalog = Catalog.of_ids(tuple(ids))
    vocabulary = Vocabulary("user", tuple(f"u{row:02d}" for row in range(n_users)))
    kind = np.where(order < first_tracks, 1.0, -1.0)
    vectors = kind[:, None] * rng.standard_normal(6) + 0.5 * rng.standard_normal((n_tracks, 6))
    return Planted(
        catalog,
        Interactions.from_frame(frame, vocabulary, catalog.tracks),
        Embeddings.without_clips(catalog.tracks, vectors.astype(np.float32), "planted"),
        affinity[:, order].astype(np.float32),
    )


@pytest.fixture(scope="session")
def planted() -> Planted:
    return plant(3)


@pytest.fixture(scope="session")
def small_ranker() -> RankerConfig:
    return RankerConfig(als=AlsConfig(factors=8, iterations=8))


@pytest.fixture(scope="module")
def cold(planted, small_ranker):
    task = protocol.cold_task(planted.interactions, np.ones(90, dtype=bool), fraction=0.3, seed=0)
    return task, Fits(planted.catalog, task.train, planted.embeddings, small_ranker, 0)


@pytest.fixture(scope="module")
def mixed(planted, small_ranker):
    task = protocol.mixed_task(planted.interactions, np.ones(90, dtype=bool), fraction=0.3, seed=0)
    return task, Fits(planted.catalog, task.train, planted.embeddings, small_ranker, 0)
