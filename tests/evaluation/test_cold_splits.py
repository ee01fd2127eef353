from dataclasses import replace

import numpy as np
import pytest

from recommender.data.catalog import Catalog
from recommender.errors import DataError
from recommender.evaluation.cold_splits import hide_tracks, hide_users
from recommender.evaluation.protocol import mixed_task

ALL = np.ones(90, dtype=bool)
HOW = {"fraction": 0.2, "min_users": 5}


@pytest.fixture(scope="module")
def named(planted) -> Catalog:
    """Artists of one to seven tracks, release dates in an order that has nothing to do with the rows."""
    frame = planted.catalog.to_frame()
    artists = np.repeat(np.arange(30), np.resize([1, 2, 3, 5, 7], 30))[:90]
    frame["artist"] = [f"artist {number}" for number in artists]
    frame["released"] = [f"{1990 + row * 7 % 31}-01-01" for row in range(90)]
    return Catalog.from_frame(frame)


def undated(interactions):
    return replace(interactions, times=np.full(len(interactions), np.datetime64("NaT", "s")))


def test_artists_go_cold_as_a_whole(planted, named):
    codes = named.artist_codes()
    enough = planted.interactions.track_evidence() >= 5
    seen = []
    for seed in range(5):
        split = hide_tracks(planted.interactions, ALL, seed=seed, by="artist", catalog=named, **HOW)
        cold_artists = np.unique(codes[split.held_rows])
        assert not np.isin(codes[split.train.track_rows], cold_artists).any()
        np.testing.assert_array_equal(split.held_rows, np.flatnonzero(enough & np.isin(codes, cold_artists)))
        assert 0.1 * enough.sum() < len(split.held_rows) < 0.3 * enough.sum()
        seen += cold_artists.tolist()
    assert sorted(seen) == np.unique(codes[enough]).tolist()  # folds: each artist goes cold once


def test_an_artists_tracks_that_cannot_be_asked_about_are_hidden_too(planted, named):
    codes = named.artist_codes()
    some = np.arange(90) % 2 == 0
    split = hide_tracks(planted.interactions, some, seed=0, by="artist", catalog=named, **HOW)
    assert some[split.held_rows].all()
    assert not np.isin(codes[split.train.track_rows], codes[split.held_rows]).any()
    assert np.isin(split.test.track_rows, split.held_rows).all()


def test_artists_of_one_track_each_are_no_split(planted):
    with pytest.raises(DataError, match="artists with several tracks"):
        hide_tracks(planted.interactions, ALL, seed=0, by="artist", catalog=planted.catalog, **HOW)


def test_the_latest_tracks_are_the_last_that_were_first_played(planted):
    plays = planted.interactions
    first = np.array([plays.times[plays.track_rows == row].min() for row in range(90)])
    split = hide_tracks(plays, ALL, seed=0, by="time", **HOW)
    enough = plays.track_evidence() >= 5
    others = np.setdiff1d(np.flatnonzero(enough), split.held_rows)
    assert first[split.held_rows].min() >= first[others].max()
    assert len(split.held_rows) == round(0.2 * enough.sum())
    assert split.train.times.max() < first[split.held_rows].min()
    assert np.isin(split.test.user_rows, split.train.user_rows).all()


def test_without_times_the_release_date_decides(planted, named):
    split = hide_tracks(undated(planted.interactions), ALL, seed=0, by="time", catalog=named, **HOW)
    released = named.table["released"].to_numpy(dtype=str)
    enough = planted.interactions.track_evidence() >= 5
    others = np.setdiff1d(np.flatnonzero(enough), split.held_rows)
    assert min(released[split.held_rows]) >= max(released[others])
    with pytest.raises(DataError, match="needs plays with times or tracks with release dates: 0 of"):
        hide_tracks(undated(planted.interactions), ALL, seed=0, by="time", catalog=planted.catalog, **HOW)


@pytest.mark.parametrize("by", ["random", "time", "artist"])
def test_a_mixed_list_never_learns_from_a_cold_track(by, planted, named):
    task = mixed_task(planted.interactions, ALL, seed=1, by=by, catalog=named)
    (_, cold), (_, warm) = task.parts
    assert cold.nnz
    assert warm.nnz
    assert not np.isin(task.train.track_rows, cold.indices).any()


def test_new_users_are_unknown_and_have_plays_enough(planted):
    splits = [hide_users(planted.interactions, fraction=0.2, min_pairs=8, seed=seed) for seed in range(5)]
    counts = np.diff(planted.interactions.to_csr().indptr)
    for split in splits:
        assert (counts[split.held_rows] >= 8).all()
        assert not np.isin(split.train.user_rows, split.held_rows).any()
    together = np.concatenate([split.held_rows for split in splits])
    assert sorted(together.tolist()) == np.flatnonzero(counts >= 8).tolist()
    with pytest.raises(DataError, match="0 users played 500 tracks or more"):
        hide_users(planted.interactions, fraction=0.2, min_pairs=500, seed=0)
