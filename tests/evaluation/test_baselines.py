import numpy as np
import pytest

from recommender.errors import ModelError
from recommender.evaluation import baselines_content, baselines_plays, protocol
from recommender.evaluation.cold_splits import hide_users
from recommender.evaluation.curves import user_curve
from recommender.evaluation.methods import METHODS, Fits
from recommender.evaluation.protocol import evaluate_method, rank_users
from recommender.evaluation.suite import SUITE, choose
from recommender.models.cold_start import UNKNOWN_ARTIST

NEW = [name for name in SUITE if name not in METHODS]
HEARING = ["linear ridge", "kernel ridge", "artist mean + content", "feature-aware ALS", "MLP", "DropoutNet-like"]
PLAYING = ["plain implicit", "item-kNN", "RP3beta", "EASE"]
NO_ARTIST = np.full(200, UNKNOWN_ARTIST, dtype=np.int32)


def ndcg(name, task, fits) -> float:
    return float(evaluate_method(SUITE[name].method(task, fits), task, (10,), name=name)["ndcg@10"].mean())


@pytest.mark.parametrize("name", NEW)
def test_every_baseline_keeps_the_contract_and_repeats(name, mixed):
    task, fits = mixed
    rank = SUITE[name].method(task, fits)
    whole = rank_users(rank, task, 10, name=name)
    assert rank(task.user_rows[7:8], 10)[0].tolist() == whole[7].tolist()
    again = Fits(fits.catalog, task.train, fits.embeddings, fits.config, fits.seed)
    np.testing.assert_array_equal(rank_users(SUITE[name].method(task, again), task, 10), whole)


@pytest.mark.parametrize("name", [*HEARING, "contrastive tower", "gate n/(n+3)"])
def test_what_hears_finds_the_listeners_of_new_tracks(name, cold):
    assert ndcg(name, *cold) > ndcg("random", *cold) + 0.2


@pytest.mark.parametrize("name", PLAYING)
def test_what_plays_knows_the_camps_of_known_tracks(name, planted, small_ranker):
    task = protocol.warm_task(planted.interactions, fraction=0.3, seed=0)
    fits = Fits(planted.catalog, task.train, None, small_ranker, 0)
    assert ndcg(name, task, fits) > ndcg("random", task, fits) + 0.05


@pytest.mark.parametrize("name", PLAYING)
def test_a_new_user_is_known_by_his_plays(name, planted, small_ranker):
    curve = user_curve(hide_users(planted.interactions, fraction=0.4, min_pairs=6, seed=1), (0, 5), 1, min_new=5)
    fits = Fits(planted.catalog, curve.tasks[0].train, None, small_ranker, 0)
    unknown, known = (ndcg(name, task, fits.after(task.revealed)) for task in curve.tasks)
    assert known > unknown + 0.1


def test_ease_is_the_closed_form(mixed):
    plays = mixed[1].plays[:, :20] > 0
    dense = plays.toarray().astype(float)
    weights = baselines_plays._ease(plays.astype(np.float32))
    for track in range(3):  # without its own column, a track's weights are a ridge regression on the others
        others = np.arange(20) != track
        X, y = dense[:, others], dense[:, track]
        expected = np.linalg.solve(X.T @ X + 100.0 * np.eye(19), X.T @ y)
        np.testing.assert_allclose(weights[others, track], expected, atol=1e-6)
        assert weights[track, track] == 0


def test_a_walk_of_three_steps_agrees_with_its_definition(mixed, monkeypatch):
    monkeypatch.setattr(baselines_plays, "_BLOCK", 7)
    plays = (mixed[1].plays[:, :20] > 0).astype(np.float32)
    plays = plays[:, np.flatnonzero(plays.getnnz(axis=0))]
    dense = plays.toarray().astype(float)
    from_track = dense.T / dense.sum(axis=0)[:, None]
    from_user = dense / np.maximum(dense.sum(axis=1), 1)[:, None]
    expected = from_track @ from_user / dense.sum(axis=0)[None, :] ** 0.6
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(baselines_plays._walk(plays).toarray(), expected, rtol=1e-5)


def test_what_compares_all_tracks_refuses_a_large_catalog(mixed, monkeypatch):
    monkeypatch.setattr(baselines_plays, "MAX_TRACKS", 10)
    for name in ("EASE", "RP3beta", "item-kNN"):
        with pytest.raises(ModelError, match=f"{name} is made for 10 tracks at most, .* have plays; leave it out"):
            SUITE[name].method(*mixed)


def test_the_ridge_is_chosen_by_the_error_on_rows_left_out():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((30, 4)).astype(np.float32)
    targets = (vectors @ rng.standard_normal((4, 2)) + 0.3 * rng.standard_normal((30, 2))).astype(np.float32)
    gram = vectors @ vectors.T / 4
    errors = []
    for ridge in baselines_content.RIDGES:
        error = 0.0
        for row in range(30):
            rest = np.arange(30) != row
            weights = np.linalg.solve(gram[np.ix_(rest, rest)] + ridge * np.eye(29), targets[rest])
            error += ((targets[row] - gram[row, rest] @ weights) ** 2).sum()
        errors.append(error)
    best = baselines_content.RIDGES[int(np.argmin(errors))]
    expected = np.linalg.solve(gram + best * np.eye(30), targets)
    np.testing.assert_allclose(baselines_content._dual_ridge(gram, targets), expected, rtol=1e-4, atol=1e-6)


def test_an_artists_other_tracks_say_what_sound_does_not():
    rng = np.random.default_rng(0)
    artists = np.repeat(np.arange(20), 5).astype(np.int32)
    taste = rng.standard_normal((20, 4))
    factors = (taste[artists] + 0.1 * rng.standard_normal((100, 4))).astype(np.float32)
    noise = rng.standard_normal((100, 3)).astype(np.float32)
    evidence = np.full(100, 9)
    predict = baselines_content.artist_and_content(noise, factors, evidence, artists, rng)
    new = rng.standard_normal((20, 3)).astype(np.float32)
    known = predict(new, np.arange(20, dtype=np.int32))
    unknown = predict(new, np.full(20, 77, dtype=np.int32))
    assert ((known - taste) ** 2).sum() < 0.4 * (taste**2).sum()
    assert ((unknown - taste) ** 2).sum() > 0.7 * (taste**2).sum()
    nameless = baselines_content.artist_and_content(noise, factors, evidence, NO_ARTIST[:100], rng)
    np.testing.assert_allclose(nameless(new, NO_ARTIST[:20]), nameless(new, np.arange(20, dtype=np.int32)))


def test_methods_are_chosen_by_name_in_the_order_of_the_suite():
    assert list(choose(SUITE, ("EASE", "random"))) == ["random", "EASE"]
    assert list(choose(SUITE, ())) == list(SUITE)
    with pytest.raises(Exception, match="there is no method 'EAZE'; there are: random, "):
        choose(SUITE, ("EAZE",))
