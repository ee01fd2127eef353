"""What may not be in a list, or not side by side: heard tracks, too much of one artist."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
from scipy import sparse


def leave_out(scores: npt.NDArray[np.float32], heard: sparse.csr_matrix) -> None:
    """Set the scores (b, n) of heard pairs, the entries of `heard` (b, n), to -inf, in place."""
    users = np.repeat(np.arange(heard.shape[0]), np.diff(heard.indptr))
    scores[users, heard.indices] = -np.inf


def cap_artists(
    rows: npt.NDArray[np.integer], artist_codes: npt.NDArray[np.integer], max_per_artist: int | None
) -> npt.NDArray[np.bool_]:
    """Tell which of a list's tracks stay when every artist keeps at most `max_per_artist`, the first ones.

    Parameters
    ----------
    rows : ndarray, shape (k,), int
        Best first.
    artist_codes : ndarray, shape (n_tracks,), int
    max_per_artist : int or None
        None keeps all.

    Returns
    -------
    ndarray, shape (k,), bool

    Examples
    --------
    >>> cap_artists(np.array([3, 1, 2, 0]), np.array([7, 8, 8, 8]), 2).tolist()
    [True, True, False, True]
    """
    if max_per_artist is None:
        return np.ones(len(rows), dtype=bool)
    codes = artist_codes[rows]
    order = np.argsort(codes, kind="stable")
    ordered, places = codes[order], np.arange(len(rows))
    begins = np.ones(len(rows), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=begins[1:])
    kept = np.empty(len(rows), dtype=bool)
    kept[order] = places - np.maximum.accumulate(np.where(begins, places, 0)) < max_per_artist
    return kept


def space_artists(
    rows: npt.NDArray[np.integer], artist_codes: npt.NDArray[np.integer], gap: int
) -> npt.NDArray[np.intp]:
    """Order a list so that `gap` other tracks come between two of one artist, where that is possible.

    Parameters
    ----------
    rows : ndarray, shape (k,), int
        Best first. The best track that may come next does; in the second half of the list an artist whose tracks would
        else not fit comes before it.
    artist_codes : ndarray, shape (n_tracks,), int
    gap : int >= 0

    Returns
    -------
    ndarray, shape (k,), intp
        Places in `rows`. Where nothing may come next, the artist that was heard longest ago does.

    Examples
    --------
    >>> space_artists(np.array([0, 1, 2, 3]), np.array([7, 7, 8, 9]), 1).tolist()
    [0, 2, 1, 3]
    """
    codes = artist_codes[rows].tolist()
    if gap == 0 or _is_spaced(codes, gap):
        return np.arange(len(rows))
    left, order = list(range(len(rows))), []
    last: dict[int, int] = {}
    counts = Counter(codes)
    for place in range(len(rows)):
        since = [place - last.get(codes[at], -len(rows) - gap) for at in left]
        free = [at for at, passed in zip(left, since, strict=True) if passed > gap]
        late = 2 * place >= len(rows)
        urgent = [at for at in free if late and (counts[codes[at]] - 1) * (gap + 1) + 1 >= len(left)]
        best = (urgent or free or [left[since.index(max(since))]])[0]
        left.remove(best)
        order.append(best)
        last[codes[best]] = place
        counts[codes[best]] -= 1
    return np.array(order, dtype=np.intp)


def _is_spaced(codes: list[int], gap: int) -> bool:
    """Tell whether at least `gap` others stand between two of one artist already."""
    last: dict[int, int] = {}
    for place, code in enumerate(codes):
        if place - last.get(code, -gap - 1) <= gap:
            return False
        last[code] = place
    return True
