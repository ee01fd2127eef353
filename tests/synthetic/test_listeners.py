import numpy as np
import pandas as pd
import pytest

from recommender.synthetic.listeners import Appeal, ListenerConfig, draw_affinity, draw_plays
from recommender.synthetic.world import WorldConfig, draw_world

START, END = np.datetime64("2022-01-01"), np.datetime64("2024-01-01")


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(3)
    styles = np.eye(4)[rng.integers(4, size=80)]
    appeal = Appeal(styles, rng.normal(size=(80, 3)), rng.integers(20, size=80))
    config = ListenerConfig(n_users=150)
    affinity = draw_affinity(appeal, config, rng)
    plays = draw_plays(affinity.total, np.full(80, START), START, END, config, rng)
    return affinity, plays


@pytest.fixture(scope="module")
def large():
    """The world of the demo, unheard."""
    return draw_world(WorldConfig())[0]


def centred(matrix):
    return matrix - matrix.mean(axis=1, keepdims=True)


def test_people_play_what_they_like_and_skip_what_they_do_not(drawn):
    affinity, plays = drawn
    felt = centred(affinity.total)[plays["user"], plays["track"]]
    assert felt.mean() > 0.5
    assert felt[plays["weight"] == 0].mean() < felt[plays["weight"] == 1].mean() - 0.5
    assert 0.05 < (plays["weight"] == 0).mean() < 0.3


def test_sound_explains_a_part_of_taste_and_only_a_part(drawn):
    affinity, _ = drawn
    rest = centred(affinity.total - affinity.audible)
    explained = np.var(centred(affinity.audible)) / np.var(centred(affinity.total))
    assert 0.25 < explained < 0.65
    assert abs(np.corrcoef(rest.ravel(), centred(affinity.audible).ravel())[0, 1]) < 0.15


def test_the_scene_cannot_be_heard():
    """Without a weight on sound, affinity is the same whatever the tracks sound like."""
    config = ListenerConfig(n_users=30, sound=0.0)
    rng = np.random.default_rng(0)
    artists = rng.integers(10, size=40)
    one, other = (
        draw_affinity(Appeal(np.eye(3)[styles], traits, artists), config, np.random.default_rng(1)).total
        for styles, traits in (
            (np.zeros(40, dtype=int), np.zeros((40, 2))),
            (rng.integers(3, size=40), rng.normal(size=(40, 2))),
        )
    )
    assert np.array_equal(one, other)


def test_nobody_plays_what_is_not_out():
    rng = np.random.default_rng(0)
    released = START + rng.integers(0, 700, 40).astype("timedelta64[D]")
    config = ListenerConfig(n_users=40)
    plays = draw_plays(rng.normal(size=(40, 40)).astype(np.float32), released, START, END, config, rng)
    assert np.all(plays["timestamp"].to_numpy() >= released[plays["track"]])
    assert plays["timestamp"].is_monotonic_increasing


def test_sessions_are_tracks_in_a_row_and_favourites_come_back(large):
    plays = large.past[large.past["user_id"] == large.past["user_id"].iloc[0]]
    gaps = np.diff(plays["timestamp"].to_numpy()) / np.timedelta64(1, "s")
    assert np.mean(gaps == 210) > 0.6
    counts = large.past[large.past["weight"] > 0].groupby(["user_id", "path"]).size()
    assert 1.5 < counts.mean() < 6
    assert counts.max() > 8


def test_the_large_world_has_the_size_that_was_asked_for(large):
    assert len(large.tracks) == 300
    assert large.tracks["artist"].nunique() > 50
    assert 35_000 < len(large.past) < 80_000
    new = pd.to_datetime(large.tracks["released"]) >= large.split_time
    assert 0.15 <= new.mean() <= 0.2
    known_artists = set(large.tracks.loc[~new, "artist"])
    of_known = large.tracks.loc[new, "artist"].isin(known_artists).mean()
    assert 0.35 < of_known < 0.85


def test_plays_of_the_future_grow_with_affinity(large):
    users = {user: row for row, user in enumerate(large.users)}
    rows = {path: row for row, path in enumerate(large.tracks["path"])}
    plays = np.zeros(large.affinity.shape)
    np.add.at(plays, (large.future["user_id"].map(users), large.future["path"].map(rows)), 1)
    order = np.argsort(np.argsort(large.affinity, axis=1), axis=1) * 5 // large.affinity.shape[1]
    of_fifth = np.array([plays[order == fifth].sum() for fifth in range(5)])
    assert np.all(np.diff(of_fifth) > 0)
    assert of_fifth[4] > 0.5 * plays.sum()


def test_the_truth_foretells_the_future_and_popularity_a_little(large):
    """NDCG@20 of first plays after the split: the oracle is far above popularity, that is above chance."""
    users = {user: row for row, user in enumerate(large.users)}
    rows = {path: row for row, path in enumerate(large.tracks["path"])}
    heard, liked = (np.zeros(large.affinity.shape, dtype=bool) for _ in range(2))
    heard[large.past["user_id"].map(users), large.past["path"].map(rows)] = True
    kept = large.future[large.future["weight"] > 0]
    liked[kept["user_id"].map(users), kept["path"].map(rows)] = True
    liked &= ~heard
    new = (pd.to_datetime(large.tracks["released"]) >= large.split_time).to_numpy()
    listeners = large.past[large.past["weight"] > 0].drop_duplicates(["user_id", "path"])["path"].map(rows)
    popularity = np.broadcast_to(np.bincount(listeners, minlength=300), heard.shape)
    chance = np.random.default_rng(0).random(heard.shape)

    def ndcg(scores, candidates):
        order = np.argsort(-np.where(candidates & ~heard, scores, -np.inf), axis=1, kind="stable")[:, :20]
        hits = np.take_along_axis(liked & candidates, order, axis=1)
        discount = 1 / np.log2(np.arange(2, 22))
        n = (liked & candidates).sum(axis=1)
        best = np.concatenate([[1.0], np.cumsum(discount)])[np.minimum(n, 20)]
        return ((hits * discount).sum(axis=1) / best)[n > 0].mean()

    assert ndcg(chance, ~new) < 0.09
    assert ndcg(popularity, ~new) > 1.4 * ndcg(chance, ~new)
    assert 0.4 < ndcg(large.affinity, ~new) < 0.7
    assert ndcg(chance, new) < 0.25
    assert 0.6 < ndcg(large.affinity, new) < 0.85
    assert ndcg(chance, new) + 0.2 < ndcg(large.audible, new) < ndcg(large.affinity, new) - 0.15
