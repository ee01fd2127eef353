import numpy as np
import pandas as pd
import pytest

from recommender.evaluation import bootstrap


def frame(values: dict[int, float], metric: str = "recall@1") -> pd.DataFrame:
    return pd.DataFrame({metric: list(values.values())}, index=pd.Index(list(values), name="user_row"), dtype=float)


def test_means_are_over_users_then_over_seeds():
    per_seed = [frame({0: 1, 1: 0, 2: 0, 3: 1}), frame({1: 1, 7: 1})]
    estimate, samples = bootstrap.resample(per_seed, draws=10)
    assert estimate.tolist() == [0.75]
    assert samples.shape == (10, 1)
    table = bootstrap.summarise({"mine": per_seed}, draws=10)
    assert table[["method", "metric", "mean", "n_users"]].to_numpy().tolist() == [["mine", "recall@1", 0.75, 5]]


def test_the_interval_is_that_of_the_mean():
    rng = np.random.default_rng(0)
    values = rng.normal(0.4, 0.2, 400)
    row = bootstrap.summarise({"a": [frame(dict(enumerate(values)))]}, draws=4000).iloc[0]
    error = values.std() / np.sqrt(len(values))
    assert row["low"] == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert row["high"] == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_a_user_is_drawn_with_all_seeds():
    # The same figures in both seeds tell no more than those of one.
    values = dict(enumerate(np.random.default_rng(1).random(50)))
    once = bootstrap.summarise({"a": [frame(values)]}, draws=500)
    twice = bootstrap.summarise({"a": [frame(values), frame(values)]}, draws=500)
    np.testing.assert_allclose(once[["low", "high"]].to_numpy(), twice[["low", "high"]].to_numpy())


def test_differences_are_paired():
    # Users differ a lot, the methods by exactly .1 for each: the difference is certain, the levels are not.
    values = np.random.default_rng(2).random(40) * 0.8
    figures = {"worse": [frame(dict(enumerate(values)))], "better": [frame(dict(enumerate(values + 0.1)))]}
    difference = bootstrap.compare(figures, "better", draws=200)
    assert difference[["method", "baseline", "metric"]].to_numpy().tolist() == [["better", "worse", "recall@1"]]
    assert difference[["difference", "low", "high"]].to_numpy().ravel() == pytest.approx([0.1, 0.1, 0.1])
    levels = bootstrap.summarise(figures, draws=200)
    assert (levels["high"] - levels["low"]).min() > 0.1


def test_users_without_a_figure_are_left_out_of_the_mean():
    estimate, samples = bootstrap.resample([frame({0: 0.5, 1: np.nan, 2: 1.0})], draws=200)
    assert estimate.tolist() == [0.75]
    known = samples[np.isfinite(samples)]
    assert known.min() == 0.5
    assert known.max() == 1.0


def test_the_order_of_users_changes_nothing():
    values = dict(enumerate(np.random.default_rng(3).random(30)))
    shuffled = {user: values[user] for user in np.random.default_rng(4).permutation(30).tolist()}
    one, other = (bootstrap.summarise({"a": [frame(v)]}, draws=100) for v in (values, shuffled))
    pd.testing.assert_frame_equal(one, other)


def test_chunks_of_draws_are_the_same_draws(monkeypatch):
    values = dict(enumerate(np.random.default_rng(5).random(30)))
    whole = bootstrap.resample([frame(values)], draws=50)[1]
    monkeypatch.setattr(bootstrap, "_CHUNK_VALUES", 70)
    np.testing.assert_allclose(bootstrap.resample([frame(values)], draws=50)[1], whole)
