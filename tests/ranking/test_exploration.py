from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from recommender.errors import ConfigError
from recommender.ranking.exploration import (
    ExploreConfig,
    ListPolicy,
    best_chances,
    draw_places,
    explore,
    generator_of,
    list_policy,
    uncertainty_of,
)
from recommender.ranking.ranker import RecommendOptions, recommend, score_users, with_live_plays
from recommender.ranking.scoring import user_vectors
from recommender.ranking.taste import tastes_of

TOP, USER = 6, 3
OPTIONS = RecommendOptions(top=TOP)


def policy_of(model, config: ExploreConfig, seed: int = 0, options: RecommendOptions = OPTIONS) -> ListPolicy:
    plays, heard = model.plays[USER], model.heard[USER]
    ranked = recommend(model, plays, heard, options)[0]
    user = user_vectors(tastes_of(model, plays), model.standards, model.blend)
    rng = np.random.default_rng(seed)
    return list_policy(model, uncertainty_of(model), user, heard, ranked, options, config, rng)


def explored(model, config: ExploreConfig, seed: int = 0):
    plays, heard = model.plays[USER], model.heard[USER]
    ranked = recommend(model, plays, heard, OPTIONS)[0]
    rng = np.random.default_rng(seed)
    return ranked, explore(model, uncertainty_of(model), plays, heard, ranked, OPTIONS, config, rng)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_the_chances_of_each_place_add_up_to_one_and_none_in_the_pool_is_small(model, share) -> None:
    config = ExploreConfig(share=share, hand=4)
    policy = policy_of(model, config)
    np.testing.assert_allclose(policy.chances.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(policy.chances[:, 0], 1 - share, atol=1e-12)
    there = policy.rows[:, 1:] >= 0
    assert there.any(axis=1).all()
    assert (policy.chances[:, 1:][there] >= share * config.uniform / config.hand - 1e-12).all()
    assert not policy.chances[:, 1:][~there].any()


def test_no_track_has_two_places_and_none_was_heard(model) -> None:
    policy = policy_of(model, ExploreConfig(share=0.3))
    rows = policy.rows[policy.rows >= 0]
    assert len(set(rows)) == len(rows)
    assert not set(rows) & set(model.heard[USER].indices)


def test_whatever_is_drawn_keeps_to_the_artist_cap_and_to_the_candidates(hybrid) -> None:
    few = np.arange(0, 64, 2, dtype=np.int32)
    options = RecommendOptions(top=TOP, max_per_artist=1, candidate_rows=few)
    rows = policy_of(hybrid, ExploreConfig(share=0.5), options=options).rows
    rows = rows[rows >= 0]
    artists = hybrid.artist_codes[rows]
    assert len(rows) > TOP
    assert len(set(artists)) == len(artists)
    assert set(rows) <= set(few.tolist())


def test_tracks_are_drawn_as_often_as_their_propensity_says(hybrid) -> None:
    policy, draws = policy_of(hybrid, ExploreConfig(share=0.5, hand=3)), 20_000
    rng = np.random.default_rng(1)
    seen = np.zeros(policy.chances.shape)
    for _ in range(draws):
        seen[np.arange(TOP), draw_places(policy, rng)] += 1
    error = 4.5 * np.sqrt(policy.chances * (1 - policy.chances) / draws) + 1e-12
    assert (np.abs(seen / draws - policy.chances) <= error).all()


def test_the_chance_to_be_best_is_that_of_sampling() -> None:
    rng = np.random.default_rng(2)
    means, spreads = rng.normal(size=(5, 6)), rng.uniform(0.1, 2, size=(5, 6))
    there = rng.random((5, 6)) < 0.8
    found = best_chances(means, spreads, there)
    drawn = np.where(there[..., None], means[..., None] + spreads[..., None] * rng.normal(size=(5, 6, 40_000)), -np.inf)
    sampled = (np.arange(6)[None, :, None] == drawn.argmax(axis=1)[:, None, :]).mean(axis=2)
    np.testing.assert_allclose(found, sampled, atol=0.015)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_who_is_known_for_certain_is_best_or_not() -> None:
    found = best_chances(np.array([[1.0, 2.0, 0.0]]), np.zeros((1, 3)), np.ones((1, 3), dtype=bool))
    assert found.tolist() == [[0, 1, 0]]


def test_without_exploration_the_list_is_the_ranked_one(model) -> None:
    ranked, found = explored(model, ExploreConfig())
    assert found.ranked is ranked
    assert found.propensities.tolist() == [1.0] * TOP
    assert not found.explored.any()


def test_explored_tracks_are_marked_and_have_their_own_score_and_propensity(model) -> None:
    ranked, found = explored(model, ExploreConfig(share=0.5), seed=4)
    assert found.explored.any()
    assert not found.explored.all()
    np.testing.assert_array_equal(found.ranked.track_rows[~found.explored], ranked.track_rows[~found.explored])
    assert not set(found.ranked.track_rows[found.explored]) & set(ranked.track_rows)
    np.testing.assert_allclose(found.propensities[~found.explored], 0.5)
    assert ((found.propensities[found.explored] > 0) & (found.propensities[found.explored] <= 0.5)).all()
    scores = score_users(model, model.plays[USER])[0]
    np.testing.assert_allclose(found.ranked.scores, scores[found.ranked.track_rows], rtol=1e-4, atol=1e-5)


def test_same_generator_same_list(hybrid) -> None:
    lists = [explored(hybrid, ExploreConfig(share=0.5), seed)[1].ranked.track_rows.tolist() for seed in (1, 1, 2)]
    assert lists[0] == lists[1] != lists[2]
    draws = [generator_of(*parts).random() for parts in (("a", 1), ("a", 1), ("a", 2), ("a1",))]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3


def test_of_two_tracks_that_score_alike_the_less_known_one_is_tried_more(hybrid) -> None:
    """The sampled chances follow the covariance: more listeners, less to be hoped for."""
    means, spreads = np.array([[1.0, 1.0, 3.0]]), np.array([[0.2, 1.5, 0.2]])
    chances = best_chances(means, spreads, np.ones((1, 3), dtype=bool))[0]
    assert chances[1] > 10 * chances[0]


def test_plays_that_arrive_take_from_the_uncertainty(hybrid, clusters) -> None:
    before = uncertainty_of(hybrid)
    row = int(np.flatnonzero(hybrid.evidence == 0)[0])
    some = clusters.select(np.arange(len(clusters)) < 12)
    live = replace(some, track_rows=np.full(len(some), row, dtype=np.int32), weights=np.ones(len(some), np.float32))
    after = uncertainty_of(with_live_plays(hybrid, live))
    assert after.by_track[row].nnz > 0 == before.by_track[row].nnz


def test_a_catalog_without_a_pool_is_shown_as_it_is(hybrid) -> None:
    options = RecommendOptions(top=500, max_per_artist=None)
    plays, heard = hybrid.plays[USER], hybrid.heard[USER]
    ranked = recommend(hybrid, plays, heard, options)[0]
    rng = np.random.default_rng(0)
    found = explore(hybrid, uncertainty_of(hybrid), plays, heard, ranked, options, ExploreConfig(share=0.5), rng)
    assert not found.explored.any()
    assert (found.propensities == 1).all()


def test_nobody_is_shown_nothing(hybrid) -> None:
    everything = sparse.csr_matrix(np.ones((1, len(hybrid.catalog)), dtype=np.float32))
    ranked = recommend(hybrid, hybrid.plays[USER], everything, OPTIONS)[0]
    rng = np.random.default_rng(0)
    found = explore(
        hybrid, uncertainty_of(hybrid), hybrid.plays[USER], everything, ranked, OPTIONS, ExploreConfig(share=0.5), rng
    )
    assert len(found.ranked) == 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"share": 1.5}, r"explore is 1\.5, expected the share"),
        ({"share": float("nan")}, "explore is nan"),
        ({"hand": 0}, "a hand of 0 tracks"),
        ({"uniform": 0.0}, r"uniform 0\.0"),
        ({"optimism": float("inf")}, "optimism inf"),
    ],
)
def test_settings_out_of_range_are_named(values, said) -> None:
    with pytest.raises(ConfigError, match=said):
        ExploreConfig(**values)
