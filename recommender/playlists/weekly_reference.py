"""The slow twin of `weekly`: one user at a time, all tracks sorted, one list ordered move by move."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recommender.playlists.flow import flow_of, transitions
from recommender.playlists.many_orders import MOVES, TOLERANCE
from recommender.playlists.moves import OrderCosts, reversal_gains, reversed_at
from recommender.playlists.order import greedy
from recommender.playlists.weekly import (
    Kind,
    Library,
    Listeners,
    WeeklyConfig,
    WeeklyList,
    choose_lists,
    finish,
    ones_of,
)
from recommender.ranking.scoring import score_parts, score_users, sources_of, user_vectors
from recommender.ranking.taste import tastes_of


def weekly_lists_of(library: Library, listeners: Listeners, user: int, config: WeeklyConfig) -> dict[Kind, WeeklyList]:
    """Make the lists of one of the listeners; see `recommender.playlists.weekly.weekly_lists`."""
    model, mine = library.model, listeners.part(user, user + 1)
    tastes = tastes_of(model, mine.plays)
    users = user_vectors(tastes, model.standards, model.blend)
    scores = score_users(model, mine.plays)[0]
    one = ones_of(model, users, tastes.known_plays, mine)[0]
    chosen = choose_lists(library, one, scores, config, best_sorted)
    lists: dict[Kind, WeeklyList] = {}
    for kind in config.lengths:
        rows = chosen[kind].rows
        codes = model.artist_codes[rows]
        step = transitions(flow_of(model.sound, library.signatures, rows), library.scale)
        order = order_one(step, codes, config.artist_spacing)
        sources = sources_of(score_parts(model, users, 0, rows))
        lists[kind] = finish(chosen[kind], order, codes, sources, one.known_plays, config)
    return lists


def best_sorted(scores: npt.NDArray[np.float32], count: int, tie_break: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Return the places of the `count` highest scores, best first."""
    order = np.lexsort((np.arange(len(scores)), -tie_break, -scores))
    return order[scores[order] > -np.inf][:count]


def order_one(
    step: npt.NDArray[np.floating], artist_codes: npt.NDArray[np.integer], spacing: int, moves: int = MOVES
) -> npt.NDArray[np.intp]:
    """Order one list; see `recommender.playlists.many_orders.order_lists`."""
    n = len(artist_codes)
    same = (artist_codes[:, None] == artist_codes[None, :]).astype(np.float64) - np.eye(n)
    costs = OrderCosts(np.asarray(step, dtype=np.float64), same, spacing)
    order = greedy(costs, 0)
    for _ in range(moves if n > 2 else 0):
        gains = reversal_gains(order, costs, fixed=1)
        start, stop = divmod(int(gains.argmax()), n)
        if not gains[start, stop] > TOLERANCE:
            break
        order = reversed_at(order, start, stop)
    return order
