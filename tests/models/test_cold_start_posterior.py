from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from recommender.errors import ConfigError, DataError
from recommender.models import als_reference
from recommender.models.als import AlsConfig, fold_in_tracks
from recommender.models.cold_start import PosteriorConfig, posterior_track_factors


def random_world(n_users: int, n_tracks: int, d: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n_users, d)) * 0.4).astype(np.float32)
    X[0] = 0
    plays = (rng.random((n_users, n_tracks)) < rng.random(n_tracks)) * rng.integers(1, 5, (n_users, n_tracks))
    return X, plays, rng.normal(size=(n_tracks, d)).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(
    n_users=st.integers(2, 40),
    n_tracks=st.integers(1, 9),
    d=st.integers(1, 12),
    nu=st.sampled_from([0.0, 0.5, 1.0]),
    half=st.sampled_from([0.0, 3.0, 500.0]),
    seed=st.integers(0, 99),
)
def test_fast_and_readable_agree(n_users: int, n_tracks: int, d: int, nu: float, half: float, seed: int) -> None:
    X, plays, means = random_world(n_users, n_tracks, d, seed)
    als, config = AlsConfig(factors=d, frequency_exponent=nu), PosteriorConfig(1.3, half, 0.7)
    has = np.ones(n_tracks, dtype=bool)
    fast = posterior_track_factors(sparse.csr_matrix(plays), X, means, has, als, config)
    for track in range(n_tracks):
        expected = als_reference.posterior(plays[:, track], X.astype(float), means[track].astype(float), als, config)
        np.testing.assert_allclose(fast[track], expected, atol=1e-5)


def test_by_hand() -> None:
    """One factor, two users, one play: every value is worked on paper."""
    X = np.array([[1.0], [2.0]], dtype=np.float32)
    als = AlsConfig(factors=1, unobserved_weight=0.5, regularization=0.1)
    config = PosteriorConfig(scale=2.0, exposure_half=1.0, strength=0.5)
    # e = 1/2; G = 5; A = 4 (play) + .5 * .5 * 5 (silence) + .1 * 1 (its play) + .5 * .1 * .5 * 2 + .5 = 5.9
    # b = 2 (play) + .5 * 2 * .3 = 2.3
    solved = posterior_track_factors(
        sparse.csr_matrix([[0.0], [1.0]]), X, np.array([[0.3]], np.float32), np.array([True]), als, config
    )
    assert solved[0, 0] == pytest.approx(2.3 / 5.9)


def test_without_plays_it_is_the_scaled_prior_exactly() -> None:
    X, plays, means = random_world(30, 6, 4, 0)
    plays[:, 2] = 0
    config = PosteriorConfig(scale=1.7)
    has = np.ones(6, dtype=bool)
    solved = posterior_track_factors(sparse.csr_matrix(plays), X, means, has, AlsConfig(factors=4), config)
    np.testing.assert_array_equal(solved[2], np.float32(1.7) * means[2])
    assert not np.allclose(solved[1], np.float32(1.7) * means[1])


def test_without_a_prior_it_is_the_fold_in() -> None:
    X, plays, means = random_world(30, 6, 4, 1)
    plays[:, 5] = 0
    has = np.array([True, False, True, False, True, False])
    als = AlsConfig(factors=4)
    solved = posterior_track_factors(sparse.csr_matrix(plays), X, means, has, als)
    folded = fold_in_tracks(sparse.csr_matrix(plays), X, als)
    np.testing.assert_array_equal(solved[~has], folded[~has])
    assert not solved[5].any()
    nonsense = np.where(has[:, None], means, np.nan).astype(np.float32)
    np.testing.assert_array_equal(posterior_track_factors(sparse.csr_matrix(plays), X, nonsense, has, als), solved)


def test_plays_move_a_track_from_its_prior_to_its_fold_in_step_by_step() -> None:
    """3,000 users of two tastes; the prior is wrong about the track, and each listener says so."""
    rng = np.random.default_rng(0)
    likes = np.arange(3000) % 3 == 0
    X = np.where(likes[:, None], [0.8, 0.1, 0.0], [0.0, 0.2, 0.7]) + 0.1 * rng.normal(size=(3000, 3))
    X = X.astype(np.float32)
    means, als = np.array([[-0.2, 0.5, 0.6]], np.float32), AlsConfig(factors=3)
    config, listeners = PosteriorConfig(exposure_half=50), np.flatnonzero(likes)
    to_prior, to_fold_in = [], []
    for n in (0, 1, 2, 5, 10, 30, 100, 1000):
        plays = np.zeros((3000, 1))
        plays[listeners[:n]] = 1
        solved = posterior_track_factors(sparse.csr_matrix(plays), X, means, np.array([True]), als, config)[0]
        everything = np.zeros((3000, 1))
        everything[listeners] = 1
        final = fold_in_tracks(sparse.csr_matrix(everything), X, als)[0]
        to_prior.append(float(np.linalg.norm(solved - means[0])))
        to_fold_in.append(float(np.linalg.norm(solved - final)))
    assert to_prior[0] == 0
    assert np.all(np.diff(to_prior[:-1]) > 0)
    assert np.all(np.diff(to_fold_in) < 0)
    assert to_fold_in[-1] < 0.05 * to_fold_in[0]


def test_silence_is_no_evidence_against_a_young_track() -> None:
    X, plays, means = random_world(200, 1, 4, 5)
    plays[:] = 0
    plays[[3, 4]] = 1
    lengths = {}
    for half in (0.0, 20.0, 500.0):
        solved = posterior_track_factors(
            sparse.csr_matrix(plays), X, 0 * means, np.array([True]), AlsConfig(factors=4), PosteriorConfig(1, half)
        )
        lengths[half] = np.linalg.norm(solved)
    assert lengths[0.0] < lengths[20.0] < lengths[500.0]


def test_batches_do_not_matter() -> None:
    X, plays, means = random_world(60, 200, 8, 7)
    has, als = np.ones(200, dtype=bool), AlsConfig(factors=8)
    together = posterior_track_factors(sparse.csr_matrix(plays), X, means, has, als)
    for track in (0, 50, 199):
        one = slice(track, track + 1)
        alone = posterior_track_factors(sparse.csr_matrix(plays[:, one]), X, means[one], has[one], als)
        np.testing.assert_allclose(alone[0], together[track], atol=1e-6)


def test_what_does_not_fit_is_named() -> None:
    X, plays, means = random_world(5, 3, 2, 0)
    has = np.ones(3, dtype=bool)
    with pytest.raises(DataError, match="do not fit"):
        posterior_track_factors(sparse.csr_matrix(plays.T), X, means, has, AlsConfig(factors=2))
    with pytest.raises(DataError, match="do not fit"):
        posterior_track_factors(sparse.csr_matrix(plays), X, means[:, :1], has, AlsConfig(factors=2))


@pytest.mark.parametrize(("name", "value"), [("scale", -1.0), ("exposure_half", -1.0), ("strength", 0.0)])
def test_settings_that_cannot_be_used_are_named(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} is {value}"):
        replace(PosteriorConfig(), **{name: value})
