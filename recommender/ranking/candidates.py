"""The best rows of a score vector. Every track is a candidate; `recommender.ranking.scoring` says why that is cheap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def best_rows(
    scores: npt.NDArray[np.float32], top: int, tie_break: npt.NDArray[np.floating] | npt.NDArray[np.integer]
) -> npt.NDArray[np.intp]:
    """Return the positions of the highest scores, best first.

    Parameters
    ----------
    scores : ndarray, shape (n,), float32
        -inf marks what may not be returned.
    top : int >= 1
        At most so many positions.
    tie_break : ndarray, shape (n,)
        Of equal scores, the one with more of it comes first; then the one of the lower position.

    Returns
    -------
    ndarray, shape (min(top, finite scores),), intp

    Examples
    --------
    >>> best_rows(np.array([1.0, 2.0, -np.inf, 2.0], dtype=np.float32), 2, np.array([0, 5, 0, 9])).tolist()
    [3, 1]
    """
    if top < len(scores):
        threshold = np.partition(scores, len(scores) - top)[len(scores) - top]
        rows = np.flatnonzero(scores >= threshold)
        rows = rows[scores[rows] > -np.inf]
    else:
        rows = np.flatnonzero(scores > -np.inf)
    return rows[np.lexsort((rows, -tie_break[rows], -scores[rows]))[:top]]
