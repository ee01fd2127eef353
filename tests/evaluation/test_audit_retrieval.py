import numpy as np
import pandas as pd
import pytest

from recommender.data.catalog import Catalog
from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.evaluation.audit import judge_neighbourhood, judge_retrieval
from recommender.evaluation.audit_retrieval import cold_retrieval, neighbourhood
from recommender.models.factors import AlsConfig

N_TRACKS, N_USERS, N_KINDS = 120, 150, 4
ALS = AlsConfig(factors=8, iterations=6)


@pytest.fixture(scope="module")
def world():
    """Users who play one kind of music; artists who make one kind."""
    rng = np.random.default_rng(0)
    kinds = np.arange(N_TRACKS) % N_KINDS
    frame = pd.DataFrame(
        {"item_id": [f"t{n}" for n in range(N_TRACKS)], "artist": [f"a{n % 24}" for n in range(N_TRACKS)]}
    )
    catalog = Catalog.from_frame(frame)
    users, tracks = [], []
    for user in range(N_USERS):
        liked = rng.choice(np.flatnonzero(kinds == user % N_KINDS), 14, replace=False)
        mixed = np.concatenate([liked, rng.choice(N_TRACKS, 3, replace=False)])
        users += [user] * len(np.unique(mixed))
        tracks += np.unique(mixed).tolist()
    names = Vocabulary("user", tuple(f"u{n}" for n in range(N_USERS)))
    rows = (np.array(users, np.int32), np.array(tracks, np.int32))
    plays = Interactions(
        names, catalog.tracks, *rows, np.ones(len(users), np.float32), np.full(len(users), "NaT", "M8[s]")
    )
    return catalog, plays, kinds


def sound_of(kinds: np.ndarray, noise: float = 0.4, seed: int = 1) -> np.ndarray:
    centres = np.random.default_rng(5).normal(size=(N_KINDS, 16))
    return (centres[kinds] + noise * np.random.default_rng(seed).normal(size=(len(kinds), 16))).astype(np.float32)


def checks_of(world, vectors, lazy=None, **options):
    catalog, plays, _ = world
    retrieval = cold_retrieval(catalog, plays, vectors, np.ones(N_TRACKS, bool), ALS, lazy=lazy, **options)
    return retrieval, {check.name: check for check in judge_retrieval(retrieval)}


def test_music_that_is_heard_finds_new_tracks_and_shuffled_vectors_do_not(world):
    lazy = np.random.default_rng(2).normal(size=(N_TRACKS, 4)).astype(np.float32)
    retrieval, checks = checks_of(world, sound_of(world[2]), lazy)
    assert retrieval.worth["embedding"].low > 1.5 * retrieval.worth["chance"].high
    assert retrieval.worth["shuffled"].mean == pytest.approx(retrieval.worth["chance"].mean, abs=0.05)
    assert retrieval.share("other artists only") > 0.7
    assert [check.name for check in checks.values() if check.verdict != "ok"] == []
    assert not retrieval.untouched


def test_likes_that_go_with_loudness_are_found(world):
    loudness = (np.eye(4)[world[2]] + 0.1 * np.random.default_rng(3).normal(size=(N_TRACKS, 4))).astype(np.float32)
    _, checks = checks_of(world, sound_of(world[2]), loudness)
    assert checks["a lazy listener: loudness and bandwidth"].verdict == "found"


def test_vectors_that_only_know_artists_again_are_found(world):
    names = np.arange(N_TRACKS) % 24
    vectors = np.random.default_rng(4).normal(size=(24, 32)).astype(np.float32)[names]
    vectors += 0.05 * np.random.default_rng(5).normal(size=vectors.shape).astype(np.float32)
    _, checks = checks_of(world, vectors)
    assert checks["new tracks by their sound"].verdict == "ok"
    assert checks["without the artists themselves"].verdict == "warning"


def test_vectors_that_say_nothing_gain_nothing(world):
    vectors = np.random.default_rng(6).normal(size=(N_TRACKS, 16)).astype(np.float32)
    _, checks = checks_of(world, vectors)
    assert checks["new tracks by their sound"].verdict == "warning"
    assert "a lazy listener: loudness and bandwidth" not in checks


def test_what_the_network_was_not_trained_on_is_hidden(world):
    retrieval, _ = checks_of(world, sound_of(world[2]), untouched=np.arange(20, dtype=np.int32))
    assert (retrieval.n_cold, retrieval.untouched) == (20, True)


def test_neighbours_of_one_artist_and_hubs_are_counted():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 8)).astype(np.float32)
    vectors[0] = 0.0
    artists, albums = np.arange(300) // 3, np.arange(300)
    near = neighbourhood(vectors, artists, albums)
    assert near.same_artist < 0.05
    assert near.same_album == 0
    assert near.artist_by_chance == pytest.approx(2 / 299)
    assert [check.verdict for check in judge_neighbourhood(near)] == ["ok", "ok"]

    lengths = np.concatenate([np.full(3, 0.02), np.full(297, 3.0)])[:, None]
    spoke = np.ones(40) + 0.01 * rng.normal(size=(300, 40))
    far = np.concatenate([spoke[:3], rng.normal(size=(297, 40)) + 0.6 * spoke[3:]]) * lengths
    centred = neighbourhood(far.astype(np.float32), artists, albums)
    assert centred.hub_most >= 10

    same = neighbourhood(
        rng.normal(size=(30, 8)).astype(np.float32)[np.arange(300) // 10], np.arange(300) // 10, albums
    )
    assert same.same_artist > 0.8
