"""How much is known: of a listener, of a track, and so of a recommendation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from recommender.ranking.model import HybridModel

Basis = Literal["taste", "few plays", "default"]
"""What a list rests on: a listener's own plays, a few of them, or none, so that everybody would get the like."""

ENOUGH_PLAYS = 5
"""With fewer known plays a list rests on few plays."""

HALF_PLAYS = 5.0
HALF_LISTENERS = 5.0
SOUND_WORTH = 3.0
"""A known sound tells about as much of a track as its first three listeners do."""


def basis_of(known_plays: int) -> Basis:
    """Tell what a list for somebody with so many known plays rests on."""
    if known_plays == 0:
        return "default"
    return "few plays" if known_plays < ENOUGH_PLAYS else "taste"


def confidences(model: HybridModel, known_plays: int, track_rows: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    """Return how much evidence recommendations rest on.

    Parameters
    ----------
    model : HybridModel
    known_plays : int
        m: different tracks that the listener played and that the model knows something of.
    track_rows : ndarray, shape (k,), int

    Returns
    -------
    ndarray, shape (k,), float32
        ``m / (m + HALF_PLAYS) * e / (e + HALF_LISTENERS)`` with e the track's listeners plus `SOUND_WORTH` where its
        sound is known. 0: a guess that has nothing to do with this listener or this track; towards 1: both are well
        known. It is the share of evidence, not the chance of a hit; ``benchmarks/lists.py`` prints how often
        recommendations of each level were right.
    """
    evidence = model.evidence[track_rows] + SOUND_WORTH * model.has_vector[track_rows]
    known = known_plays / (known_plays + HALF_PLAYS)
    return np.asarray(known * evidence / (evidence + HALF_LISTENERS), dtype=np.float32)
