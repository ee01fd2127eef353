import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from scipy import sparse

from recommender.errors import DataError
from recommender.evaluation import metrics
from recommender.evaluation.metrics import NOTHING

LOG2_3 = math.log2(3)


def relevant_matrix(sets: list[set[int]], n_tracks: int) -> sparse.csr_matrix:
    dense = np.zeros((len(sets), n_tracks), dtype=np.float32)
    for row, wanted in enumerate(sets):
        dense[row, list(wanted)] = 1
    return sparse.csr_matrix(dense)


def slow_figures(ranked: list[int], wanted: set[int], k: int) -> tuple[float, float, float]:
    """Recall, NDCG and reciprocal rank of one list, read straight from their definitions."""
    if not wanted:
        return math.nan, math.nan, math.nan
    found, gain, ideal, reciprocal = 0, 0.0, 0.0, 0.0
    for position, track in enumerate(ranked[:k], start=1):
        if track in wanted:
            found += 1
            gain += 1 / math.log2(position + 1)
            reciprocal = reciprocal or 1 / position
    for position in range(1, min(k, len(wanted)) + 1):
        ideal += 1 / math.log2(position + 1)
    return found / min(k, len(wanted)), gain / ideal, reciprocal


def fast_figures(ranked: np.ndarray, relevant: sparse.csr_matrix, k: int) -> np.ndarray:
    hits, n = metrics.find_hits(ranked, relevant), metrics.count_relevant(relevant)
    return np.stack(
        [metrics.recall_at_k(hits, n, k), metrics.ndcg_at_k(hits, n, k), metrics.reciprocal_rank_at_k(hits, n, k)],
        axis=1,
    )


def test_values_worked_by_hand():
    # User 0 wants 1 and 3, gets 3 at rank 1 and 1 at rank 3; user 1 wants 0 to 3, gets 0 at rank 2; user 2 wants none.
    relevant = relevant_matrix([{1, 3}, {0, 1, 2, 3}, set()], 6)
    ranked = np.array([[3, 5, 1], [4, 0, 5], [0, 1, 2]], dtype=np.int32)
    at_2, at_3 = fast_figures(ranked, relevant, 2), fast_figures(ranked, relevant, 3)
    np.testing.assert_allclose(at_2[0], [1 / 2, 1 / (1 + 1 / LOG2_3), 1])
    np.testing.assert_allclose(at_3[0], [1, (1 + 1 / 2) / (1 + 1 / LOG2_3), 1])
    # Recall@3 divides by min(3, 4).
    np.testing.assert_allclose(at_3[1], [1 / 3, (1 / LOG2_3) / (1 + 1 / LOG2_3 + 1 / 2), 1 / 2])
    np.testing.assert_allclose(at_2[1], [1 / 2, (1 / LOG2_3) / (1 + 1 / LOG2_3), 1 / 2])
    assert np.isnan(at_3[2]).all()


def test_a_perfect_list_scores_one_at_every_k():
    relevant = relevant_matrix([set(range(5))], 8)
    ranked = np.array([[4, 2, 0, 1, 3, 7]], dtype=np.int32)
    for k in range(1, 7):
        np.testing.assert_allclose(fast_figures(ranked, relevant, k), 1)


def test_short_lists_count_what_they_have():
    ranked = metrics.pad_lists([np.array([2]), np.array([], dtype=np.int64), np.array([1, 0, 2])], 2)
    np.testing.assert_array_equal(ranked, [[2, NOTHING], [NOTHING, NOTHING], [1, 0]])
    figures = fast_figures(ranked, relevant_matrix([{2, 0}, {0}, {2}], 3), 2)
    np.testing.assert_allclose(figures[:, 0], [1 / 2, 0, 0])
    np.testing.assert_allclose(figures[:, 1], [1 / (1 + 1 / LOG2_3), 0, 0])
    np.testing.assert_allclose(figures[:, 2], [1, 0, 0])


def test_the_filling_is_not_the_last_track():
    # NOTHING is -1: as an index it would name track 2.
    ranked = np.array([[NOTHING, NOTHING]], dtype=np.int32)
    assert not metrics.find_hits(ranked, relevant_matrix([{2}], 3)).any()


def test_lists_shorter_than_k_are_read_as_they_are():
    ranked = np.array([[0, 1]], dtype=np.int32)
    recall, ndcg, _ = fast_figures(ranked, relevant_matrix([{0, 1, 2}], 4), 10)[0]
    assert recall == pytest.approx(2 / 3)
    assert ndcg == pytest.approx((1 + 1 / LOG2_3) / (1 + 1 / LOG2_3 + 1 / 2))


def test_a_track_named_twice_is_refused():
    with pytest.raises(DataError, match="ranked list 1 names track row 4 more than once"):
        metrics.find_hits(np.array([[0, 1, 2], [4, 0, 4]], dtype=np.int32), relevant_matrix([{0}, {4}], 5))


