from dataclasses import replace

import numpy as np
import pytest

from recommender.errors import DataError
from recommender.evaluation.off_policy import LoggedLists, estimate_value
from recommender.evaluation.simulated import policies_of, silent_world, simulate_log, true_value
from recommender.models.als import AlsConfig
from recommender.ranking.exploration import ExploreConfig
from recommender.ranking.ranker import RankerConfig, RecommendOptions, fit_hybrid, recommend, score_users
from recommender.synthetic.listeners import ListenerConfig
from recommender.synthetic.world import WorldConfig

TOP = 4


def logged(users, lists, propensities, rewards, wanted, n_other) -> LoggedLists:
    """Lists whose scores tell nothing."""
    lists = np.array(lists)
    other = np.repeat(np.arange(len(users)), n_other)
    return LoggedLists(
        np.array(users), lists, np.array(propensities, float), np.array(rewards, float), np.array(wanted, bool),
        np.zeros(len(lists)), other, np.zeros(len(other)),
    )  # fmt: skip


def values(found) -> dict[str, float]:
    return dict(zip(found.table["method"], found.table["value"], strict=True))


def test_the_estimates_are_the_formulas() -> None:
    """Two lists of two places: weights 2, 4 and 1 on wanted tracks, rewards 1, 0 and 1."""
    log = logged([1, 1], [0, 0, 1, 1], [0.5, 0.25, 0.5, 1.0], [1, 0, 1, 1], [1, 1, 0, 1], 2)
    found = estimate_value(log, draws=50)
    assert values(found)["logged lists"] == pytest.approx(3 / 4)
    assert values(found)["IPS"] == pytest.approx((2 + 1) / 4)
    assert values(found)["SNIPS"] == pytest.approx((2 + 1) / 7)
    assert found.effective == pytest.approx(7**2 / (4 + 16 + 1))
    assert found.overlap == pytest.approx(7 / 4)
    assert (found.n_users, found.n_lists, found.n_shown, found.n_rewarded) == (1, 2, 4, 3)
    cut = estimate_value(log, clip=1.5, draws=50)
    assert values(cut)["SNIPS"] == pytest.approx((1.5 + 1) / 4)
    assert cut.clipped == pytest.approx(2 / 3)
    assert cut.overlap == pytest.approx(7 / 4), "what is missing does not depend on the cut"


def test_a_log_of_the_same_lists_says_what_they_got() -> None:
    rng = np.random.default_rng(0)
    lists = np.repeat(np.arange(60), 5)
    log = logged(np.arange(60) % 40, lists, np.ones(300), rng.random(300) < 0.3, np.ones(300), 5)
    found = estimate_value(log)
    assert len({round(value, 9) for method, value in values(found).items() if method != "DR"}) == 1
    low, high = found.table["low"][1], found.table["high"][1]
    assert low < values(found)["IPS"] < high
    assert found.doubts == ()


def test_dr_predicts_what_the_log_never_shows() -> None:
    """Scores tell the rewards; half of the other lists is never shown."""
    n = 400
    lists, score = np.repeat(np.arange(n), 2), np.tile([0.0, 1.0], n)
    log = LoggedLists(
        np.arange(n), lists, np.ones(2 * n), score, score > 0.5, score, lists, np.ones(2 * n)
    )  # fmt: skip
    found = values(estimate_value(log, draws=20))
    assert found["IPS"] == pytest.approx(0.5)
    assert found["DR"] == pytest.approx(1.0, abs=0.01)


def test_doubts_say_what_was_found_and_what_is_needed() -> None:
    log = logged(np.arange(5), np.arange(5), np.full(5, 0.001), np.ones(5), [1, 0, 0, 0, 0], 300)
    said = " / ".join(estimate_value(log, clip=100).doubts)
    for words in (
        "of 5 users, 30 are needed",
        "worth 1 tracks",
        "67% of what this bundle would show, 80% are",
        "100.0% of the weights were cut",
    ):
        assert words in said


