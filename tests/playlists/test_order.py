import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.playlists.order import ARTIST_PENALTY, cost_of, order_tracks


def world(n, n_artists, seed=0, dim=4):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), np.ones(n, dtype=bool), rng.integers(0, n_artists, n)


def costs(vectors, codes):
    step = 1 - vectors.astype(float) @ vectors.T.astype(float)
    same = (codes[:, None] == codes[None, :]) - np.eye(len(codes))
    return step, same


def test_a_line_is_walked_from_end_to_end():
    angles = np.array([0.0, 0.9, 0.3, 1.5, 0.6, 1.2])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    order = order_tracks(vectors, np.ones(6, bool), np.arange(6), spacing=1, first=0)
    assert order.tolist() == [0, 2, 4, 1, 5, 3]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9), st.integers(2, 12), st.integers(1, 5), st.integers(0, 3))
def test_every_track_once_the_first_stays(seed, n, n_artists, spacing):
    vectors, has_vector, codes = world(n, n_artists, seed)
    has_vector[seed % n] = False
    order = order_tracks(vectors, has_vector, codes, spacing, first=n - 1)
    assert sorted(order) == list(range(n))
    assert order[0] == n - 1


@pytest.mark.parametrize("seed", range(6))
def test_close_to_the_best_of_all_orders(seed):
    vectors, has_vector, codes = world(7, 4, seed)
    step, same = costs(vectors, codes)
    best = min(cost_of(np.array([0, *rest]), step, same, 1) for rest in itertools.permutations(range(1, 7)))
    found = cost_of(order_tracks(vectors, has_vector, codes, 1, first=0), step, same, 1)
    assert found <= best + 1
    assert found < best + ARTIST_PENALTY  # no avoidable neighbours of one artist


def test_cost_by_hand():
    step = np.array([[0, 1, 2], [1, 0, 4], [2, 4, 0]], dtype=float)
    same = np.array([[0, 0, 1], [0, 0, 0], [1, 0, 0]], dtype=float)
    order = np.array([0, 1, 2])
    assert cost_of(order, step, same, 0) == 5
    assert cost_of(order, step, same, 1) == 5
    assert cost_of(order, step, same, 2) == 5 + ARTIST_PENALTY
    assert cost_of(np.array([1, 0, 2]), step, same, 1) == 3 + ARTIST_PENALTY


def test_without_sound_tracks_keep_their_order_but_artists_move_apart():
    vectors, none = np.zeros((6, 0), dtype=np.float32), np.zeros(6, dtype=bool)
    assert order_tracks(vectors, none, np.arange(6), 1).tolist() == list(range(6))
    codes = np.array([0, 0, 1, 1, 2, 2])
    order = order_tracks(vectors, none, codes, 1)
    assert order[0] == 0
    assert all(codes[order][:-1] != codes[order][1:])


@pytest.mark.parametrize("n", [0, 1, 2])
def test_short_lists(n):
    vectors, has_vector, codes = world(n, 1)
    assert sorted(order_tracks(vectors, has_vector, codes, 2)) == list(range(n))


def test_the_other_of_two_can_be_first():
    vectors, has_vector, codes = world(2, 2)
    assert order_tracks(vectors, has_vector, codes, 1, first=1).tolist() == [1, 0]


def test_an_open_start_is_no_worse():
    vectors, has_vector, codes = world(30, 10, 3)
    step, same = costs(vectors, codes)
    fixed = cost_of(order_tracks(vectors, has_vector, codes, 1, first=0), step, same, 1)
    free = cost_of(order_tracks(vectors, has_vector, codes, 1, first=None), step, same, 1)
    assert free <= fixed + 1e-9


def test_fifty_tracks_take_less_than_50_ms():
    vectors, has_vector, codes = world(50, 20, dim=64)
    took_s = []
    for _ in range(3):
        start = time.perf_counter()
        order_tracks(vectors, has_vector, codes, 2)
        took_s.append(time.perf_counter() - start)
    assert min(took_s) < 0.05
