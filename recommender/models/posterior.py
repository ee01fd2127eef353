"""What plays make of a track's prior: section 1 of the design, exactly, for many tracks at once.

For a track with the prior mean mu, played by n users (the set S), the posterior factors minimise::

    sum_S w_u (1 - x_u.y)^2 + a0 e sum_all (x_u.y)^2 + r_e |y|^2 + lam |y - s mu|^2

w_u are the weights of the plays, 1 on average, by `als.play_confidence` and in the form that `als` says.
``e = n^2 / (n^2 + exposure_half^2)`` is the track's exposure: a young track's silence is no evidence against it. r_e is
the regularization of `als` with only a share e of the part that comes with silence, ``lam_als (a0 N)^nu``. A track
without plays has ``s mu`` and nothing else, one with many is close to what `als.fold_in_tracks` gives. The squares
matter: on real listening n / (n + 500) makes nearly all tracks young and costs known ones a sixth of their NDCG, a half
of 10 plays under these squares less than 1 %. The price: among tracks that differ in plays the less exposed score
higher, so that from about 10 plays on the gain over ALS is gone; a ranker should measure which half it can afford.

With G = sum_all x x' = Q diag(g) Q' the matrix without the plays is diagonal in the basis Q, and n plays are a change
of rank n to it (Woodbury): systems of n by n instead of d by d, small for just the tracks that this is made for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.errors import ConfigError, DataError
from recommender.models.als import fold_in_tracks, one_blas_thread, only_positive, quadratic_weight
from recommender.models.factors import AlsConfig, Float32s

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_BLOCK_VALUES = 4_000_000


@dataclass(frozen=True)
class PosteriorConfig:
    """How a prior and plays are weighed against each other.

    Parameters
    ----------
    scale : float >= 0
        s: what predicted factors are multiplied by. At 1 a typical prediction is as long as the factors that the prior
        learned from.
    exposure_half : float >= 0
        Plays at which a track counts as half exposed; with five times as many it counts as exposed. At 0 the first play
        makes all silence evidence. The more, the more do tracks with an embedding gain on those without.
    strength : float > 0
        lam: weight of the pull towards the prior, in plays' unit.
    """

    scale: float = 1.0
    exposure_half: float = 10.0
    strength: float = 0.5

    def __post_init__(self) -> None:
        for name in ("scale", "exposure_half", "strength"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0) or (name == "strength" and value == 0):
                raise ConfigError(
                    f"posterior {name} is {value}, expected a number {'>' if name == 'strength' else '>='} 0"
                )


def posterior_track_factors(
    confidence: sparse.csr_matrix,
    user_factors: Float32s,
    prior_means: Float32s,
    has_prior: Bools,
    als_config: AlsConfig,
    config: PosteriorConfig | None = None,
    *,
    gram: Floats | None = None,
) -> Float32s:
    """Solve for the factors of tracks from their prior and their plays, while the user factors stay fixed.

    Parameters
    ----------
    confidence : csr_matrix, shape (n_users, n_tracks)
        A weight > 0 for each play. Rows follow `user_factors`, columns `prior_means`.
    user_factors : ndarray, shape (n_users, d), float32
        By ALS with `als_config`.
    prior_means : ndarray, shape (n_tracks, d), float32
        mu, for example by `cold_start.predict_prior`. For a track that the prior was fitted on it should be the
        left-out prediction: else its plays count twice.
    has_prior : ndarray, shape (n_tracks,), bool
        Where false, the prior mean is not looked at and the track gets what `als.fold_in_tracks` gives.
    als_config : AlsConfig
    config : PosteriorConfig, optional
    gram : ndarray, shape (d, d), float64, optional
        ``X'X`` of the user factors X, where it is known.

    Returns
    -------
    ndarray, shape (n_tracks, d), float32
        Exactly ``scale * prior_means`` for a track without plays.

    Raises
    ------
    DataError
        If shapes do not fit.
    """
    config = config or PosteriorConfig()
    expected = (len(user_factors), len(prior_means))
    if (
        confidence.shape != expected
        or has_prior.shape != expected[1:]
        or user_factors.shape[1:] != prior_means.shape[1:]
    ):
        raise DataError(
            f"plays {confidence.shape}, user factors {user_factors.shape}, prior means {prior_means.shape} and "
            f"has_prior {has_prior.shape} do not fit; rows of plays are users, columns are tracks"
        )
    by_track = only_positive(sparse.csr_matrix(confidence).T.tocsr())
    counts = np.diff(by_track.indptr)
    solved = np.where(has_prior[:, None], np.float32(config.scale) * prior_means, np.float32(0)).astype(np.float32)
    without = np.flatnonzero(~has_prior & (counts > 0))
    if len(without):
        solved[without] = fold_in_tracks(by_track[without].T.tocsr(), user_factors, als_config)
    rows = np.flatnonzero(has_prior & (counts > 0))
    if len(rows) == 0:
        return solved
    with one_blas_thread():
        if gram is None:
            wide = user_factors.astype(np.float64)
            gram = wide.T @ wide
        spectrum, basis = np.linalg.eigh(gram)
        spectrum = np.maximum(spectrum, 0)
        means = config.scale * prior_means[rows].astype(np.float64) @ basis
        diagonals = diagonals_of(counts[rows], spectrum, int(user_factors.any(axis=1).sum()), als_config, config)
        right = config.strength * means
        for n_plays in np.unique(counts[rows]):
            same = np.flatnonzero(counts[rows] == n_plays)
            width = max(1, _BLOCK_VALUES // (len(basis) * max(int(n_plays), len(basis))))
            for start in range(0, len(same), width):
                block = same[start : start + width]
                entries = by_track.indptr[rows[block], None] + np.arange(n_plays)
                weights = by_track.data[entries].astype(np.float64)
                listeners = user_factors[by_track.indices[entries]].astype(np.float64) @ basis
                pulled = right[block] + np.einsum("bn,bnd->bd", weights, listeners)
                turned = listeners * np.sqrt(np.maximum(quadratic_weight(weights, als_config), 0))[:, :, None]
                moved = _solve_block(turned, diagonals[block], pulled)
                solved[rows[block]] = moved @ basis.T
    return solved


def diagonals_of(
    counts: npt.NDArray[np.integer], spectrum: Floats, n_users: int, als_config: AlsConfig, config: PosteriorConfig
) -> Floats:
    """Return what each track's matrix has on its diagonal before the plays, shape (n, d)."""
    squares = counts.astype(np.float64) ** 2
    exposure = np.where(squares > 0, squares / np.maximum(squares + config.exposure_half**2, 1e-12), 0.0)
    silence = als_config.unobserved_weight * n_users
    lam, nu = als_config.regularization, als_config.frequency_exponent
    by_silence = lam * silence**nu
    by_plays = lam * (counts + silence) ** nu - by_silence
    ridge = by_plays + exposure * by_silence + config.strength
    diagonals: Floats = als_config.unobserved_weight * exposure[:, None] * spectrum + ridge[:, None]
    return diagonals


def _solve_block(listeners: Floats, diagonals: Floats, right: Floats) -> Floats:
    """Solve ``(diag + sum x x') y = right`` for b tracks; listeners (b, n, d), the others (b, d)."""
    n, d = listeners.shape[1:]
    if n >= d:
        A = listeners.transpose(0, 2, 1) @ listeners
        A[:, np.arange(d), np.arange(d)] += diagonals
        return np.asarray(np.linalg.solve(A, right[:, :, None])[:, :, 0])
    scaled = listeners / diagonals[:, None, :]
    inner = listeners @ scaled.transpose(0, 2, 1)
    inner[:, np.arange(n), np.arange(n)] += 1
    weights = np.linalg.solve(inner, np.einsum("bnd,bd->bn", scaled, right)[:, :, None])
    return np.asarray(right / diagonals - (scaled * weights).sum(axis=1))
