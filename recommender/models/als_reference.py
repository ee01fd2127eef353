"""What `als` and `posterior` compute, in a few lines of float64 NumPy: slow, readable, and the judge of the fast code.

Rows follow the same conventions; matrices of plays are dense here, shape (n_rows, n_others), and hold the weights of
`als.play_confidence`, 0 where there is no play.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recommender.models.als import row_ridges
from recommender.models.factors import AlsConfig
from recommender.models.posterior import PosteriorConfig

Floats = npt.NDArray[np.float64]


def loss(plays: npt.NDArray[Any], X: Floats, Y: Floats, config: AlsConfig) -> float:
    """Return the loss that ALS minimises; where all weights are 1 that of Rendle et al. 2021 but for a constant.

    Parameters
    ----------
    plays : ndarray, shape (n_users, n_tracks)
    X : ndarray, shape (n_users, d), float64
        User factors.
    Y : ndarray, shape (n_tracks, d), float64
        Track factors.
    config : AlsConfig
    """
    played, a0 = plays > 0, config.unobserved_weight
    scores = X @ Y.T
    ridge_users, ridge_tracks = ridges(played, config), ridges(played.T, config)
    return float(
        (1 + a0) * (plays * (scores - 1 / (1 + a0)) ** 2)[played].sum()
        + a0 * (np.where(played, 0, scores)[np.ix_(played.any(axis=1), played.any(axis=0))] ** 2).sum()
        + (ridge_users * (X**2).sum(axis=1)).sum()
        + (ridge_tracks * (Y**2).sum(axis=1)).sum()
    )


def ridges(played: npt.NDArray[Any], config: AlsConfig) -> Floats:
    """Return the regularization of each row, shape (n_rows,), float64."""
    n_others = int((played > 0).any(axis=0).sum())
    return row_ridges((played > 0).sum(axis=1), n_others, config)


def normal_equations(plays: npt.NDArray[Any], ridge: float, Y: Floats, config: AlsConfig) -> tuple[Floats, Floats]:
    """Return A, shape (d, d), and b, shape (d,), such that the best factors x of one row solve A x = b.

    ``A = a0 sum_all y y' + sum_played ((1 + a0) w - a0) y y' + ridge I`` and ``b = sum_played w y``.
    """
    mine, weights = Y[plays > 0], plays[plays > 0]
    a0 = config.unobserved_weight
    A = a0 * Y.T @ Y + (mine.T * ((1 + a0) * weights - a0)) @ mine + ridge * np.eye(Y.shape[1])
    return A, weights @ mine


def solve_rows(plays: npt.NDArray[Any], Y: Floats, config: AlsConfig, start: Floats | None = None) -> Floats:
    """Solve for the factors of every row while the other side `Y` stays fixed.

    Parameters
    ----------
    plays : ndarray, shape (n_rows, n_others)
    Y : ndarray, shape (n_others, d), float64
    config : AlsConfig
    start : ndarray, shape (n_rows, d), float64, optional
        Improved by ``config.cg_steps`` conjugate gradient steps; without it (or with 0 steps) rows are solved exactly.

    Returns
    -------
    ndarray, shape (n_rows, d), float64
        Zeros for a row without plays.
    """
    n_others = int(Y.any(axis=1).sum())
    X = np.zeros((len(plays), Y.shape[1]))
    for row, mine in enumerate(plays):
        if not mine.any():
            continue
        ridge = row_ridges(np.array([np.count_nonzero(mine)]), n_others, config)[0]
        A, b = normal_equations(mine, ridge, Y, config)
        if start is None or config.cg_steps == 0:
            X[row] = np.linalg.solve(A, b)
        else:
            X[row] = conjugate_gradient(A, b, start[row], config.cg_steps)
    return X


def conjugate_gradient(A: Floats, b: Floats, x: Floats, steps: int) -> Floats:
    """Improve `x` towards the solution of A x = b; A is symmetric and positive definite.

    Takács, Pilászy & Tikk, RecSys 2011, bring it to ALS; few steps are enough because each pass starts from the last.
    """
    x = x.copy()
    residual = b - A @ x
    direction = residual.copy()
    for _ in range(steps):
        old = residual @ residual
        if old < 1e-20:
            break
        step = old / (direction @ A @ direction)
        x += step * direction
        residual -= step * (A @ direction)
        direction = residual + (residual @ residual) / old * direction
    return x


def fit(plays: npt.NDArray[Any], X: Floats, Y: Floats, config: AlsConfig) -> tuple[Floats, Floats]:
    """Alternate between users and tracks from a given start.

    Parameters
    ----------
    plays : ndarray, shape (n_users, n_tracks)
    X : ndarray, shape (n_users, d), float64
        Start of the users, zeros where a user has no plays.
    Y : ndarray, shape (n_tracks, d), float64
        Start of the tracks, zeros where a track has no plays.
    config : AlsConfig

    Returns
    -------
    X, Y : ndarray
        After ``config.iterations`` passes.
    """
    for _ in range(config.iterations):
        X = solve_rows(plays, Y, config, X)
        Y = solve_rows(plays.T, X, config, Y)
    return X, Y


def posterior(
    plays: npt.NDArray[Any],
    X: Floats,
    prior_mean: Floats,
    als_config: AlsConfig,
    config: PosteriorConfig,
) -> Floats:
    """Return the posterior factors of one track, shape (d,), by the formula as it is written.

    Parameters
    ----------
    plays : ndarray, shape (n_users,)
        Weights of the track's plays.
    X : ndarray, shape (n_users, d), float64
        User factors.
    prior_mean : ndarray, shape (d,), float64
    als_config : AlsConfig
    config : PosteriorConfig
    """
    n = int((plays > 0).sum())
    if n == 0:
        return config.scale * prior_mean
    n_users = int(X.any(axis=1).sum())
    exposure = n**2 / (n**2 + config.exposure_half**2)
    a0, lam, nu = als_config.unobserved_weight, als_config.regularization, als_config.frequency_exponent
    without_plays = lam * (a0 * n_users) ** nu
    ridge = lam * (n + a0 * n_users) ** nu - without_plays + exposure * without_plays
    mine, weights = X[plays > 0], plays[plays > 0]
    by_plays = (mine.T * ((1 + a0) * weights - a0)) @ mine
    A = by_plays + a0 * exposure * X.T @ X + (ridge + config.strength) * np.eye(X.shape[1])
    b = weights @ mine + config.strength * config.scale * prior_mean
    return np.asarray(np.linalg.solve(A, b))
