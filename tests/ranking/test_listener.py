import numpy as np
import pytest
from scipy import sparse

from recommender.data.interactions import DISLIKED
from recommender.models.als import play_confidence
from recommender.ranking.distaste import distaste_of
from recommender.ranking.explain import contributions_to
from recommender.ranking.listener import listener_of, play_weights
from recommender.ranking.scoring import score_block, side_parts, user_vectors
from recommender.ranking.taste import tastes_of


def row_of(columns, values, width) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.float32(values), (np.zeros(len(columns), int), columns)), shape=(1, width))


@pytest.mark.parametrize("discovery", [0.5, 0.9])
def test_a_listener_is_a_block_of_one_user(model, clusters, discovery) -> None:
    plays, heard = clusters.to_csr(), clusters.heard()
    tastes = tastes_of(model, plays)
    users = user_vectors(tastes, model.standards, model.blend, discovery)
    scores = score_block(model, users)
    every = np.arange(len(model.catalog))
    for user in range(plays.shape[0]):
        one = listener_of(model, plays[user], heard[user], discovery)
        assert one.known_plays == tastes.known_plays[user]
        np.testing.assert_allclose(one.factors(), tastes.factors[user], atol=1e-6)
        np.testing.assert_allclose(one.side.vector, users.vectors[user], atol=1e-5)
        assert one.side.taste_weight == pytest.approx(float(users.taste_weight[user]))
        np.testing.assert_allclose(side_parts(model, one.side, every).sum(axis=1), scores[user], atol=1e-5)


def test_contributions_add_up_to_the_dot_product(hybrid, clusters) -> None:
    plays, rows = clusters.to_csr()[3], np.array([5, 40, 63])
    one = listener_of(hybrid, plays, plays)
    expected = hybrid.posterior_factors[rows] @ one.factors()
    np.testing.assert_allclose(one.contributions(rows).sum(axis=1), expected, atol=1e-5)
    np.testing.assert_allclose(contributions_to(hybrid, plays, rows), one.contributions(rows))


def test_what_is_held_against_tracks_is_that_of_the_matrices(hybrid, clusters) -> None:
    plays, heard = clusters.to_csr()[2], clusters.heard()[2].tolil()
    heard[0, 60] = DISLIKED
    heard = heard.tocsr()
    one, other = listener_of(hybrid, plays, heard).held(1.0), distaste_of(hybrid, plays, heard)
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.track_rows, other.track_rows)
    np.testing.assert_array_equal(one.disliked, other.disliked)
    np.testing.assert_array_equal(one.liked_vectors, other.liked_vectors)
    assert listener_of(hybrid, plays, heard).held(0.0) is None


def test_play_weights_are_those_of_the_whole_matrix() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 9, 30):
        counts = rng.integers(1, 5, size).astype(np.float32)
        whole = play_confidence(row_of(np.arange(size), counts, size), 0.8).data
        np.testing.assert_allclose(play_weights(counts, 0.8), whole, rtol=1e-6)


def test_entries_in_any_order_and_twice_are_one_history(hybrid) -> None:
    width = len(hybrid.catalog)
    orderly = row_of([3, 8, 20], [2, 1, 4], width)
    messy = sparse.csr_matrix((np.float32([4, 1, 1, 1]), np.array([20, 3, 8, 3]), np.array([0, 4])), shape=(1, width))
    one, other = listener_of(hybrid, orderly, orderly), listener_of(hybrid, messy, messy)
    np.testing.assert_array_equal(one.played, other.played)
    np.testing.assert_allclose(one.side.vector, other.side.vector, atol=1e-6)
    assert messy.indices.tolist() == [20, 3, 8, 3]
