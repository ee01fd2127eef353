from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.data.interactions import DISLIKED, Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError

NAT = np.datetime64("NaT", "s")


def make(rows: list[tuple[int, int, float]], n_users: int = 3, n_tracks: int = 4) -> Interactions:
    users = Vocabulary("user", tuple(f"u{n}" for n in range(n_users)))
    tracks = Vocabulary("track", tuple(f"t{n}" for n in range(n_tracks)))
    user_rows, track_rows, weights = (np.array([row[at] for row in rows]) for at in range(3))
    return Interactions(
        users,
        tracks,
        user_rows.astype(np.int32),
        track_rows.astype(np.int32),
        weights.astype(np.float32),
        np.full(len(rows), NAT),
    )


ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from([-1.0, 0.0, 1.0, 2.5])), max_size=30)


def test_plays_are_added_and_skips_are_heard_but_not_liked(tiny_world: Interactions) -> None:
    plays = tiny_world.to_csr().toarray()
    expected = np.zeros((7, 5))
    expected[0, :2] = 3, 1
    expected[1, :2] = 1, 2
    expected[2, 0] = 5
    expected[3, 2:4] = 1, 1
    expected[4, 2:4] = 2, 4
    expected[5, 3] = 2
    np.testing.assert_array_equal(plays, expected)
    heard = (expected > 0).astype(float)
    heard[2, 2] = 1  # u2 skipped t2
    np.testing.assert_array_equal(tiny_world.heard().toarray(), heard)
    assert tiny_world.to_csr().nnz == 10
    assert tiny_world.track_evidence().tolist() == [3, 2, 2, 3, 0]


@given(ROWS)
def test_matrices_equal_a_loop_over_the_rows(rows: list[tuple[int, int, float]]) -> None:
    plays, heard = np.zeros((3, 4), np.float32), np.zeros((3, 4), np.float32)
    for user, track, weight in rows:
        plays[user, track] += weight
        heard[user, track] = DISLIKED if weight < 0 or heard[user, track] == DISLIKED else 1
    plays[heard == DISLIKED] = 0
    interactions = make(rows)
    np.testing.assert_array_equal(interactions.to_csr().toarray(), plays)
    np.testing.assert_array_equal(interactions.heard().toarray(), heard)
    assert interactions.track_evidence().tolist() == (plays > 0).sum(axis=0).tolist()
    assert (interactions.to_csr().data > 0).all()


def test_from_frame_leaves_out_unknown_ids_and_keeps_the_rest_aligned() -> None:
    frame = pd.DataFrame(
        {
            "user_id": ["u1", "x", "u0", "u1", None],
            "item_id": ["t1", "t0", "y", "t0", "t0"],
            "weight": [1.0, 2.0, 3.0, 4.0, 5.0],
            "timestamp": pd.to_datetime(["2024-01-01", None, None, "2024-01-02 00:00:01", None], format="ISO8601"),
        },
        index=[9, 9, 1, 2, 3],
    )
    made = Interactions.from_frame(frame, Vocabulary("user", ("u0", "u1")), Vocabulary("track", ("t0", "t1")))
    assert made.user_rows.tolist() == [1, 1]
    assert made.track_rows.tolist() == [1, 0]
    assert made.weights.tolist() == [1.0, 4.0]
    assert made.times.tolist() == [datetime(2024, 1, 1), datetime(2024, 1, 2, 0, 0, 1)]
    assert (made.user_rows.dtype, made.weights.dtype, made.times.dtype.str) == (np.int32, np.float32, "<M8[s]")


def test_no_rows_are_fine() -> None:
    empty = make([])
    assert empty.to_csr().shape == (3, 4)
    assert empty.track_evidence().tolist() == [0, 0, 0, 0]


def test_select_keeps_the_vocabularies(tiny_world: Interactions) -> None:
    part = tiny_world.select(tiny_world.weights > 2)
    assert part.weights.tolist() == [3, 5, 4]
    assert part.users == tiny_world.users
    assert part.to_csr().shape == (7, 5)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((0, 0, -2.0), "finite and >= 0"),
        ((0, 0, np.nan), "finite and >= 0"),
        ((0, 0, np.inf), "finite and >= 0"),
        ((3, 0, 1.0), "names user row 3 of 3"),
        ((0, 4, 1.0), "names track row 4 of 4"),
    ],
)
def test_impossible_rows_are_refused(row: tuple[int, int, float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make([(0, 0, 1.0), row])


def test_columns_of_different_length_are_refused(tiny_world: Interactions) -> None:
    w = tiny_world
    with pytest.raises(DataError, match=r"different lengths: \[11, 12\]"):
        Interactions(w.users, w.tracks, w.user_rows, w.track_rows, w.weights[:-1], w.times)


def test_over_another_vocabulary_keeps_the_plays_of_its_tracks(tiny_world):
    fewer = Vocabulary("track", ("t3", "new", "t0"))
    moved = tiny_world.over(fewer)
    assert moved.tracks == fewer
    assert moved.users == tiny_world.users
    whole = tiny_world.to_csr().toarray()
    assert moved.to_csr().toarray().tolist() == np.stack([whole[:, 3], 0 * whole[:, 0], whole[:, 0]], axis=1).tolist()
