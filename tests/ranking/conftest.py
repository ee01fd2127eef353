from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.ranking.ranker import HybridModel, RankerConfig, fit_hybrid

N_USERS, N_TRACKS, N_PLAYED, DIM = 48, 64, 54, 6


@pytest.fixture(scope="session")
def small_config() -> RankerConfig:
    config = RankerConfig()
    return replace(config, als=replace(config.als, factors=8, iterations=8))


@pytest.fixture(scope="session")
def cluster_of() -> np.ndarray:
    """Which of two kinds of music each track is; even rows are kind 0."""
    return np.arange(N_TRACKS) % 2


@pytest.fixture(scope="session")
def clusters_catalog() -> Catalog:
    """Two tracks an artist, of one kind; the last ten tracks have no plays."""
    rows = np.arange(N_TRACKS)
    return Catalog.from_frame(
        pd.DataFrame(
            {
                "item_id": [f"t{row:02d}" for row in rows],
                "title": [f"Title {row}" for row in rows],
                "artist": [f"Artist {row % 2}-{row // 4}" for row in rows],
                "duration_s": 180.0 + rows,
                "path": [f"music/{row}.mp3" for row in rows],
            }
        )
    )


@pytest.fixture(scope="session")
def clusters(clusters_catalog, cluster_of) -> Interactions:
    """Users with even rows play kind 0, the others kind 1, each once the other kind. The last user plays nothing."""
    rng = np.random.default_rng(5)
    rows = []
    for user in range(N_USERS - 1):
        mine = np.flatnonzero(cluster_of[:N_PLAYED] == user % 2)
        chance = np.linspace(2, 1, len(mine))
        played = rng.choice(mine, 9, replace=False, p=chance / chance.sum())
        other = rng.choice(np.flatnonzero(cluster_of[:N_PLAYED] != user % 2), 1)
        rows += [(f"u{user:02d}", f"t{track:02d}", float(rng.integers(1, 4))) for track in [*played, *other]]
        rows.append((f"u{user:02d}", f"t{(user * 7) % N_PLAYED:02d}", 0.0))
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "weight"])
    frame["timestamp"] = np.full(len(frame), np.datetime64("NaT"), dtype="datetime64[s]")
    users = Vocabulary("user", tuple(f"u{user:02d}" for user in range(N_USERS)))
    return Interactions.from_frame(frame, users, clusters_catalog.tracks)


def vectors_of(cluster_of: np.ndarray, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    vectors = 0.25 * rng.normal(size=(len(cluster_of), DIM))
    vectors[np.arange(len(cluster_of)), cluster_of] += 1
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="session")
def clusters_embeddings(clusters_catalog, cluster_of) -> Embeddings:
    """Unit vectors near one axis a kind, with two clips each: the track's own direction at 10 s, noise at 0 s."""
    vectors = vectors_of(cluster_of)
    noise = vectors_of(1 - cluster_of, seed=2)
    clips = np.stack([noise, vectors], axis=1).reshape(-1, DIM)
    tracks = np.repeat(np.arange(N_TRACKS), 2).astype(np.int32)
    starts_s = np.tile([0.0, 10.0], N_TRACKS).astype(np.float32)
    return Embeddings(clusters_catalog.tracks, vectors, clips, tracks, starts_s, "ears-1")


@pytest.fixture(scope="session")
def hybrid(clusters_catalog, clusters, clusters_embeddings, small_config) -> HybridModel:
    return fit_hybrid(clusters_catalog, clusters, clusters_embeddings, small_config)


@pytest.fixture(scope="session")
def cf_only(clusters_catalog, clusters, small_config) -> HybridModel:
    return fit_hybrid(clusters_catalog, clusters, None, small_config)


@pytest.fixture(scope="session")
def content_only(clusters_catalog, clusters, clusters_embeddings, small_config) -> HybridModel:
    nothing = clusters.select(np.zeros(len(clusters), dtype=bool))
    return fit_hybrid(clusters_catalog, nothing, clusters_embeddings, small_config)


@pytest.fixture(params=["hybrid", "cf_only", "content_only"])
def model(request) -> HybridModel:
    """Every kind of model."""
    return request.getfixturevalue(request.param)
