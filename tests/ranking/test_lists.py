"""Filters, the choice of the best rows, and the NDCG that parameters are chosen by."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from recommender.ranking.candidates import best_rows
from recommender.ranking.filters import cap_artists, leave_out
from recommender.ranking.measure import Lists, best_of, ndcg
from recommender.ranking.ranker import RecommendOptions, recommend, score_users


@given(st.lists(st.sampled_from([-np.inf, 0.0, 1.0, 2.5, -3.0]), max_size=30), st.integers(1, 40))
def test_best_rows_equal_a_full_sort(values, top):
    scores = np.array(values, dtype=np.float32)
    tie_break = np.arange(len(scores)) % 3
    slow = sorted(
        (row for row in range(len(scores)) if scores[row] > -np.inf),
        key=lambda row: (-scores[row], -tie_break[row], row),
    )
    assert best_rows(scores, top, tie_break).tolist() == slow[:top]


@given(st.lists(st.integers(0, 4), max_size=30), st.integers(1, 3))
def test_the_cap_keeps_the_first_of_each_artist(codes, cap):
    codes = np.array(codes, dtype=np.int32)
    rows = np.random.default_rng(0).permutation(len(codes))
    seen, slow = dict.fromkeys(range(5), 0), []
    for row in rows:
        slow.append(seen[codes[row]] < cap)
        seen[codes[row]] += 1
    assert cap_artists(rows, codes, cap).tolist() == slow


def test_leave_out_marks_heard_pairs():
    scores = np.zeros((2, 3), dtype=np.float32)
    leave_out(scores, sparse.csr_matrix([[0, 1, 0], [1, 0, 1]]))
    np.testing.assert_array_equal(scores == -np.inf, [[False, True, False], [True, False, True]])


@pytest.fixture
def hand_made():
    """Three users, five tracks, the last two new. User 0 heard track 0; user 2 has nothing hidden."""
    heard = sparse.csr_matrix(np.array([[1, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0]], dtype=np.float32))
    warm = sparse.csr_matrix(np.array([[0, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=np.float32))
    cold = sparse.csr_matrix(np.array([[0, 0, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=np.float32))
    return Lists(heard, warm, cold, np.array([0, 0, 0, 1, 1]) > 0, np.array([1, 1, 1, 0, 0]) > 0)


def test_ndcg_by_hand(hand_made):
    scores = np.array([[9, 1, 2, 3, 4], [5, 1, 4, 3, 2], [1, 2, 3, 4, 5]], dtype=np.float32)
    second, third, fifth = 1 / np.log2(3), 1 / np.log2(4), 1 / np.log2(6)
    # warm lists: user 0 sees 2, 1; user 1 sees 0, 2, 1
    expected = (second + (1 + third) / (1 + second)) / 2
    assert ndcg(scores, hand_made, "warm", "warm", 3) == pytest.approx(expected)
    assert ndcg(scores, hand_made, "cold", "cold", 3) == pytest.approx(1)
    # mixed lists: user 0 sees 4, 3, 2, 1; user 1 sees 0, 2, 3, 4, 1
    fourth = 1 / np.log2(5)
    assert ndcg(scores, hand_made, "all", "all", 9) == pytest.approx(
        ((1 + fourth) / (1 + second) + (1 + fifth) / (1 + second)) / 2
    )
    assert ndcg(scores, hand_made, "all", "warm", 9) == pytest.approx((fourth + (1 + fifth) / (1 + second)) / 2)
    assert ndcg(scores, hand_made, "all", "all", 1) == pytest.approx(1)


def test_a_heard_track_is_no_hit(hand_made):
    lists = Lists(hand_made.warm, hand_made.warm, hand_made.cold, hand_made.is_cold, hand_made.is_known)
    scores = np.array([[1, 9, 0, 0, 0], [9, 9, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=np.float32)
    assert ndcg(scores, lists, "all", "warm", 5) == 0


def test_nothing_hidden_is_zero(hand_made):
    empty = sparse.csr_matrix((3, 5), dtype=np.float32)
    lists = Lists(hand_made.heard, empty, empty, hand_made.is_cold, hand_made.is_known)
    assert ndcg(np.zeros((3, 5), dtype=np.float32), lists, "all", "all", 3) == 0


def test_tracks_that_nobody_can_judge_are_in_no_list(hand_made):
    lists = replace(hand_made, is_known=np.array([True, True, False, False, False]))
    scores = np.array([[9, 1, 8, 3, 4], [5, 1, 9, 3, 2], [1, 2, 3, 4, 5]], dtype=np.float32)
    assert best_of(scores, lists, "warm", 3).tolist() == [[1, -1, -1], [0, 1, -1], [0, -1, -1]]
    assert best_of(scores, lists, "all", 3).tolist() == [[4, 3, 1], [0, 3, 4], [4, 3, 0]]


def test_discovery_moves_new_tracks_and_keeps_their_order(hybrid, clusters):
    plays, heard = clusters.to_csr()[:-1], clusters.heard()[:-1]
    new = hybrid.evidence == 0

    def order_of_new(dial: float) -> list[list[int]]:
        ranked = np.argsort(-score_users(hybrid, plays, discovery=dial), axis=1, kind="stable")
        return [order[new[order]].tolist() for order in ranked]

    shares = []
    for dial in (0.0, 0.25, 0.5, 0.75, 1.0):
        lists = recommend(hybrid, plays, heard, RecommendOptions(top=10, discovery=dial))
        shares.append(np.mean([new[one.track_rows].mean() for one in lists]))
        assert order_of_new(dial) == order_of_new(0.5)
    assert shares == sorted(shares)
    assert shares[0] < 0.1 < 0.5 < shares[-1]
