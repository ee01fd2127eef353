"""The order of a playlist: easy transitions, artists apart, and an arc where one is wanted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recommender.playlists.moves import (
    ARTIST_PENALTY,
    Floats,
    Order,
    OrderCosts,
    cost_of,
    move_gains,
    moved,
    reversal_gains,
    reversed_at,
)

MAX_MOVES = 400
WORK = 4e7
"""Bounds the time that a long list takes: so many pairs are weighed at most from one start."""

KICKS = 3
BLOCK = 3
TRIED = 8
TOLERANCE = 1e-9


def order_tracks(
    step: Floats,
    artist_codes: npt.NDArray[np.integer],
    spacing: int = 1,
    first: int | None = 0,
    placing: Floats | None = None,
    seed: int = 0,
    kicks: int = KICKS,
) -> Order:
    """Order tracks so that transitions are easy and the same artist does not come again too soon.

    Greedy, then 2-opt (Croes 1958) and or-opt (Or 1976) until nothing improves, then so again from a few kicked orders
    (iterated local search, Lourenco, Martin & Stutzle 2003). All reversals are weighed at once, and so are all moves of
    up to `BLOCK` tracks.

    Parameters
    ----------
    step : ndarray, shape (n, n)
        What it costs that the column's track follows the row's, see `recommender.playlists.flow.transitions`.
    artist_codes : ndarray, shape (n,), int
    spacing : int >= 0
        Tracks that should stand between two of one artist.
    first : int or None
        The track that stays first; None leaves the start open.
    placing : ndarray, shape (n, n), optional
        What the row's track costs at the column's position, see `recommender.playlists.energy.placing`.
    seed : int
        Of the kicks.
    kicks : int >= 0
        How often it begins again; each time costs about a third of the first.

    Returns
    -------
    ndarray, shape (n,), intp
        Tracks in playing order.
    """
    n, fixed = len(step), 0 if first is None else 1
    same = (artist_codes[:, None] == artist_codes[None, :]).astype(np.float64)
    np.fill_diagonal(same, 0)
    costs = OrderCosts(np.asarray(step, dtype=np.float64), same, spacing, placing)
    best = greedy(costs, first)
    if n - fixed < 2:
        return best
    rng, best_cost = np.random.default_rng(seed), np.inf
    for start in range(1 + kicks):
        order = improve(best if start == 0 else _kicked(best, fixed, rng), costs, fixed)
        cost = cost_of(order, costs)
        if cost < best_cost - TOLERANCE:
            best, best_cost = order, cost
    return best


def greedy(costs: OrderCosts, first: int | None) -> Order:
    """Begin with `first`, or with track 0, and go on with what costs least next."""
    n = len(costs.step)
    order, free = [first or 0][:n], np.ones(n, dtype=bool)
    free[order] = False
    for position in range(1, n):
        cost = costs.step[order[-1]]
        if costs.spacing:
            cost = cost + ARTIST_PENALTY * costs.same[order[-costs.spacing :]].sum(axis=0)
        if costs.placing is not None:
            cost = cost + costs.placing[:, position]
        order.append(int(np.where(free, cost, np.inf).argmin()))
        free[order[-1]] = False
    return np.array(order, dtype=np.intp)


def improve(order: Order, costs: OrderCosts, fixed: int) -> Order:
    """Reverse the stretch, or move the block, that helps most, until none does; the `fixed` first tracks stay."""
    for _ in range(min(MAX_MOVES, max(1, int(WORK / len(order) ** 2)))):
        gains = reversal_gains(order, costs, fixed)
        start, stop = divmod(int(gains.argmax()), len(order))
        if gains[start, stop] > TOLERANCE:
            order = reversed_at(order, start, stop)
            continue
        better = _move(order, costs, fixed)
        if better is None:
            return order
        order = better
    return order


def _move(order: Order, costs: OrderCosts, fixed: int) -> Order | None:
    """Return the order after the best move of a block, None if no move helps."""
    kinds = [(length, flip) for length in range(1, BLOCK + 1) for flip in (False, True) if length > 1 or not flip]
    kinds = [kind for kind in kinds if kind[0] < len(order) - fixed]
    if not kinds:
        return None
    gains = np.stack([move_gains(order, costs, fixed, length, flip) for length, flip in kinds])
    cost = cost_of(order, costs)
    flat = gains.ravel()
    tried = np.argpartition(-flat, min(TRIED, flat.size - 1))[:TRIED]
    for place in tried[np.argsort(-flat[tried], kind="stable")]:
        if not flat[place] > TOLERANCE:
            return None
        kind, start, gap = np.unravel_index(int(place), gains.shape)
        length, flip = kinds[int(kind)]
        candidate = moved(order, int(start), length, int(gap), flip)
        if cost_of(candidate, costs) < cost - TOLERANCE:
            return candidate
    return None


def _kicked(order: Order, fixed: int, rng: np.random.Generator) -> Order:
    """Exchange two neighbouring stretches at random: a double bridge, which reversals cannot easily take back."""
    n = len(order)
    if n - fixed < 3:
        return order
    a, b, c = np.sort(rng.choice(np.arange(fixed, n + 1), 3, replace=False))
    return np.concatenate([order[:a], order[b:c], order[a:b], order[c:]])
