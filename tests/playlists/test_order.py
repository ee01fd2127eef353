import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.playlists.moves import (
    ARTIST_PENALTY,
    OrderCosts,
    cost_of,
    move_gains,
    moved,
    reversal_gains,
    reversed_at,
)
from recommender.playlists.order import greedy, order_tracks


def world(n, n_artists, seed=0, *, spacing=1, placed=False):
    """Make costs that are not symmetric, and artists by chance."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, n_artists, n)
    placing = rng.normal(size=(n, n)) ** 2 if placed else None
    return costs_of(rng.normal(size=(n, n)), codes, spacing, placing), codes


def costs_of(step, codes, spacing, placing=None):
    return OrderCosts(step, (codes[:, None] == codes) - np.eye(len(codes)), spacing, placing)


def ordered(costs, codes, first=0):
    return order_tracks(costs.step, codes, costs.spacing, first, costs.placing)


def test_a_line_is_walked_from_end_to_end():
    places = np.array([0.0, 0.9, 0.3, 1.5, 0.6, 1.2])
    assert order_tracks(np.abs(places[:, None] - places), np.arange(6)).tolist() == [0, 2, 4, 1, 5, 3]


def test_a_step_that_is_easy_one_way_only_is_taken_that_way():
    step = np.full((4, 4), 5.0)
    step[0, 3] = step[3, 1] = step[1, 2] = 0
    assert order_tracks(step, np.arange(4)).tolist() == [0, 3, 1, 2]
    assert order_tracks(step, np.arange(4), first=None).tolist() == [0, 3, 1, 2]


def test_cost_by_hand():
    step = np.array([[0, 1, 2], [10, 0, 4], [20, 40, 0]], dtype=float)
    codes, order = np.array([0, 1, 0]), np.array([0, 1, 2])
    assert cost_of(order, costs_of(step, codes, 0)) == 5
    assert cost_of(order, costs_of(step, codes, 1)) == 5
    assert cost_of(order, costs_of(step, codes, 2)) == 5 + ARTIST_PENALTY
    assert cost_of(np.array([1, 0, 2]), costs_of(step, codes, 1)) == 12 + ARTIST_PENALTY
    placing = np.array([[100, 0, 0], [0, 300, 0], [0, 0, 500]], dtype=float)
    assert cost_of(np.array([1, 0, 2]), costs_of(step, codes, 0, placing)) == 512


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99), st.integers(2, 9), st.integers(0, 4), st.integers(0, 1), st.booleans())
def test_the_gain_of_a_reversal_is_what_it_saves(seed, n, spacing, fixed, placed):
    costs, _ = world(n, 3, seed, spacing=spacing, placed=placed)
    order = np.random.default_rng(seed).permutation(n)
    gains = reversal_gains(order, costs, fixed)
    for start, stop in itertools.product(range(n), repeat=2):
        if fixed <= start < stop:
            saved = cost_of(order, costs) - cost_of(reversed_at(order, start, stop), costs)
            assert gains[start, stop] == pytest.approx(saved, abs=1e-9)
        else:
            assert gains[start, stop] == -np.inf


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99), st.integers(2, 8), st.integers(1, 3), st.integers(0, 1), st.booleans(), st.booleans())
def test_the_gain_of_a_move_is_what_it_saves(seed, n, length, fixed, placed, flip):
    costs, _ = world(n, 3, seed, spacing=seed % 2, placed=placed)
    order = np.random.default_rng(seed).permutation(n)
    length = min(length, n)
    gains = move_gains(order, costs, fixed, length, flip)
    for start, gap in itertools.product(range(n), range(n + 1)):
        if start >= fixed and start + length <= n and gap >= fixed and not start <= gap <= start + length:
            after = moved(order, start, length, gap, flip)
            assert sorted(after) == list(range(n))
            assert gains[start, gap] == pytest.approx(cost_of(order, costs) - cost_of(after, costs), abs=1e-9)
        else:
            assert gains[start, gap] == -np.inf


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9), st.integers(1, 12), st.integers(1, 5), st.integers(0, 3), st.booleans())
def test_every_track_once_the_first_stays_and_it_is_no_worse_than_greedy(seed, n, n_artists, spacing, placed):
    costs, codes = world(n, n_artists, seed, spacing=spacing, placed=placed)
    order = ordered(costs, codes, first=n - 1)
    assert sorted(order) == list(range(n))
    assert order[0] == n - 1
    assert cost_of(order, costs) <= cost_of(greedy(costs, n - 1), costs) + 1e-9


@pytest.mark.parametrize("placed", [False, True])
def test_close_to_the_best_of_all_orders(placed):
    excess = []
    for seed in range(12):
        costs, codes = world(7, 4, seed, placed=placed)
        every = np.array([cost_of(np.array([0, *rest]), costs) for rest in itertools.permutations(range(1, 7))])
        excess.append((cost_of(ordered(costs, codes), costs) - every.min()) / every.std())
    assert np.median(excess) < 1e-9
    assert max(excess) < 0.2


def test_with_nothing_to_choose_by_tracks_keep_their_order_but_artists_move_apart():
    apart = np.abs(np.arange(6)[:, None] - np.arange(6)) / 6
    assert order_tracks(apart, np.arange(6)).tolist() == list(range(6))
    codes = np.array([0, 0, 1, 1, 2, 2])
    order = order_tracks(apart, codes)
    assert order[0] == 0
    assert all(codes[order][:-1] != codes[order][1:])


def test_artists_are_kept_apart_wherever_that_is_possible():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        codes = np.repeat(np.arange(10), 3)
        order = order_tracks(rng.normal(size=(30, 30)), codes, spacing=3)
        found = codes[order]
        assert all((found[:-apart] != found[apart:]).all() for apart in (1, 2, 3))


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_short_lists(n):
    costs, codes = world(n, 1)
    assert sorted(ordered(costs, codes)) == list(range(n))
    assert sorted(ordered(costs, codes, first=None)) == list(range(n))


def test_the_other_of_two_can_be_first():
    assert order_tracks(np.zeros((2, 2)), np.arange(2), first=1).tolist() == [1, 0]


def test_the_same_seed_gives_the_same_order():
    costs, codes = world(40, 9, 3, placed=True)
    assert ordered(costs, codes).tolist() == ordered(costs, codes).tolist()


def test_fifty_tracks_take_less_than_50_ms():
    costs, codes = world(50, 20, spacing=2, placed=True)
    took_s = []
    for _ in range(5):
        start = time.process_time()
        ordered(costs, codes)
        took_s.append(time.process_time() - start)
    assert min(took_s) < 0.05
