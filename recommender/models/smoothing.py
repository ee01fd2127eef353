"""Track factors solved again, more strongly regularized: what a prior over factors learns from."""

from __future__ import annotations

from dataclasses import replace

from scipy import sparse

from recommender.models.als import fold_in_tracks, fold_in_users
from recommender.models.factors import AlsConfig, Float32s

SMOOTH_UNOBSERVED_WEIGHT, SMOOTH_REGULARIZATION = 0.1, 0.03
"""What sound can tell of taste is coarse: it is learned from factors that are solved once more, more strongly
regularized. On real listening this is worth as much as an ALS of its own, and leaves the known tracks theirs."""


def smooth_track_factors(confidence: sparse.csr_matrix, user_factors: Float32s, config: AlsConfig) -> Float32s:
    """Solve tracks, users and tracks again, smoothly: what a prior learns from.

    Parameters
    ----------
    confidence : csr_matrix, shape (n_users, n_tracks)
        A weight > 0 for each play.
    user_factors : ndarray, shape (n_users, d), float32
        By ALS.
    config : AlsConfig
        As it was trained.

    Returns
    -------
    ndarray, shape (n_tracks, d), float32
        In the basis of `user_factors`, which the start keeps; zeros without plays.
    """
    smooth = replace(config, unobserved_weight=SMOOTH_UNOBSERVED_WEIGHT, regularization=SMOOTH_REGULARIZATION)
    tracks = fold_in_tracks(confidence, user_factors, smooth)
    return fold_in_tracks(confidence, fold_in_users(confidence, tracks, smooth), smooth)
