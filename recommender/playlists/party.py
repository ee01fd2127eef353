"""One playlist for several people: nobody is left out, and everybody's share of it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32s = npt.NDArray[np.float32]

MISERY = 0.5
"""Weight of whoever likes a track least, beside everybody's mean."""

BEST = 0.9
"""A track is for somebody if at least so much of the library suits them less."""


@dataclass(frozen=True)
class Share:
    """What a playlist has for one user.

    Parameters
    ----------
    user : str
    fit : float
        How much of the library suits the user less than the playlist's tracks do on average, 0 to 1; 0.5 is chance.
    tracks : int
        Tracks that are among the best tenth of the library for the user.
    """

    user: str
    fit: float
    tracks: int


def blend(scores: Float32s) -> Float32s:
    """Join the scores of several users (b, n) into one of each track, (n,).

    Notes
    -----
    Each user's scores are brought to mean 0 and deviation 1, so that nobody's are louder; then the mean over users and
    the lowest of them, half and half: between *average* and *least misery* (Masthoff, UMUAI 14, 2004).
    """
    spread = scores.std(axis=1, keepdims=True)
    alike = (scores - scores.mean(axis=1, keepdims=True)) / np.where(spread > 1e-9, spread, 1)
    blended: Float32s = (1 - MISERY) * alike.mean(axis=0) + MISERY * alike.min(axis=0)
    return blended


def shares_of(users: Sequence[str], scores: Float32s, rows: npt.NDArray[np.integer]) -> tuple[Share, ...]:
    """Return each user's share of a playlist, from their scores of all tracks (b, n) and its rows (k,)."""
    found = []
    for user, mine in zip(users, scores, strict=True):
        below = np.array([np.count_nonzero(mine < mine[row]) for row in rows]) / max(1, len(mine) - 1)
        found.append(Share(user, round(float(below.mean()), 3) if len(rows) else 0.0, int((below >= BEST).sum())))
    return tuple(found)