def test_lists_and_relevant_rows_must_fit():
    with pytest.raises(DataError, match="2 ranked lists do not fit 1 rows"):
        metrics.find_hits(np.zeros((2, 1), dtype=np.int32), relevant_matrix([{0}], 2))


def test_stored_zeros_are_not_relevant():
    relevant = relevant_matrix([{0, 1}], 3)
    relevant.data[0] = 0
    assert metrics.count_relevant(relevant).tolist() == [1]
    assert metrics.find_hits(np.array([[0, 1]], dtype=np.int32), relevant).tolist() == [[False, True]]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[np.ndarray, list[set[int]], int, int]:
    n_tracks = draw(st.integers(1, 9))
    k = draw(st.integers(1, 7))
    lists = draw(st.lists(st.permutations(range(n_tracks)), min_size=1, max_size=5))
    lengths = [draw(st.integers(0, n_tracks)) for _ in lists]
    sets = [draw(st.sets(st.integers(0, n_tracks - 1))) for _ in lists]
    ranked = metrics.pad_lists([np.array(row[:n], dtype=int) for row, n in zip(lists, lengths, strict=True)], max(k, 1))
    return ranked, sets, n_tracks, k


@given(worlds())
def test_agrees_with_the_slow_twin(world):
    ranked, sets, n_tracks, k = world
    expected = [slow_figures([t for t in row.tolist() if t >= 0], s, k) for row, s in zip(ranked, sets, strict=True)]
    np.testing.assert_allclose(fast_figures(ranked, relevant_matrix(sets, n_tracks), k), expected)


@given(worlds(), st.randoms(use_true_random=False))
def test_every_figure_lies_between_0_and_1_and_the_order_of_users_changes_nothing(world, random):
    ranked, sets, n_tracks, k = world
    relevant = relevant_matrix(sets, n_tracks)
    figures = fast_figures(ranked, relevant, k)
    known = figures[~np.isnan(figures)]
    assert ((known >= 0) & (known <= 1)).all()
    order = list(range(len(sets)))
    random.shuffle(order)
    np.testing.assert_array_equal(fast_figures(ranked[order], relevant[order], k), figures[order])


@given(worlds(), st.data())
def test_another_hit_never_lowers_a_figure(world, data):
    ranked, sets, n_tracks, k = world
    user = data.draw(st.integers(0, len(sets) - 1))
    position = data.draw(st.integers(0, ranked.shape[1] - 1))
    missing = sorted(sets[user] - set(ranked[user].tolist()))
    if not missing or ranked[user, position] in sets[user]:
        return
    relevant = relevant_matrix(sets, n_tracks)
    better = ranked.copy()
    better[user, position] = missing[0]
    assert (fast_figures(better, relevant, k)[user] >= fast_figures(ranked, relevant, k)[user]).all()


def test_novelty_is_the_surprise_in_bits():
    # 15 users: 0 listeners -> 1/16 -> 4 bits, 3 -> 1/4 -> 2 bits, 15 -> 0 bits.
    listeners = np.array([0, 3, 15])
    ranked = np.array([[0, 1, 2], [2, NOTHING, NOTHING], [NOTHING, NOTHING, NOTHING]], dtype=np.int32)
    np.testing.assert_allclose(metrics.novelty_at_k(ranked, listeners, 15, 2), [3, 0, np.nan])


def test_popularity_lift_compares_with_the_users_own_plays():
    listeners = np.array([8, 4, 1, 1])
    plays = sparse.csr_matrix(np.array([[0, 1, 0, 0], [0, 1, 0, 0]], dtype=np.float32))
    doubled = np.array([[0, 2], [0, 2]], dtype=np.int32)
    assert metrics.popularity_lift(doubled, plays, listeners, 1) == pytest.approx(1.0)
    assert metrics.popularity_lift(doubled, plays, listeners, 2) == pytest.approx(4.5 / 4 - 1)
    assert math.isnan(metrics.popularity_lift(doubled, sparse.csr_matrix((2, 4)), listeners, 1))


def test_coverage_and_gini_by_hand():
    candidates = np.array([1, 2, 3, 5], dtype=np.int32)
    alike = np.array([[1, 2], [3, 5]], dtype=np.int32)
    one_has_all = np.array([[1], [1], [1]], dtype=np.int32)
    assert metrics.coverage_at_k(alike, candidates, 2) == 1
    assert metrics.coverage_at_k(alike, candidates, 1) == 0.5
    assert metrics.gini_at_k(alike, candidates, 2) == pytest.approx(0)
    # Of n, one has all: 1 - 1/n.
    assert metrics.gini_at_k(one_has_all, candidates, 1) == pytest.approx(3 / 4)
    # Exposure 0, 0, 1, 1: mean absolute difference 8/16 over twice the mean 1.
    assert metrics.gini_at_k(alike, candidates, 1) == pytest.approx(0.5)
    assert math.isnan(metrics.gini_at_k(np.array([[NOTHING]], dtype=np.int32), candidates, 1))
