"""The order of a playlist: short steps between neighbours in sound, artists apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ARTIST_PENALTY = 4.0
"""What two tracks of one artist cost that stand too close; the distance of two tracks is at most 2."""

UNKNOWN_DISTANCE = 1.0
"""Distance to a track whose sound is not known: that of two unrelated ones."""

MAX_MOVES = 400
TRIED = 12
TOLERANCE = 1e-9


def order_tracks(
    vectors: npt.NDArray[np.float32],
    has_vector: npt.NDArray[np.bool_],
    artist_codes: npt.NDArray[np.integer],
    spacing: int = 1,
    first: int | None = 0,
) -> npt.NDArray[np.intp]:
    """Order tracks so that steps are short and the same artist does not come again too soon.

    Greedy nearest neighbour, then 2-opt (Croes 1958) until nothing improves. Without any vectors, tracks keep their
    order as far as the artists allow.

    Parameters
    ----------
    vectors : ndarray, shape (n, dim), float32
        Unit vectors.
    has_vector : ndarray, shape (n,), bool
    artist_codes : ndarray, shape (n,), int
    spacing : int >= 0
        Tracks that should stand between two of one artist.
    first : int or None
        The position that stays first; None leaves the start open, and the greedy walk starts at the first track.

    Returns
    -------
    ndarray, shape (n,), intp
        Positions in playing order.
    """
    n = len(vectors)
    if n <= 2:
        return np.arange(n) if first in (None, 0) else np.array([first, 1 - first])[:n]
    step = _distances(vectors, has_vector)
    if not has_vector.any():
        step = np.abs(np.arange(n)[:, None] - np.arange(n)[None, :]) / n
    same = (artist_codes[:, None] == artist_codes[None, :]).astype(np.float64)
    np.fill_diagonal(same, 0)
    order = _greedy(step, same, spacing, first if first is not None else 0)
    return _improve(order, step, same, spacing, fixed=0 if first is None else 1)


def cost_of(order: npt.NDArray[np.intp], step: Floats, same: Floats, spacing: int) -> float:
    """Sum the steps, and the penalty for each pair of one artist with fewer than `spacing` tracks between."""
    cost = float(step[order[:-1], order[1:]].sum())
    for apart in range(1, spacing + 1):
        cost += ARTIST_PENALTY * float(same[order[:-apart], order[apart:]].sum())
    return cost


def _distances(vectors: npt.NDArray[np.float32], has_vector: npt.NDArray[np.bool_]) -> Floats:
    step = 1 - np.asarray(vectors, dtype=np.float64) @ np.asarray(vectors, dtype=np.float64).T
    both = has_vector[:, None] & has_vector[None, :]
    return np.where(both, step, UNKNOWN_DISTANCE)


def _greedy(step: Floats, same: Floats, spacing: int, first: int) -> npt.NDArray[np.intp]:
    n = len(step)
    order, free = [first], np.ones(n, dtype=bool)
    free[first] = False
    for _ in range(n - 1):
        cost = step[order[-1]] + (ARTIST_PENALTY * same[order[-spacing:]].sum(axis=0) if spacing else 0.0)
        following = int(np.where(free, cost, np.inf).argmin())
        order.append(following)
        free[following] = False
    return np.array(order)


def _improve(order: npt.NDArray[np.intp], step: Floats, same: Floats, spacing: int, fixed: int) -> npt.NDArray[np.intp]:
    """Reverse the stretch that helps most, until none does; the first `fixed` tracks stay."""
    n = len(order)
    edge = np.zeros((n + 1, n + 1))  # row n stands for what comes before the first track and after the last: no cost
    edge[:n, :n] = step + (ARTIST_PENALTY * same if spacing else 0.0)
    best = cost_of(order, step, same, spacing)
    for _ in range(MAX_MOVES):
        padded = np.r_[n, order, n]
        before, starts, stops, after = (
            padded[fixed:n],
            padded[fixed + 1 : n + 1],
            padded[fixed + 1 : n + 1],
            padded[fixed + 2 :],
        )
        gain = (
            edge[before, starts][:, None]
            + edge[stops, after][None, :]
            - edge[before[:, None], stops[None, :]]
            - edge[starts[:, None], after[None, :]]
        )
        gain[np.tril_indices(len(gain))] = -np.inf
        for move in np.argsort(-gain, axis=None, kind="stable")[:TRIED]:
            start, stop = divmod(int(move), len(gain))
            if not gain[start, stop] > TOLERANCE:
                return order
            candidate = order.copy()
            candidate[fixed + start : fixed + stop + 1] = candidate[fixed + start : fixed + stop + 1][::-1]
            cost = cost_of(candidate, step, same, spacing)
            if cost < best - TOLERANCE:
                order, best = candidate, cost
                break
        else:
            return order
    return order
