"""Baselines that predict a new track's factors from its sound, each in a few lines.

Each is a function ``(vectors, factors, evidence, artists, rng) -> predict``, where ``predict(vectors, artists)`` gives
factors: vectors (n, dim) are standardised embeddings, factors (n, d) those of ALS, evidence (n,) listeners, and artists
(n,) one code an artist, `UNKNOWN_ARTIST` where there is none. `by_prediction` makes a method of such a function: known
tracks keep the factors of ALS, new ones get predicted ones, as they come. Nothing brings the two to one scale: that is
what a ranker is for, and mixed lists show what happens without.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from recommender.evaluation.methods import Fits, Method, rank_by
from recommender.evaluation.protocol import Rank, Task
from recommender.models.als import fold_in_users
from recommender.models.cold_start import UNKNOWN_ARTIST
from recommender.models.factors import Float32s
from recommender.models.posterior import PosteriorConfig, posterior_track_factors
from recommender.ranking.model import known_artists

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
Predict = Callable[[Float32s, Codes], npt.NDArray[np.floating]]
Learn = Callable[[Float32s, Float32s, npt.NDArray[np.integer], Codes, np.random.Generator], Predict]

RIDGES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
WIDTH = 2.0
MAX_TAUGHT = 4000
"""More tracks than this teach no kernel: a random part of them does."""

ARTIST_HALF = 1.0
ROUNDS = 5
PULL = 10.0


def by_prediction(learn: Learn) -> Method:
    """Return the method that ranks by ALS, with the factors of new tracks as `learn` predicts them."""

    def method(task: Task, fits: Fits) -> Rank:
        factors, artists = fits.factors, known_artists(fits.catalog)
        known = factors.track_factors.any(axis=1)
        taught, new = np.flatnonzero(fits.has_sound & known), np.flatnonzero(fits.has_sound & ~known)
        rng = np.random.default_rng(fits.seed)
        predict = learn(fits.sound[taught], factors.track_factors[taught], fits.evidence[taught], artists[taught], rng)
        tracks = factors.track_factors.copy()
        tracks[new] = predict(fits.sound[new], artists[new])
        shown = tracks[task.candidate_rows].T
        return rank_by(lambda users: factors.user_factors[users] @ shown, task, fits)

    method.__doc__ = learn.__doc__
    return method


def linear_ridge(
    vectors: Float32s, factors: Float32s, evidence: npt.NDArray[np.integer], artists: Codes, rng: np.random.Generator
) -> Predict:
    """Ridge regression from sound to factors: what most tutorials do."""
    del evidence, artists
    taught, targets = _some(vectors, factors, rng)
    weights = _dual_ridge(taught @ taught.T / taught.shape[1], targets)
    return lambda new, _: (new @ taught.T / taught.shape[1]) @ weights


def kernel_ridge(
    vectors: Float32s, factors: Float32s, evidence: npt.NDArray[np.integer], artists: Codes, rng: np.random.Generator
) -> Predict:
    """Ridge regression from sound to factors with the kernel ``exp(-WIDTH |x - y|^2 / dim)``."""
    del evidence, artists
    taught, targets = _some(vectors, factors, rng)
    weights = _dual_ridge(_gaussian(taught, taught), targets)
    return lambda new, _: _gaussian(new, taught) @ weights


def artist_and_content(
    vectors: Float32s, factors: Float32s, evidence: npt.NDArray[np.integer], artists: Codes, rng: np.random.Generator
) -> Predict:
    """Kernel ridge over sound and the mean factors of the artist's other tracks, side by side.

    The cheap form of artist-aware cold start: a track's feature is its sound and what its artist's other known tracks
    have become, shrunk by how many they are.
    """
    del evidence
    chosen = _chosen(len(vectors), rng)
    unit = float(np.mean(np.linalg.norm(factors, axis=1))) or 1.0
    codes, place = np.unique(artists, return_inverse=True)
    sums = np.zeros((len(codes), factors.shape[1]))
    named = artists != UNKNOWN_ARTIST
    np.add.at(sums, place[named], factors[named] / unit)
    counts = np.bincount(place[named], minlength=len(codes)).astype(np.float64)
    others = np.where(named, counts[place] - 1, 0)[:, None]
    own = np.where(others > 0, (sums[place] - factors / unit) / (others + ARTIST_HALF), 0)[chosen]
    taught = vectors[chosen]
    weights = _dual_ridge(_gaussian(taught, taught) + own @ own.T, factors[chosen])

    def predict(new: Float32s, new_artists: Codes) -> Floats:
        at = np.minimum(np.searchsorted(codes, new_artists), len(codes) - 1)
        known = (codes[at] == new_artists) & (new_artists != UNKNOWN_ARTIST)
        means = np.where(known[:, None], sums[at] / (counts[at] + ARTIST_HALF)[:, None], 0)
        predicted: Floats = (_gaussian(new, taught) + means @ own.T) @ weights
        return predicted

    return predict


def feature_aware_als(task: Task, fits: Fits) -> Rank:
    """ALS in which a track's factors are drawn to a linear map of its sound, the map and the factors in turn.

    ``y_i ~ N(B g_i, 1/r)``: B is the ridge map from sound to the factors so far, the track factors are solved with that
    mean and the weight `PULL`, then the users are solved again. The idea of irspack's feature-aware iALS.
    """
    config = fits.factors.config
    users, tracks = fits.factors.user_factors, fits.factors.track_factors
    posterior = PosteriorConfig(scale=1.0, exposure_half=0.0, strength=PULL)
    known = fits.evidence > 0
    taught = np.flatnonzero(fits.has_sound & known)
    artists = np.full(len(tracks), UNKNOWN_ARTIST, dtype=np.int32)
    for _ in range(ROUNDS):
        rng = np.random.default_rng(fits.seed)
        predict = linear_ridge(fits.sound[taught], tracks[taught], fits.evidence[taught], artists[taught], rng)
        means = np.where(fits.has_sound[:, None], predict(fits.sound, artists), 0).astype(np.float32)
        tracks = posterior_track_factors(fits.confidence, users, means, fits.has_sound, config, posterior)
        trained = np.where(known[:, None], tracks, np.float32(0))
        users = fold_in_users(fits.plays, trained, config)
    shown = tracks[task.candidate_rows].T
    return rank_by(lambda rows: users[rows] @ shown, task, fits)


def _dual_ridge(gram: npt.NDArray[np.floating], targets: npt.NDArray[np.floating]) -> Floats:
    """Return the dual weights of the ridge with the least error on left-out rows; gram (n, n), targets (n, d)."""
    values, basis = np.linalg.eigh(gram.astype(np.float64))
    values, turned = np.maximum(values, 0), basis.T @ targets.astype(np.float64)
    best, least = turned, np.inf
    for ridge in RIDGES:
        weights = basis @ (turned / (values + ridge)[:, None])
        left_out = weights / (basis**2 @ (1 / (values + ridge)))[:, None]
        error = float((left_out**2).sum())
        if error < least:
            best, least = weights, error
    return best


def _gaussian(some: Float32s, others: Float32s) -> npt.NDArray[np.floating]:
    x, y = some.astype(np.float64), others.astype(np.float64)
    squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
    return np.asarray(np.exp(-WIDTH * np.maximum(squares, 0) / x.shape[1]))


def _some(vectors: Float32s, factors: Float32s, rng: np.random.Generator) -> tuple[Float32s, Float32s]:
    chosen = _chosen(len(vectors), rng)
    return vectors[chosen], factors[chosen]


def _chosen(count: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    return np.sort(rng.choice(count, MAX_TAUGHT, replace=False)) if count > MAX_TAUGHT else np.arange(count)
