"""How far a track's factors may still move: the covariance that belongs to the mean of `posterior`.

The ridge solve of a track with the matrix A (`posterior`) is the mean of a Gaussian with covariance ``noise A^-1``: the
regularization is the precision of the prior, every listener x adds ``x x'`` times the weight of the play. So the score
of a track for a user with factors x has the variance ``noise x' A^-1 x``. It falls with every listener, most for those
who are like him.

In the basis Q of ``sum_all x x' = Q diag(g) Q'`` the matrix without plays is diagonal, D, and with z = Q' x the n
listeners L (n, d) of a track take from the variance (Woodbury)::

    z' A^-1 z = z' D^-1 z - b' (I + L D^-1 L')^-1 b,    b = L D^-1 z

so that a system of n by n is solved where n < d. The noise is chosen from the data: the factors that the well played
tracks turned out to have lie around their predictions as widely as the prior says that they should.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.errors import DataError
from recommender.models.als import one_blas_thread, only_positive, quadratic_weight
from recommender.models.factors import AlsConfig, Float32s
from recommender.models.posterior import Bools, Floats, PosteriorConfig, diagonals_of

MIN_CALIBRATION_TRACKS = 10
_BLOCK_VALUES = 4_000_000
_TOGETHER = (16, 32, 64)
"""Tracks with up to so many listeners are solved together."""


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What the variance of any track's score is computed from; nothing of the size of d by d a track is kept.

    Parameters
    ----------
    by_track : csr_matrix, shape (n_tracks, n_users)
        The weights of the plays.
    listeners : ndarray, shape (n_users, d), float64 or float32
        User factors in the basis.
    basis : ndarray, shape (d, d), float64
        Columns are the eigenvectors of ``sum_all x x'``.
    spectrum : ndarray, shape (d,), float64
        Their eigenvalues.
    noise : float
        Variance of one observation.
    n_users : int
        Users with factors.
    als_config : AlsConfig
    config : PosteriorConfig
    """

    by_track: sparse.csr_matrix
    listeners: npt.NDArray[np.floating]
    basis: Floats
    spectrum: Floats
    noise: float
    n_users: int
    als_config: AlsConfig
    config: PosteriorConfig

    @cached_property
    def kinds(self) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.intp]]:
        """The numbers of listeners that tracks have, ascending, and the place of each track among these."""
        counts, place = np.unique(np.diff(self.by_track.indptr), return_inverse=True)
        return counts, place


def measure_uncertainty(
    confidence: sparse.csr_matrix,
    user_factors: Float32s,
    track_factors: Float32s,
    prior_means: Float32s,
    has_prior: Bools,
    als_config: AlsConfig,
    config: PosteriorConfig,
) -> Uncertainty:
    """Prepare the variances of the tracks' scores, and choose the noise.

    Parameters
    ----------
    confidence : csr_matrix, shape (n_users, n_tracks)
        A weight > 0 for each play.
    user_factors, track_factors : ndarray, shapes (n_users, d) and (n_tracks, d), float32
        By ALS with `als_config`.
    prior_means : ndarray, shape (n_tracks, d), float32
        Left-out predictions, as in `posterior.posterior_track_factors`.
    has_prior : ndarray, shape (n_tracks,), bool
        A track without a prior is one whose prior mean is 0.
    als_config : AlsConfig
    config : PosteriorConfig

    Returns
    -------
    Uncertainty
        With noise 0 where no track was played.

    Raises
    ------
    DataError
        If shapes do not fit.

    Notes
    -----
    Without plays the covariance is ``noise / strength I``. With y the ALS factors of the tracks that `config` counts as
    half exposed or more, m = s mu their predictions and G = sum_all x x', the noise is::

        strength mean_i [(y_i - m_i)' G (y_i - m_i)] / trace(G)

    the mean square by which their scores, over all users, turned out to differ from the predicted ones, over what the
    prior would make of it at noise 1. ALS shrinks y, so it is on the low side. With fewer than
    `MIN_CALIBRATION_TRACKS` such tracks that have a prior, all such tracks count, and after them all played ones.
    """
    if confidence.shape != (len(user_factors), len(track_factors)) or prior_means.shape != track_factors.shape:
        raise DataError(
            f"plays {confidence.shape}, user factors {user_factors.shape}, track factors {track_factors.shape} and "
            f"prior means {prior_means.shape} do not fit; rows of plays are users, columns are tracks"
        )
    by_track = only_positive(sparse.csr_matrix(confidence).T.tocsr())
    X = user_factors.astype(np.float64)
    with one_blas_thread():
        spectrum, basis = np.linalg.eigh(X.T @ X)
        spectrum, listeners = np.maximum(spectrum, 0), X @ basis
    counts = np.diff(by_track.indptr)
    exposed = counts >= max(config.exposure_half, 1)
    for chosen in (exposed & has_prior, exposed, counts > 0):
        if chosen.sum() >= MIN_CALIBRATION_TRACKS:
            break
    noise = 0.0
    if chosen.any() and spectrum.any():
        predicted = config.scale * prior_means[chosen] * has_prior[chosen, None]
        missed = (track_factors[chosen] - predicted).astype(np.float64) @ basis
        noise = config.strength * float(((missed**2) @ spectrum).mean() / spectrum.sum())
    n_users = int(user_factors.any(axis=1).sum())
    return Uncertainty(by_track, listeners, basis, spectrum, noise, n_users, als_config, config)


