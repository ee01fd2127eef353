"""What every small change of an order saves, all of them weighed at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Order = npt.NDArray[np.intp]

ARTIST_PENALTY = 40.0
"""What two tracks of one artist cost that stand too close: more than one transition can be better than another."""


@dataclass(frozen=True, eq=False)
class OrderCosts:
    """What an order costs.

    Parameters
    ----------
    step : ndarray, shape (n, n)
        Of the column's track after the row's.
    same : ndarray, shape (n, n)
        1 where two tracks are of one artist, 0 on the diagonal.
    spacing : int >= 0
        Tracks that should stand between two of one artist.
    placing : ndarray, shape (n, n), or None
        Of the row's track at the column's position.
    """

    step: Floats
    same: Floats
    spacing: int
    placing: Floats | None = None


def cost_of(order: Order, costs: OrderCosts) -> float:
    """Sum the steps, the places, and the penalty for each pair of one artist with fewer than `spacing` between."""
    cost = float(costs.step[order[:-1], order[1:]].sum())
    for apart in range(1, costs.spacing + 1):
        cost += ARTIST_PENALTY * float(costs.same[order[:-apart], order[apart:]].sum())
    if costs.placing is not None:
        cost += float(costs.placing[order, np.arange(len(order))].sum())
    return cost


def reversal_gains(order: Order, costs: OrderCosts, fixed: int) -> Floats:
    """Return what each reversal saves.

    Returns
    -------
    ndarray, shape (n, n)
        Of the stretch from the row's position to the column's, both included: how much `cost_of` falls. -inf where that
        is no stretch of two tracks or more beyond the `fixed` first ones.
    """
    n = len(order)
    step = _in_order(costs.step, order, 1)
    arriving, leaving = step[:n, 1 : n + 1], step[1 : n + 1, 2 : n + 2]
    forth, back = np.diagonal(arriving)[1:], np.diagonal(step[2 : n + 1, 1:n])
    inside = np.r_[0.0, np.cumsum(forth - back)]
    gains = (np.diagonal(arriving) - inside)[:, None] - arriving + (np.diagonal(leaving) + inside)[None, :] - leaving
    if costs.spacing and costs.same.any():
        gains += ARTIST_PENALTY * _spacing_gains(_in_order(costs.same, order, costs.spacing), n, costs.spacing)
    if costs.placing is not None:
        gains += _placing_gains(costs.placing[order])
    gains[np.tril_indices(n)] = -np.inf
    gains[:fixed] = -np.inf
    return np.asarray(gains)


def move_gains(order: Order, costs: OrderCosts, fixed: int, length: int, flip: bool) -> Floats:
    """Return what it saves to put a block elsewhere, reversed if `flip`.

    Returns
    -------
    ndarray, shape (n, n + 1)
        Of the `length` tracks from the row's position on, put before the column's position: how much `cost_of` falls,
        but for artists that are apart by more than one track. -inf where that is no move, or would move the `fixed`
        first ones.
    """
    n = len(order)
    starts, gaps = np.arange(n - length + 1), np.arange(n + 1)
    step = _in_order(costs.step + (ARTIST_PENALTY * costs.same if costs.spacing else 0.0), order, 1)
    front, rear = (starts + length, starts + 1) if flip else (starts + 1, starts + length)
    gains = np.full((n, n + 1), -np.inf)
    gains[: n - length + 1] = (
        (step[starts, starts + 1] + step[starts + length, starts + length + 1] - step[starts, starts + length + 1])[
            :, None
        ]
        - step[gaps][:, front].T
        - step[rear][:, gaps + 1]
        + step[gaps, gaps + 1]
    )
    if flip:
        turned = np.r_[
            0.0, np.cumsum(step[np.arange(1, n), np.arange(2, n + 1)] - step[np.arange(2, n + 1), np.arange(1, n)])
        ]
        gains[: n - length + 1] += (turned[starts + length - 1] - turned[starts])[:, None]
    if costs.placing is not None:
        gains[: n - length + 1] += _moved_placing(costs.placing[order], length, flip)
    nowhere = (gaps >= starts[:, None]) & (gaps <= starts[:, None] + length)
    gains[: n - length + 1][nowhere] = -np.inf
    gains[:fixed] = -np.inf
    gains[:, :fixed] = -np.inf
    return gains


def reversed_at(order: Order, start: int, stop: int) -> Order:
    """Return the order with the stretch from `start` to `stop`, both included, reversed."""
    return np.concatenate([order[:start], order[start : stop + 1][::-1], order[stop + 1 :]])


def moved(order: Order, start: int, length: int, gap: int, flip: bool) -> Order:
    """Return the order with `length` tracks from `start` put before position `gap`, reversed if `flip`."""
    block = order[start : start + length]
    block = block[::-1] if flip else block
    if gap > start:
        return np.concatenate([order[:start], order[start + length : gap], block, order[gap:]])
    return np.concatenate([order[:gap], block, order[gap:start], order[start + length :]])


def _in_order(matrix: Floats, order: Order, pad: int) -> Floats:
    """Return a matrix in the order of a list, with `pad` rows and columns of zeros around for what is not there."""
    n = len(order)
    found = np.zeros((n + 2 * pad, n + 2 * pad))
    found[pad : pad + n, pad : pad + n] = matrix[order[:, None], order]
    return found


def _spacing_gains(same: Floats, n: int, spacing: int) -> Floats:
    """Count the pairs that a reversal parts, less those that it brings together: only pairs across its ends change."""
    gains = np.zeros((n, n))
    length = np.arange(n)[None, :] - np.arange(n)[:, None]
    at = np.arange(n) + spacing
    for apart in range(1, spacing + 1):
        for deep in range(apart):
            left, right = at + deep - apart, at - deep + apart
            parted = same[left, at + deep][:, None] + same[at - deep, right][None, :]
            joined = same[left[:, None], at - deep] + same[(at + deep)[:, None], right]
            gains += np.where(length >= deep, parted - joined, 0.0)
    return gains


def _placing_gains(placing: Floats) -> Floats:
    """Return what reversals save in places: prefix sums along the diagonals on which a stretch is mirrored."""
    n = len(placing)
    positions = np.arange(n)
    mirrored = np.arange(2 * n - 1)[:, None] - positions
    there = np.where((mirrored >= 0) & (mirrored < n), placing[positions, np.clip(mirrored, 0, n - 1)], 0.0)
    sums = np.pad(np.cumsum(there, axis=1), ((0, 0), (1, 0)))
    now = np.r_[0.0, np.cumsum(np.diagonal(placing))]
    both = positions[:, None] + positions
    saved: Floats = (now[1:][None, :] - now[:-1][:, None]) - (
        sums[both, positions[None, :] + 1] - sums[both, positions[:, None]]
    )
    return saved


def _moved_placing(placing: Floats, length: int, flip: bool) -> Floats:
    """Return what moves save in places: the block's own, and of the tracks between that make room."""
    n = len(placing)
    starts, gaps, positions = np.arange(n - length + 1)[:, None], np.arange(n + 1)[None, :], np.arange(n)
    now = np.diagonal(placing)
    earlier = np.r_[0.0, np.cumsum(now - placing[positions, np.maximum(positions - length, 0)])]
    later = np.r_[0.0, np.cumsum(now - placing[positions, np.minimum(positions + length, n - 1)])]
    forward = gaps > starts
    stop = np.minimum(starts + length, n)
    gains = np.where(
        forward, earlier[np.maximum(gaps, stop)] - earlier[stop], later[starts] - later[np.minimum(gaps, starts)]
    )
    target = np.where(forward, gaps - length, gaps)
    for place in range(length):
        source = starts + (length - 1 - place if flip else place)
        gains = gains + now[source] - placing[source, np.clip(target + place, 0, n - 1)]
    return np.asarray(gains)
