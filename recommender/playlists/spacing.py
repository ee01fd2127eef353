"""Artists and albums apart: how far they are, and an order that keeps them so."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recommender.playlists.moves import Order

Codes = npt.NDArray[np.integer]


def smallest_gap(codes: Codes, asked: int) -> int:
    """Return how many tracks stand between the nearest two of one code, at most `asked`.

    Examples
    --------
    >>> smallest_gap(np.array([1, 2, 1, 3, 3]), 2)
    0
    """
    for apart in range(1, min(asked, len(codes) - 1) + 1):
        if (codes[:-apart] == codes[apart:]).any():
            return apart - 1
    return asked


def too_close(codes: Codes, gap: int) -> int:
    """Return how many tracks come too soon after one of the same code."""
    close = np.zeros(len(codes), dtype=bool)
    for apart in range(1, min(gap, len(codes) - 1) + 1):
        close[apart:] |= codes[:-apart] == codes[apart:]
    return int(close.sum())


def kept(order: Order, groups: tuple[Codes, ...], gaps: tuple[int, ...]) -> bool:
    """Tell whether in this order all gaps are kept; `groups` hold one code a track, in no order."""
    return all(smallest_gap(codes[order], gap) == gap for codes, gap in zip(groups, gaps, strict=True))


def spread(order: Order, groups: tuple[Codes, ...], gaps: tuple[int, ...], fixed: int) -> Order | None:
    """Change an order so that all gaps are kept, None where that is not found; the `fixed` first tracks stay.

    The next in the order that may come does; one of which much is left comes before it as soon as what is left would
    not fit else. Where that leads nowhere, what most is left of always comes next: for one kind of group that finds an
    order wherever there is one, but for the first tracks.
    """
    for always in (False, True):
        found = _spread(order, groups, gaps, fixed, always)
        if found is not None:
            return found
    return None


def _spread(order: Order, groups: tuple[Codes, ...], gaps: tuple[int, ...], fixed: int, always: bool) -> Order | None:
    left, done = order.tolist(), list[int]()
    counts = [dict(zip(*np.unique(codes, return_counts=True), strict=True)) for codes in groups]
    last: list[dict[int, int]] = [{} for _ in groups]
    for place in range(len(order)):
        free = left[:1] if place < fixed else [at for at in left if _free(at, place, groups, gaps, last)]
        if not free:
            return None
        needs = [_need(at, groups, gaps, counts) for at in free]
        urgent = int(np.argmax(needs))
        best = free[urgent] if always or needs[urgent] >= len(left) else free[0]
        left.remove(best)
        done.append(best)
        for codes, count, seen in zip(groups, counts, last, strict=True):
            count[codes[best]] -= 1
            seen[codes[best]] = place
    return np.array(done, dtype=np.intp)


def _free(at: int, place: int, groups: tuple[Codes, ...], gaps: tuple[int, ...], last: list[dict[int, int]]) -> bool:
    return all(place - seen.get(codes[at], -(10**9)) > gap for codes, gap, seen in zip(groups, gaps, last, strict=True))


def _need(at: int, groups: tuple[Codes, ...], gaps: tuple[int, ...], counts: list[dict[int, int]]) -> int:
    """Return how many places what is left of a track's groups takes at least."""
    return max((count[codes[at]] - 1) * (gap + 1) + 1 for codes, gap, count in zip(groups, gaps, counts, strict=True))
