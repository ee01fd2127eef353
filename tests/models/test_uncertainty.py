from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from recommender.errors import DataError
from recommender.models.factors import AlsConfig
from recommender.models.posterior import PosteriorConfig, posterior_track_factors
from recommender.models.uncertainty import Uncertainty, measure_uncertainty, rough_variances, score_variances

N_USERS, N_TRACKS, D = 60, 30, 5
ALS = AlsConfig(factors=D)
CONFIG = PosteriorConfig(scale=1.5, exposure_half=4.0, strength=0.7)


@pytest.fixture(scope="module")
def plays() -> sparse.csr_matrix:
    """Track i has i listeners: none, fewer than factors, and more."""
    rng = np.random.default_rng(0)
    dense = np.zeros((N_USERS, N_TRACKS), dtype=np.float32)
    for track in range(N_TRACKS):
        dense[rng.choice(N_USERS, track, replace=False), track] = rng.uniform(0.5, 1.5, track)
    return sparse.csr_matrix(dense)


@pytest.fixture(scope="module")
def user_factors() -> np.ndarray:
    factors = np.random.default_rng(1).normal(size=(N_USERS, D)) * np.array([2, 1, 1, 0.5, 0.1])
    factors[7] = 0
    return factors.astype(np.float32)


def measured(plays, user_factors, **changes) -> Uncertainty:
    rng = np.random.default_rng(2)
    values = {
        "track_factors": rng.normal(size=(N_TRACKS, D)).astype(np.float32),
        "prior_means": rng.normal(size=(N_TRACKS, D)).astype(np.float32),
        "has_prior": np.ones(N_TRACKS, dtype=bool),
    }
    return measure_uncertainty(plays, user_factors, als_config=ALS, config=CONFIG, **(values | changes))


def dense_matrix(plays, user_factors, track: int) -> np.ndarray:
    """A of a track, as the module's docstring of `posterior` says it, d by d."""
    X = user_factors.astype(np.float64)
    weights = plays[:, [track]].toarray()[:, 0].astype(np.float64)
    listeners = weights > 0
    n, silence = listeners.sum(), ALS.unobserved_weight * user_factors.any(axis=1).sum()
    exposure = n**2 / (n**2 + CONFIG.exposure_half**2)
    lam, nu = ALS.regularization, ALS.frequency_exponent
    ridge = lam * ((n + silence) ** nu - silence**nu) + exposure * lam * silence**nu + CONFIG.strength
    a0 = ALS.unobserved_weight
    by_plays = (X[listeners].T * ((1 + a0) * weights[listeners] - a0)) @ X[listeners]
    return by_plays + ALS.unobserved_weight * exposure * X.T @ X + ridge * np.eye(X.shape[1])


def test_variances_are_those_of_the_dense_inverse(plays, user_factors) -> None:
    found = measured(plays, user_factors)
    direction = np.random.default_rng(3).normal(size=D)
    rows = np.random.default_rng(4).permutation(N_TRACKS)
    expected = [direction @ np.linalg.inv(dense_matrix(plays, user_factors, row)) @ direction for row in rows]
    np.testing.assert_allclose(score_variances(found, direction, rows), found.noise * np.array(expected), rtol=1e-8)


def test_the_matrix_is_the_one_that_the_mean_is_solved_with(plays, user_factors) -> None:
    means = np.random.default_rng(5).normal(size=(N_TRACKS, D)).astype(np.float32)
    solved = posterior_track_factors(plays, user_factors, means, np.ones(N_TRACKS, dtype=bool), ALS, CONFIG)
    for track in (0, 3, 25):
        weights = plays[:, [track]].toarray()[:, 0]
        right = CONFIG.strength * CONFIG.scale * means[track] + weights @ user_factors
        np.testing.assert_allclose(
            np.linalg.solve(dense_matrix(plays, user_factors, track), right), solved[track], rtol=2e-4, atol=1e-5
        )


def test_rough_variances_are_exact_for_tracks_without_plays_and_near_for_others(plays, user_factors) -> None:
    found, direction = measured(plays, user_factors), np.random.default_rng(6).normal(size=D)
    rough, exact = rough_variances(found, direction), score_variances(found, direction, np.arange(N_TRACKS))
    assert rough[0] == pytest.approx(exact[0])
    assert rough[0] == pytest.approx(found.noise * direction @ direction / CONFIG.strength)
    assert np.abs(np.log(rough / exact)).max() < np.log(3)
    assert np.abs(np.log(rough[15:] / exact[15:])).mean() < 0.25


def test_a_play_takes_from_the_variance_most_for_users_like_the_listener(plays, user_factors) -> None:
    one = sparse.lil_matrix((N_USERS, N_TRACKS), dtype=np.float32)
    one[3, 0] = 1
    one[list(range(20, 50)), 1] = 1
    found = measured(one.tocsr(), user_factors)
    x = user_factors[3] / np.linalg.norm(user_factors[3])
    across = np.linalg.svd(x[None].astype(np.float64))[2][1]
    kept = [score_variances(found, at, np.array([0, 2])) for at in (x, across)]
    assert kept[0][0] / kept[0][1] < 0.6 * kept[1][0] / kept[1][1]
    assert score_variances(found, x, np.array([1]))[0] < kept[0][0]


def test_the_noise_is_the_spread_around_the_predictions(plays, user_factors) -> None:
    rng = np.random.default_rng(8)
    means = rng.normal(size=(N_TRACKS, D))
    missed = rng.normal(size=(N_TRACKS, D))
    values = {"prior_means": means.astype(np.float32)}
    once = measured(plays, user_factors, track_factors=(CONFIG.scale * means + missed).astype(np.float32), **values)
    twice = measured(
        plays, user_factors, track_factors=(CONFIG.scale * means + 2 * missed).astype(np.float32), **values
    )
    assert twice.noise == pytest.approx(4 * once.noise, rel=1e-4)
    scores = user_factors @ missed[4:].T
    prior_variance = rough_variances(once, np.eye(D)[0])[0]
    assert (scores**2).sum() / (user_factors**2).sum() / (N_TRACKS - 4) == pytest.approx(prior_variance, rel=1e-4)


def test_without_plays_nothing_is_known_of_the_noise(user_factors) -> None:
    found = measured(sparse.csr_matrix((N_USERS, N_TRACKS), dtype=np.float32), user_factors)
    assert found.noise == 0
    assert not score_variances(found, np.ones(D), np.arange(3)).any()


def test_shapes_that_do_not_fit_are_named(plays, user_factors) -> None:
    with pytest.raises(DataError, match=r"plays \(59, 30\).*do not fit"):
        measured(plays[1:], user_factors)


def test_without_an_exposure_half_a_track_without_plays_is_as_unknown_as_with_one(plays, user_factors) -> None:
    found = replace(measured(plays, user_factors), config=replace(CONFIG, exposure_half=0.0))
    direction = np.ones(D)
    expected = found.noise * direction @ direction / CONFIG.strength
    assert score_variances(found, direction, np.array([0]))[0] == pytest.approx(expected)
    assert rough_variances(found, direction)[0] == pytest.approx(expected)


def test_blocks_change_nothing(plays, user_factors, monkeypatch) -> None:
    found, direction = measured(plays, user_factors), np.ones(D)
    whole = score_variances(found, direction, np.arange(N_TRACKS))
    monkeypatch.setattr("recommender.models.uncertainty._BLOCK_VALUES", 1)
    np.testing.assert_allclose(score_variances(replace(found), direction, np.arange(N_TRACKS)), whole)
