"""The order of many playlists at once: what `order` does for one, with fewer moves, in a tenth of the time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recommender.audio.signatures import Signatures
from recommender.playlists.flow import MAX_LOUDNESS_JUMP, WEIGHTS, FlowScale, flow_of
from recommender.playlists.moves import ARTIST_PENALTY
from recommender.ranking.sound import Sound

Steps = npt.NDArray[np.float32]
Orders = npt.NDArray[np.intp]

MOVES = 24
"""Reversals that a list is granted after the greedy order: few need as many."""

TOLERANCE = 1e-4


def transitions_of_lists(
    sound: Sound | None, signatures: Signatures | None, rows: npt.NDArray[np.integer], scale: FlowScale
) -> Steps:
    """Return what `recommender.playlists.flow.transitions` says of each of many lists.

    Parameters
    ----------
    sound : Sound or None
    signatures : Signatures or None
    rows : ndarray, shape (b, n), int
        Catalog rows of b lists.
    scale : FlowScale

    Returns
    -------
    ndarray, shape (b, n, n), float32
        From the row's track to the column's.
    """
    b, n = rows.shape
    step = np.zeros((b, n, n), dtype=np.float32)
    flow = flow_of(sound, signatures, rows.ravel())
    trust = flow.trust.reshape(4, b, n).astype(np.float32)
    if not rows.size:
        return step
    if sound is not None:
        starts, ends = (side.reshape(b, n, -1) for side in (flow.starts, flow.ends))
        _add(step, 1 - ends @ starts.transpose(0, 2, 1), 0, scale, trust)
    if signatures is not None:
        tempo, hours, minor, loudness = (
            values.reshape(b, n).astype(np.float32)
            for values in (flow.tempo_octaves, flow.hours, flow.minor, flow.loudness_lufs)
        )
        octaves = _differences(tempo)
        _add(step, np.abs(octaves - np.rint(octaves)), 1, scale, trust)
        around = np.abs(_differences(hours))
        _add(step, np.minimum(around, 12 - around) + np.abs(_differences(minor)), 2, scale, trust)
        _add(step, np.minimum(np.abs(_differences(loudness)), MAX_LOUDNESS_JUMP), 3, scale, trust)
    return step


def order_lists(step: Steps, artist_codes: npt.NDArray[np.integer], spacing: int = 1, moves: int = MOVES) -> Orders:
    """Order many lists of one length so that transitions are easy and artists apart; the first track stays first.

    Greedy, then the reversal that helps most, `moves` times or until none does. What one list becomes does not depend
    on those beside it. The slow twin is `recommender.playlists.weekly_reference.order_one`.

    Parameters
    ----------
    step : ndarray, shape (b, n, n), float32
        What it costs that the column's track follows the row's.
    artist_codes : ndarray, shape (b, n), int
    spacing : int >= 0
        Tracks that should stand between two of one artist.
    moves : int >= 0

    Returns
    -------
    ndarray, shape (b, n), intp
        Places in each list, in playing order.
    """
    b, n = artist_codes.shape
    if not n:
        return np.empty((b, 0), dtype=np.intp)
    same = (artist_codes[:, :, None] == artist_codes[:, None, :]).astype(np.float32)
    same[:, np.arange(n), np.arange(n)] = 0
    order = _greedy(step, same, spacing)
    active = np.arange(b if n > 2 else 0)
    for _ in range(moves):
        if not len(active):
            break
        mine = order[active]
        gains = _reversal_gains(_in_order(step, active, mine), _in_order(same, active, mine), spacing)
        best = gains.reshape(len(active), -1).argmax(axis=1)
        helps = gains.reshape(len(active), -1)[np.arange(len(active)), best] > TOLERANCE
        active, (start, stop) = active[helps], np.divmod(best[helps], n)
        order[active] = _reversed(order[active], start, stop)
    return order


def _add(step: Steps, jump: Any, term: int, scale: FlowScale, trust: Steps) -> None:
    """Add a term to the steps; where it is unknown it is that of an ordinary pair."""
    jump -= np.float32(scale.means[term])
    jump *= np.float32(WEIGHTS[term] / scale.deviations[term])
    jump *= trust[term][:, :, None]
    jump *= trust[term][:, None, :]
    step += np.nan_to_num(jump, copy=False)


def _differences(values: Steps) -> Steps:
    return values[:, :, None] - values[:, None, :]


def _greedy(step: Steps, same: Steps, spacing: int) -> Orders:
    b, n = step.shape[:2]
    lists = np.arange(b)
    order = np.zeros((b, n), dtype=np.intp)
    taken = np.zeros((b, n), dtype=bool)
    taken[:, :1] = True
    for position in range(1, n):
        cost = step[lists, order[:, position - 1]]
        for back in range(1, min(spacing, position) + 1):
            cost = cost + ARTIST_PENALTY * same[lists, order[:, position - back]]
        order[:, position] = np.where(taken, np.inf, cost).argmin(axis=1)
        taken[lists, order[:, position]] = True
    return order


def _in_order(matrices: Steps, active: npt.NDArray[np.integer], order: Orders) -> Steps:
    found: Steps = matrices[active[:, None, None], order[:, :, None], order[:, None, :]]
    return found


def _reversal_gains(step: Steps, same: Steps, spacing: int) -> Steps:
    """Return `recommender.playlists.moves.reversal_gains` of lists, their matrices in their order."""
    n = step.shape[1]
    forth, back = (np.diagonal(step, offset, axis1=1, axis2=2) for offset in (1, -1))
    inside = np.zeros(step.shape[:2], dtype=np.float32)
    np.cumsum(forth - back, axis=1, out=inside[:, 1:])
    gains = np.full_like(step, -np.inf)
    # a stretch from i to j, 0 < i < j: what came before i is followed by j, what is i by what came after j
    changed = (forth[:, :-1] - inside[:, 1:-1])[:, :, None] - step[:, :-2, 1:] + inside[:, None, 1:]
    changed[:, :, :-1] += forth[:, None, 1:] - step[:, 1:-1, 2:]
    if spacing and same.any():
        changed += ARTIST_PENALTY * _spacing_gains(same, spacing)[:, 1:-1, 1:]
    gains[:, 1:-1, 1:] = changed
    gains[:, np.tri(n, dtype=bool)] = -np.inf
    return gains


def _spacing_gains(same: Steps, spacing: int) -> Steps:
    """Count the pairs that each reversal parts, less those that it brings together."""
    n, s = same.shape[1], spacing
    padded = np.pad(same, ((0, 0), (s, s), (s, s)))
    length = np.arange(n)[None, :] - np.arange(n)[:, None]
    at = np.arange(n) + s
    gains = np.zeros_like(same)
    for apart in range(1, s + 1):
        for deep in range(apart):
            left, right = s + deep - apart, s - deep + apart
            parted = (
                padded[:, at + deep - apart, at + deep][:, :, None] + padded[:, at - deep, at - deep + apart][:, None]
            )
            joined = padded[:, left : left + n, s - deep : s - deep + n].copy()
            joined += padded[:, s + deep : s + deep + n, right : right + n]
            gains += np.where(length >= deep, parted - joined, 0)
    return gains


def _reversed(order: Orders, start: Orders, stop: Orders) -> Orders:
    """Reverse of each list the stretch from `start` to `stop`, both included."""
    positions = np.arange(order.shape[1])
    inside = (positions >= start[:, None]) & (positions <= stop[:, None])
    found: Orders = np.take_along_axis(order, np.where(inside, (start + stop)[:, None] - positions, positions), axis=1)
    return found