def rough_variances(uncertainty: Uncertainty, direction: npt.NDArray[np.floating]) -> Floats:
    """Return the variance of every track's score, as if its listeners were a fair sample of all users.

    Then A is ``D + n / N diag(g)``, and tracks with equally many listeners have the same variance.

    Parameters
    ----------
    uncertainty : Uncertainty
    direction : ndarray, shape (d,)
        The user's factors, or any multiple of them that scores are made with.

    Returns
    -------
    ndarray, shape (n_tracks,), float64
    """
    counts, place = uncertainty.kinds
    return sampled_variances(uncertainty, direction, counts)[place]


def sampled_variances(
    uncertainty: Uncertainty, direction: npt.NDArray[np.floating], counts: npt.NDArray[np.integer]
) -> Floats:
    """Return the variance of the scores of tracks with so many listeners (k,) that are a fair sample, shape (k,)."""
    return np.asarray(sampled_factors(uncertainty, counts) @ (direction @ uncertainty.basis) ** 2)


def sampled_factors(uncertainty: Uncertainty, counts: npt.NDArray[np.integer]) -> Floats:
    """Return what the squares of a direction, in the basis, are multiplied by in `sampled_variances`, shape (k, d)."""
    sampled = counts[:, None] / max(uncertainty.n_users, 1) * uncertainty.spectrum
    factors: Floats = uncertainty.noise / (_diagonals(uncertainty, counts) + sampled)
    return factors


def score_variances(
    uncertainty: Uncertainty, direction: npt.NDArray[np.floating], rows: npt.NDArray[np.integer]
) -> Floats:
    """Return the variance of some tracks' scores exactly.

    Parameters
    ----------
    uncertainty : Uncertainty
    direction : ndarray, shape (d,)
        As in `rough_variances`.
    rows : ndarray, shape (k,), int
        Tracks. One with n listeners costs ``n^2 d`` where n < d, else ``n d^2``.

    Returns
    -------
    ndarray, shape (k,), float64
    """
    by_track, d = uncertainty.by_track, len(uncertainty.spectrum)
    z = direction.astype(np.float64) @ uncertainty.basis
    counts = by_track.indptr[rows + 1] - by_track.indptr[rows]
    diagonals = _diagonals(uncertainty, counts)
    found = np.asarray((z**2 / diagonals).sum(axis=1))
    with one_blas_thread():
        # what fills a short row up weighs nothing
        sizes = np.array([0, *(size for size in _TOGETHER if size < d), d - 1])
        classes = np.where(counts < d, sizes[np.searchsorted(sizes, np.minimum(counts, d - 1))], counts)
        for n_plays in sorted(set(classes[counts > 0].tolist())):
            same = np.flatnonzero((classes == n_plays) & (counts > 0))
            width = max(1, _BLOCK_VALUES // (d * max(n_plays, d)))
            for start in range(0, len(same), width):
                block = same[start : start + width]
                inside = np.arange(n_plays) < counts[block][:, None]
                places = np.where(inside, by_track.indptr[rows[block]][:, None] + np.arange(n_plays), 0)
                weights = np.maximum(
                    quadratic_weight(by_track.data[places].astype(np.float64), uncertainty.als_config), 0
                )
                weights[~inside] = 0
                L, D = uncertainty.listeners[by_track.indices[places]], diagonals[block]
                L = L * np.sqrt(weights).astype(L.dtype)[:, :, None]
                if n_plays < d:
                    scaled = L / D[:, None, :].astype(L.dtype)
                    inner = scaled @ L.transpose(0, 2, 1)
                    inner[:, np.arange(n_plays), np.arange(n_plays)] += 1
                    b = (scaled @ z.astype(L.dtype)).astype(np.float64)
                    found[block] -= (b * np.linalg.solve(inner, b[:, :, None])[:, :, 0]).sum(axis=1)
                else:
                    A = L.transpose(0, 2, 1) @ L
                    A[:, np.arange(d), np.arange(d)] += D
                    found[block] = np.linalg.solve(A, np.tile(z[:, None], (len(block), 1, 1)))[:, :, 0] @ z
    return np.asarray(uncertainty.noise * np.maximum(found, 0))


def _diagonals(uncertainty: Uncertainty, counts: npt.NDArray[np.integer]) -> Floats:
    return diagonals_of(counts, uncertainty.spectrum, uncertainty.n_users, uncertainty.als_config, uncertainty.config)
