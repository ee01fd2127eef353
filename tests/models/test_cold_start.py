from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.errors import ConfigError, DataError, ModelError
from recommender.models.cold_start import (
    UNKNOWN_ARTIST,
    PriorConfig,
    fit_prior,
    fit_prior_and_left_out,
    kernel,
    normal_scores,
    predict_prior,
)


def world(n: int = 120, seed: int = 0, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings, factors that depend smoothly on them (lengths do not), and evidence; d = 3, dim = 5."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 5)).astype(np.float32) * [1, 10, 0.1, 1, 1] + [0, 50, 0, 0, 0]
    Z = vectors / [1, 10, 0.1, 1, 1] - [0, 5, 0, 0, 0]
    directions = np.stack([Z[:, 0], np.tanh(Z[:, 1] + Z[:, 2]), Z[:, 3]], axis=1) + noise * rng.normal(size=(n, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    factors = directions * rng.uniform(0.2, 1.5, (n, 1))
    return vectors.astype(np.float32), factors.astype(np.float32), rng.integers(1, 200, n)


def cosines(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    return (A * B).sum(axis=1) / np.linalg.norm(A, axis=1) / np.linalg.norm(B, axis=1)


def ridge_by_hand(X: np.ndarray, Y: np.ndarray, w: np.ndarray, at: np.ndarray, ridge: float) -> np.ndarray:
    """Kernel ridge regression in its textbook form, one kernel value at a time."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        distance = np.sqrt(((a - b) ** 2).sum() / len(a))
        return float(np.mean([np.exp(-g * distance) for g in (0.5, 1, 2, 4)]))

    K = np.array([[k(a, b) for b in X] for a in X])
    alpha = np.linalg.solve(K + ridge * np.diag(1 / w), Y)
    return np.array([[k(a, b) for b in X] for a in at]) @ alpha


def test_dimensions_are_bent_to_normal_distributions() -> None:
    skewed = np.exp(np.random.default_rng(0).normal(size=(500, 2))).astype(np.float32)
    skewed[:, 1] = 3
    prior = fit_prior(skewed, np.ones((500, 2), np.float32), np.ones(500), PriorConfig(ridge=1))
    scores = normal_scores(skewed, prior.knots)
    inner = np.abs(np.log(skewed[:, 0])) < 1.8
    np.testing.assert_allclose(scores[inner, 0], np.log(skewed[inner, 0]), atol=0.3)
    assert not scores[:, 1].any()
    end, beyond = prior.knots[-1:], prior.knots[-1:] * 3
    assert (normal_scores(beyond, prior.knots)[:, 0] > normal_scores(end, prior.knots)[:, 0]).all()


def test_prediction_is_textbook_kernel_ridge() -> None:
    vectors, factors, evidence = world(40)
    config = PriorConfig(ridge=0.4, evidence_half=3, norm_shrinkage=0)
    prior = fit_prior(vectors[:30], factors[:30], evidence[:30], config)
    Y = factors[:30] / np.linalg.norm(factors[:30], axis=1, keepdims=True)
    known, new = normal_scores(vectors[:30], prior.knots), normal_scores(vectors[30:], prior.knots)
    expected = ridge_by_hand(known, Y, evidence[:30] / (evidence[:30] + 3), new, 0.4)
    found = predict_prior(prior, vectors[30:]) * prior.typical_length / prior.typical_norm
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_left_out_is_what_a_fit_without_the_track_predicts() -> None:
    vectors, factors, evidence = world(25)
    config = PriorConfig(ridge=0.3, norm_shrinkage=0)
    prior, left_out = fit_prior_and_left_out(vectors, factors, evidence, config)
    unit = prior.typical_norm / prior.typical_length
    Y = factors / np.linalg.norm(factors, axis=1, keepdims=True)
    Z = normal_scores(vectors, prior.knots)
    w = evidence / (evidence + 1)
    for row in (0, 7, 24):
        rest = np.arange(25) != row
        alpha = np.linalg.solve(kernel(Z[rest], Z[rest]) + 0.3 * np.diag(1 / w[rest]), Y[rest])
        expected = kernel(Z[[row]], Z[rest]) @ alpha
        np.testing.assert_allclose(left_out[row] / unit, expected[0], atol=2e-4)


def test_directions_of_unheard_tracks_are_predicted() -> None:
    vectors, factors, evidence = world(400)
    prior = fit_prior(vectors[:300], factors[:300], evidence[:300])
    found = cosines(predict_prior(prior, vectors[300:]), factors[300:])
    assert found.mean() > 0.7
    shuffled = fit_prior(vectors[np.random.default_rng(0).permutation(300)], factors[:300], evidence[:300])
    assert cosines(predict_prior(shuffled, vectors[300:]), factors[300:]).mean() < 0.35


def test_left_out_predictions_are_no_better_than_those_of_new_tracks() -> None:
    vectors, factors, evidence = world(400, noise=1.0)
    prior, left_out = fit_prior_and_left_out(vectors[:300], factors[:300], evidence[:300])
    fresh = cosines(predict_prior(prior, vectors[300:]), factors[300:]).mean()
    assert cosines(left_out, factors[:300]).mean() == pytest.approx(fresh, abs=0.06)
    assert cosines(predict_prior(prior, vectors[:300]), factors[:300]).mean() > fresh + 0.1


def test_a_typical_prediction_is_as_long_as_a_typical_track() -> None:
    vectors, factors, evidence = world(400)
    prior = fit_prior(vectors[:300], factors[:300], evidence[:300])
    lengths = np.linalg.norm(predict_prior(prior, vectors[300:]), axis=1)
    assert lengths.mean() == pytest.approx(np.linalg.norm(factors, axis=1).mean(), rel=0.1)


def test_far_from_everything_the_prediction_is_short_and_shrinkage_evens_lengths_out() -> None:
    vectors, factors, evidence = world(200)
    far = vectors[:1] + np.float32(30) * vectors.std(axis=0)
    spreads = {}
    for shrinkage in (0.0, 0.5, 1.0):
        prior = fit_prior(vectors, factors, evidence, PriorConfig(norm_shrinkage=shrinkage))
        lengths = np.linalg.norm(predict_prior(prior, np.vstack([vectors, far])), axis=1)
        spreads[shrinkage] = lengths[:-1].std()
        if shrinkage < 1:
            assert lengths[-1] < 0.2 * lengths[:-1].mean()
    assert spreads[0.0] > spreads[0.5] > spreads[1.0]
    assert spreads[1.0] == pytest.approx(0, abs=1e-5)


def test_tracks_without_factors_teach_nothing() -> None:
    vectors, factors, evidence = world(60)
    silent = factors.copy()
    silent[50:] = 0
    np.testing.assert_array_equal(
        predict_prior(fit_prior(vectors, silent, np.r_[evidence[:50], np.zeros(10)]), vectors),
        predict_prior(fit_prior(vectors[:50], factors[:50], evidence[:50]), vectors),
    )


def test_landmarks_come_close_to_the_whole() -> None:
    vectors, factors, evidence = world(500)
    whole = predict_prior(fit_prior(vectors[:400], factors[:400], evidence[:400]), vectors[400:])
    some = fit_prior(vectors[:400], factors[:400], evidence[:400], PriorConfig(max_landmarks=150))
    assert some.landmarks.shape == (150, 5)
    assert cosines(predict_prior(some, vectors[400:]), whole).min() > 0.9
    again = fit_prior(vectors[:400], factors[:400], evidence[:400], PriorConfig(max_landmarks=150))
    np.testing.assert_array_equal(again.coefficients, some.coefficients)


def test_ridge_is_chosen_by_the_noise() -> None:
    vectors, factors, evidence = world(200)
    clear = fit_prior(vectors, factors, evidence, PriorConfig(ridge=0))
    noise = np.random.default_rng(1).normal(size=factors.shape).astype(np.float32)
    unclear = fit_prior(vectors, noise, evidence, PriorConfig(ridge=0))
    assert clear.ridge < 1
    assert unclear.ridge == 3.0


def artist_world(effect: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """60 artists of 5 tracks; an artist's own taste cannot be heard."""
    vectors, factors, evidence = world(300, seed=3)
    codes = np.repeat(np.arange(60, dtype=np.int32), 5)
    own = np.random.default_rng(4).normal(size=(60, 3))[codes]
    return vectors, (factors + effect * own).astype(np.float32), evidence, codes


def test_what_artists_share_beyond_their_sound_is_used() -> None:
    vectors, factors, evidence, codes = artist_world(1.0)
    new = np.arange(300) % 5 == 4
    prior = fit_prior(vectors[~new], factors[~new], evidence[~new], artist_codes=codes[~new])
    with_artist = cosines(predict_prior(prior, vectors[new], codes[new]), factors[new]).mean()
    without = cosines(predict_prior(prior, vectors[new]), factors[new]).mean()
    assert with_artist > without + 0.2
    np.testing.assert_array_equal(
        predict_prior(prior, vectors[new], np.full(60, UNKNOWN_ARTIST, np.int32)), predict_prior(prior, vectors[new])
    )
    np.testing.assert_array_equal(
        predict_prior(prior, vectors[new], np.full(60, 999, np.int32)), predict_prior(prior, vectors[new])
    )


def test_artists_that_share_nothing_are_left_alone() -> None:
    vectors, factors, evidence, codes = artist_world(0.0)
    rng = np.random.default_rng(0)
    prior = fit_prior(vectors, factors, evidence, artist_codes=rng.permutation(codes))
    assert prior.artist_half >= 10
    alone = fit_prior(vectors, factors, evidence, artist_codes=np.arange(300, dtype=np.int32))
    assert alone.artist_half == np.inf
    assert len(alone.artists) == 0


def test_left_out_predictions_do_not_see_the_track_through_its_artist() -> None:
    vectors, factors, evidence, codes = artist_world(1.0)
    changed = factors.copy()
    changed[0] = -factors[0]
    first = fit_prior_and_left_out(vectors, factors, evidence, PriorConfig(norm_shrinkage=1), codes)[1][0]
    second = fit_prior_and_left_out(vectors, changed, evidence, PriorConfig(norm_shrinkage=1), codes)[1][0]
    assert cosines(first[None], second[None])[0] > 0.95


@settings(max_examples=20, deadline=None)
@given(n=st.integers(2, 12), dim=st.integers(1, 6), d=st.integers(1, 20), constant=st.booleans())
def test_small_and_flat_data(n: int, dim: int, d: int, constant: bool) -> None:
    rng = np.random.default_rng(n + 31 * dim)
    vectors = rng.normal(size=(n, dim)).astype(np.float32)
    if constant:
        vectors[:] = 0.7
    prior, left_out = fit_prior_and_left_out(vectors, rng.normal(size=(n, d)).astype(np.float32), np.ones(n))
    means = predict_prior(prior, vectors)
    assert means.shape == left_out.shape == (n, d)
    assert means.dtype == left_out.dtype == np.float32
    assert np.isfinite(means).all()
    assert np.isfinite(left_out).all()
    # float32 matrix products of one row and of many may differ in the last digits
    np.testing.assert_allclose(predict_prior(prior, vectors[:1])[0], means[0], rtol=1e-4, atol=1e-6)
    assert predict_prior(prior, vectors[:0]).shape == (0, d)


def test_what_cannot_be_used_is_named() -> None:
    vectors, factors, evidence = world(20)
    with pytest.raises(ModelError, match="2 tracks or more with both plays and an embedding, found 0"):
        fit_prior(vectors, np.zeros_like(factors), evidence)
    with pytest.raises(DataError, match="one row a track"):
        fit_prior(vectors[:5], factors, evidence)
    bad = vectors.copy()
    bad[3, 2] = np.nan
    with pytest.raises(DataError, match="row 3 holds NaN"):
        fit_prior(bad, factors, evidence)
    with pytest.raises(DataError, match="vectors of length 5"):
        predict_prior(fit_prior(vectors, factors, evidence), vectors[:, :4])


@pytest.mark.parametrize(
    ("name", "value"),
    [("ridge", -1.0), ("evidence_half", -1.0), ("norm_shrinkage", 1.5), ("max_landmarks", 0), ("ridge", float("nan"))],
)
def test_settings_that_cannot_be_used_are_named(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} is {value}"):
        replace(PriorConfig(), **{name: value})


def test_the_artists_share_is_large_where_artists_differ_beyond_their_sound() -> None:
    vectors, factors, evidence = world(160)
    codes = (np.arange(160) % 20).astype(np.int32)
    own = np.random.default_rng(4).normal(size=(20, 3))[codes].astype(np.float32) * 2
    with_artist = fit_prior(vectors, factors + own, evidence, artist_codes=codes)
    without = fit_prior(vectors, factors, evidence, artist_codes=codes)
    nameless = fit_prior(vectors, factors + own, evidence)
    assert with_artist.artist_share > 0.3
    assert 0 <= without.artist_share < 0.1
    assert nameless.artist_share == 0
