"""From what a track sounds like to a prior over its factors: what is known of a track before its first play.

Kernel ridge regression from embeddings to the *directions* of the factors of tracks that have plays, and on top of it
what the artist's other tracks say. Directions, because a factor's length is its popularity, which cannot be heard, and
because only then do tracks with one or two plays teach something.

The kernel is a mean of ``exp(-g |x - y| / sqrt(dim))`` over several widths g, on embeddings whose dimensions are bent
to normal distributions, so that no outlier stretches them. Its sharp top and
its long tail do better on real listening than one Gaussian, and leave no width to be chosen. Beyond `max_landmarks`
tracks a random part of them serves as landmarks (the Nystroem method).

`posterior` continues where plays arrive.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from recommender.errors import ConfigError, DataError, ModelError
from recommender.models.factors import Float32s
from recommender.models.posterior import PosteriorConfig, posterior_track_factors

__all__ = [
    "UNKNOWN_ARTIST",
    "PosteriorConfig",
    "Prior",
    "PriorConfig",
    "fit_prior",
    "fit_prior_and_left_out",
    "posterior_track_factors",
    "predict_prior",
]

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]

UNKNOWN_ARTIST = -1
"""The code of a track of which the artist is not known."""

WIDTHS = (0.5, 1.0, 2.0, 4.0)
N_KNOTS = 64
RIDGES = (0.03, 0.1, 0.3, 1.0, 3.0)
ARTIST_HALVES = (0.3, 1.0, 3.0, 10.0, 30.0, np.inf)
_BLOCK = 4096


@dataclass(frozen=True)
class PriorConfig:
    """Settings of the prior.

    Parameters
    ----------
    ridge : float >= 0
        Strength of the ridge; 0 chooses it from `RIDGES` by the error on left-out tracks.
    evidence_half : float >= 0
        A track with n plays weighs ``n / (n + evidence_half)`` in the fit.
    norm_shrinkage : float, 0 to 1
        How far the lengths of predictions are drawn to their mean, geometrically; 1 makes all equally long.
    max_landmarks : int > 0
        Tracks that the kernel is spanned by, at most.
    seed : int >= 0
        Of the choice of landmarks.
    """

    ridge: float = 0.0
    evidence_half: float = 1.0
    norm_shrinkage: float = 0.5
    max_landmarks: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("ridge", "evidence_half", "seed"):
            if not (getattr(self, name) >= 0 and np.isfinite(getattr(self, name))):
                raise ConfigError(f"prior {name} is {getattr(self, name)}, expected a number >= 0")
        if not 0 <= self.norm_shrinkage <= 1:
            raise ConfigError(f"prior norm_shrinkage is {self.norm_shrinkage}, expected 0 to 1")
        if self.max_landmarks < 1:
            raise ConfigError(f"prior max_landmarks is {self.max_landmarks}, expected at least 1")


@dataclass(frozen=True, eq=False)
class Prior:
    """A fitted map from embeddings, and artists, to factors; arrays only.

    Parameters
    ----------
    knots : ndarray, shape (N_KNOTS, dim), float32
        Evenly spaced quantiles of each dimension of the embeddings.
    landmarks : ndarray, shape (n_landmarks, dim), float32
        Normal scores of embeddings.
    coefficients : ndarray, shape (n_landmarks, d), float32
    artists : ndarray, shape (n_artists,), int32
        Codes of the artists that the fit knew, ascending.
    artist_effects : ndarray, shape (n_artists, d), float32
        What an artist's tracks have in common beyond their sound, shrunk; `coefficients`' unit.
    norm_shrinkage : float
    typical_length : float
        Mean length of predictions for tracks that were left out of the fit.
    typical_norm : float
        Mean norm of the factors of tracks with plays: a prediction of typical length is brought to this norm.
    ridge : float
    artist_share : float, 0 to 1
        Share of the left-out error that what the artist's other tracks say takes away, over tracks whose artist has
        others; 0 where the artist adds nothing.
    artist_half : float
        With evidence weights adding up to this, an artist's own deviation from its sound counts one half; infinity
        where the artist adds nothing.
    """

    knots: Float32s
    landmarks: Float32s
    coefficients: Float32s
    artists: Codes
    artist_effects: Float32s
    norm_shrinkage: float
    typical_length: float
    typical_norm: float
    ridge: float
    artist_share: float
    artist_half: float

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return int(self.landmarks.shape[1])


def fit_prior(
    vectors: Float32s,
    track_factors: Float32s,
    evidence: npt.NDArray[np.floating] | npt.NDArray[np.integer],
    config: PriorConfig | None = None,
    artist_codes: Codes | None = None,
) -> Prior:
    """Learn to predict factors from embeddings.

    Parameters
    ----------
    vectors : ndarray, shape (n, dim), float32
        Embeddings of tracks.
    track_factors : ndarray, shape (n, d), float32
        Their factors, best by `smoothing.smooth_track_factors`. Tracks whose factors are zero teach nothing and are
        left out.
    evidence : ndarray, shape (n,)
        Users who played each.
    config : PriorConfig, optional
    artist_codes : ndarray, shape (n,), int32, optional
        One code an artist, `UNKNOWN_ARTIST` where there is none.

    Returns
    -------
    Prior

    Raises
    ------
    DataError
        If lengths differ or a vector is not finite.
    ModelError
        If fewer than 2 tracks have both plays and a vector.
    """
    return fit_prior_and_left_out(vectors, track_factors, evidence, config, artist_codes)[0]


def fit_prior_and_left_out(
    vectors: Float32s,
    track_factors: Float32s,
    evidence: npt.NDArray[np.floating] | npt.NDArray[np.integer],
    config: PriorConfig | None = None,
    artist_codes: Codes | None = None,
) -> tuple[Prior, Float32s]:
    """Learn a prior, and predict each track as if its own plays were not known.

    The second is what a track's own plays may be added to without counting them twice, and what a ranker may learn
    from.

    Returns
    -------
    prior : Prior
    left_out : ndarray, shape (n, d), float32
        Predicted factors of every row of `vectors`, each by a fit without that row (exactly, by the hat matrix; only
        the knots that embeddings are bent by know it).
    """
    config = config or PriorConfig()
    _check(vectors, track_factors, evidence, artist_codes)
    taught = np.flatnonzero(track_factors.any(axis=1) & (evidence > 0))
    if len(taught) < 2:
        raise ModelError(f"a prior needs 2 tracks or more with both plays and an embedding, found {len(taught)}")
    X = vectors[taught].astype(np.float64)
    norms = np.linalg.norm(track_factors[taught].astype(np.float64), axis=1)
    directions = track_factors[taught] / norms[:, None]
    n_plays = evidence[taught].astype(np.float64)
    weights = n_plays / (n_plays + config.evidence_half)
    knots = np.quantile(X, (np.arange(N_KNOTS) + 0.5) / N_KNOTS, axis=0).astype(np.float32)
    Z = normal_scores(X, knots)
    chosen = np.arange(len(Z))
    if len(Z) > config.max_landmarks:
        chosen = np.sort(np.random.default_rng(config.seed).choice(len(Z), config.max_landmarks, replace=False))
    design = kernel(Z, Z[chosen])
    ridges = (config.ridge,) if config.ridge > 0 else RIDGES
    fits = [_solve(design, chosen, directions, weights, ridge) for ridge in ridges]
    errors = [float(np.average((residuals**2).sum(axis=1), weights=weights)) for _, residuals in fits]
    best = int(np.argmin(errors))
    coefficients, residuals = fits[best]
    codes = artist_codes[taught] if artist_codes is not None else np.full(len(taught), UNKNOWN_ARTIST, dtype=np.int32)
    artists, effects, own_effects, half, share = _artist_effects(codes, residuals, weights)
    left_out_directions = directions - residuals + own_effects
    prior = Prior(
        knots,
        Z[chosen].astype(np.float32),
        coefficients.astype(np.float32),
        artists,
        effects.astype(np.float32),
        config.norm_shrinkage,
        float(np.average(np.linalg.norm(left_out_directions, axis=1), weights=weights)),
        float(np.average(norms, weights=weights)),
        ridges[best],
        share,
        half,
    )
    left_out = predict_prior(prior, vectors, artist_codes)
    left_out[taught] = _bring_to_length(prior, left_out_directions)
    return prior, left_out


def predict_prior(prior: Prior, vectors: Float32s, artist_codes: Codes | None = None) -> Float32s:
    """Predict the factors of tracks from their embeddings, and their artists where they are known.

    Parameters
    ----------
    prior : Prior
    vectors : ndarray, shape (n, dim), float32
    artist_codes : ndarray, shape (n,), int32, optional
        Codes as in the fit; an artist that the fit did not know adds nothing.

    Returns
    -------
    ndarray, shape (n, d), float32
        mu of the posterior. Long where similar tracks agree, short where there are none.

    Raises
    ------
    DataError
        If the vectors have another length than those of the fit.
    """
    if vectors.ndim != 2 or vectors.shape[1] != prior.dim:
        raise DataError(f"embeddings have shape {vectors.shape}, the prior was fitted on vectors of length {prior.dim}")
    directions = np.zeros((len(vectors), prior.coefficients.shape[1]))
    landmarks, coefficients = prior.landmarks.astype(np.float64), prior.coefficients.astype(np.float64)
    for start in range(0, len(vectors), _BLOCK):
        Z = normal_scores(vectors[start : start + _BLOCK], prior.knots)
        directions[start : start + _BLOCK] = kernel(Z, landmarks) @ coefficients
    if artist_codes is not None and len(prior.artists):
        place = np.minimum(np.searchsorted(prior.artists, artist_codes), len(prior.artists) - 1)
        known = prior.artists[place] == artist_codes
        directions[known] += prior.artist_effects[place[known]]
    return _bring_to_length(prior, directions)


def normal_scores(vectors: npt.NDArray[np.floating], knots: Float32s) -> Floats:
    """Bend each dimension to a normal distribution: the normal quantile of a value's place among the knots.

    What lies beyond the knots goes on straight; a dimension that does not vary becomes 0.
    """
    normal = ndtri((np.arange(len(knots)) + 0.5) / len(knots))
    scores = np.zeros(vectors.shape)
    for column, sorted_values in enumerate(knots.T):
        values, place = np.unique(sorted_values, return_inverse=True)
        if len(values) > 1:
            heights = np.bincount(place, normal) / np.bincount(place)
            slope = (heights[-1] - heights[0]) / (values[-1] - values[0])
            beyond = vectors[:, column] - np.clip(vectors[:, column], values[0], values[-1])
            scores[:, column] = np.interp(vectors[:, column], values, heights) + slope * beyond
    return scores


def kernel(X: Floats, Y: Floats) -> Floats:
    """Return the mean of ``exp(-g |x - y| / sqrt(dim))`` over `WIDTHS`.

    Parameters
    ----------
    X : ndarray, shape (n, dim), float64
    Y : ndarray, shape (m, dim), float64

    Returns
    -------
    ndarray, shape (n, m), float64
        1 where x equals y.
    """
    squares = (X**2).sum(axis=1)[:, None] + (Y**2).sum(axis=1) - 2 * X @ Y.T
    distance = np.sqrt(np.maximum(squares, 0) / X.shape[1])
    total = np.zeros_like(distance)
    for width in WIDTHS:
        total += np.exp(-width * distance)
    mean: Floats = total / len(WIDTHS)
    return mean


def _solve(
    design: Floats, chosen: npt.NDArray[np.intp], targets: Floats, weights: Floats, ridge: float
) -> tuple[Floats, Floats]:
    """Return the ridge's coefficients (n_landmarks, d), and each row's error by a fit without that row (n, d)."""
    weighted = design * weights[:, None]
    span = design[chosen]
    A = design.T @ weighted + ridge * span
    A[np.diag_indices_from(A)] += 1e-10 * np.trace(A) / len(A)
    inverse = np.linalg.inv(A)
    coefficients = inverse @ (weighted.T @ targets)
    leverage = np.einsum("ij,ij->i", design @ inverse, weighted)
    return coefficients, (targets - design @ coefficients) / np.maximum(1 - leverage, 1e-6)[:, None]


def _artist_effects(codes: Codes, residuals: Floats, weights: Floats) -> tuple[Codes, Floats, Floats, float, float]:
    """Find what artists' tracks have in common beyond their sound: shrunk means of left-out errors.

    The amount of shrinkage is chosen by the error on tracks whose artist has others.

    Returns
    -------
    artists : ndarray, shape (n_artists,), int32
    effects : ndarray, shape (n_artists, d), float64
    own_effects : ndarray, shape (n, d), float64
        Of each track's artist, from that artist's other tracks.
    half : float
        The total weight at which the mean counts one half.
    share : float
        Of the squared error on tracks whose artist has others, what this takes away.
    """
    artists, place = np.unique(codes, return_inverse=True)
    known = codes != UNKNOWN_ARTIST
    sums = np.zeros((len(artists), residuals.shape[1]))
    np.add.at(sums, place[known], residuals[known] * weights[known, None])
    totals = np.bincount(place[known], weights[known], minlength=len(artists))
    others = np.where(known, totals[place] - weights, 0)
    others[others < 1e-9] = 0
    with_others = others > 0
    other_sums = np.where(with_others[:, None], sums[place] - residuals * weights[:, None], 0)
    half, least, without = np.inf, np.inf, 0.0
    for candidate in ARTIST_HALVES if with_others.any() else ():
        error = (residuals - other_sums / (others + candidate)[:, None])[with_others]
        value = float(np.average((error**2).sum(axis=1), weights=weights[with_others]))
        if np.isinf(candidate):
            without = value
        if value < least:
            half, least = float(candidate), value
    kept = (artists != UNKNOWN_ARTIST) & np.isfinite(half)
    return (
        artists[kept].astype(np.int32),
        sums[kept] / (totals[kept] + half)[:, None],
        other_sums / (others + half)[:, None],
        half,
        1 - least / without if without > 0 else 0.0,
    )


def _bring_to_length(prior: Prior, directions: Floats) -> Float32s:
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    shrunk = (prior.typical_length / np.maximum(lengths, 1e-12)) ** prior.norm_shrinkage
    scale = prior.typical_norm / max(prior.typical_length, 1e-12)
    return np.asarray(directions * shrunk * scale, dtype=np.float32)


def _check(
    vectors: Float32s,
    track_factors: Float32s,
    evidence: npt.NDArray[np.floating] | npt.NDArray[np.integer],
    artist_codes: Codes | None,
) -> None:
    n_codes = len(vectors) if artist_codes is None else len(artist_codes)
    if vectors.ndim != 2 or not len(vectors) == len(track_factors) == len(evidence) == n_codes:
        raise DataError(
            f"a prior needs one row a track in all its tables: vectors {vectors.shape}, factors {track_factors.shape}, "
            f"evidence {evidence.shape}, {n_codes} artist codes"
        )
    if not np.all(np.isfinite(vectors)):
        bad = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise DataError(f"the embedding in row {bad} holds NaN or infinity; embed the track again")