def test_bad_logs_are_one_sentence() -> None:
    with pytest.raises(DataError, match=r"propensity 0\.0, expected a probability"):
        logged([0], [0], [0.0], [1], [1], 1)
    with pytest.raises(DataError, match="propensity nan"):
        logged([0], [0], [np.nan], [1], [1], 1)
    with pytest.raises(DataError, match="different lengths"):
        logged([0], [0], [1.0, 1.0], [1], [1], 1)
    with pytest.raises(DataError, match="no list was logged"):
        estimate_value(logged([], [], [], [], [], 1))


@pytest.fixture(scope="module")
def simulation():
    """A world, a model of plays alone that logs, and a model that hears whose lists are judged."""
    world = silent_world(WorldConfig(n_tracks=40, new_share=0.2, listeners=ListenerConfig(n_users=80, plays=40)))
    config = RankerConfig(als=AlsConfig(factors=8, iterations=8))
    logging = fit_hybrid(world.catalog, world.past, None, config)
    target = fit_hybrid(world.catalog, world.past, world.embeddings, config)
    options = RecommendOptions(top=TOP, max_per_artist=None, include_heard=True)
    policies = policies_of(logging, options, ExploreConfig(share=0.3, hand=10), np.random.default_rng(0))
    others = recommend(target, target.plays, target.heard, options)
    return world, policies, others, score_users(target, target.plays)


def test_ips_is_unbiased_where_the_naive_mean_is_not_and_intervals_cover(simulation) -> None:
    """The log's users are drawn from the world's, so that the intervals' users are the ones that chance chose."""
    world, policies, others, scores = simulation
    truth, rng = true_value(others, world.play_chances), np.random.default_rng(1)
    found, naive, covered = [], [], []
    for _ in range(60):
        who = rng.integers(len(policies), size=60)
        log = simulate_log(policies, others, scores, world.play_chances, np.repeat(who, 12), rng)
        log = replace(log, users=np.repeat(np.arange(60), 12))
        estimate = estimate_value(log, draws=200)
        found.append(values(estimate))
        covered.append((estimate.table["low"] <= truth) & (truth <= estimate.table["high"]))
        assert abs(estimate.overlap - 1) < 0.25
        naive.append(log.rewards[log.wanted].mean())
    means = {method: np.mean([one[method] for one in found]) for method in ("IPS", "SNIPS", "DR", "logged lists")}
    error = np.std([one["IPS"] for one in found]) / np.sqrt(60)
    assert abs(means["IPS"] - truth) < 4 * error
    assert means["SNIPS"] == pytest.approx(truth, abs=0.02)
    assert means["DR"] == pytest.approx(truth, abs=0.02)
    assert abs(np.mean(naive) - truth) > 2 * abs(means["SNIPS"] - truth)
    assert abs(means["logged lists"] - truth) > 2 * abs(means["SNIPS"] - truth)
    assert np.mean(covered, axis=0)[1:].min() >= 0.83


def test_the_same_seed_gives_the_same_interval(simulation) -> None:
    world, policies, others, scores = simulation
    rng = np.random.default_rng(2)
    log = simulate_log(policies, others, scores, world.play_chances, np.arange(80), rng)
    assert estimate_value(log).table.equals(estimate_value(log).table)
    assert not estimate_value(log).table.equals(estimate_value(log, seed=1).table)


def test_a_world_without_sound_keeps_its_truth(simulation) -> None:
    world = simulation[0]
    assert world.is_new.sum() == 8
    assert not world.past.track_evidence()[world.is_new].any()
    played = world.past.to_csr().toarray() > 0
    assert world.play_chances[played].mean() > 1.5 * world.play_chances[~played].mean()
    ears = world.embeddings.of(world.catalog.tracks)[0].astype(np.float64)
    predicted = ears @ np.linalg.lstsq(ears, world.play_chances.T, rcond=None)[0]
    assert np.corrcoef(predicted.ravel(), world.play_chances.T.ravel())[0, 1] > 0.5
