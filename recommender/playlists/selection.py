"""Which tracks are in a playlist: what fits best under the rules, and as little beyond them as it takes to fill it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.playlists.rules import RELAX_ORDER, Rows, Rules
from recommender.playlists.violations import Bound
from recommender.ranking.diversity import alike_vectors, choose
from recommender.ranking.ranker import HybridModel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

POOL = 5
"""Tracks are chosen, unlike each other, from so many times as many that fit best."""

CAP = RELAX_ORDER.index("max_per_artist")


@dataclass(frozen=True, eq=False)
class Wanted:
    """What a selection goes by.

    Parameters
    ----------
    relevance : ndarray, shape (n_tracks,)
        Higher is better.
    allowed : ndarray, shape (n_tracks,), bool
        What no hard rule speaks against.
    soft : sequence of Bound
        Soft rules on single tracks; their order is that of `RELAX_ORDER`.
    named : ndarray, shape (k,), int32
        Rows that are in it, in their order.
    durations_s : ndarray, shape (n_tracks,)
    typical_s : float
        No more is needed in a playlist that has no more time left than this.
    """

    relevance: Floats
    allowed: npt.NDArray[np.bool_]
    soft: Sequence[Bound]
    named: Rows
    durations_s: Floats
    typical_s: float


@dataclass(frozen=True, eq=False)
class Selected:
    """What was chosen.

    Parameters
    ----------
    rows : ndarray, shape (k,), int32
        The named ones, then in the order of choice.
    had : mapping of str to int
        Of each soft rule that had to give way, how many tracks there were before it did.
    full : bool
    """

    rows: Rows
    had: dict[str, int]
    full: bool


def select(model: HybridModel, wanted: Wanted, rules: Rules, most_of_one: int | None = None) -> Selected:
    """Choose the tracks of a playlist.

    Tracks that keep all soft rules come first. While the playlist is not full, the soft rules are given up one by one
    in the order of `RELAX_ORDER`, each no further than needed: a track comes in that breaks this rule by the fewest
    steps, and none that comes later in the order.

    Parameters
    ----------
    most_of_one : int, optional
        A hard cap beside ``rules.max_per_artist``, named tracks apart.
    """
    basket = _Basket(model, wanted, rules)
    tier = np.zeros(len(wanted.relevance), dtype=np.int8)
    places = {bound.rule: 1 + RELAX_ORDER.index(bound.rule) for bound in wanted.soft}
    for bound in sorted(wanted.soft, key=lambda bound: places[bound.rule]):
        tier[bound.steps > 0] = places[bound.rule]
    tier[~wanted.allowed] = -1
    tier[basket.rows] = -1
    hard = math.inf if most_of_one is None else most_of_one
    asked = math.inf if rules.max_per_artist is None else rules.max_per_artist
    cap = min(hard, asked)
    basket.choose(np.flatnonzero(tier == 0), cap)
    had: dict[str, int] = {}
    steps_of = {places[bound.rule]: bound for bound in wanted.soft}
    for place, rule in enumerate(RELAX_ORDER, 1):
        if basket.is_full:
            break
        before = len(basket.rows)
        if place == 1 + CAP and "max_per_artist" in rules.soft and hard > cap:
            cap = hard
            rest = np.flatnonzero((tier >= 0) & (tier < place))
            basket.fill(np.setdiff1d(rest, basket.rows, assume_unique=True), None, cap)
        elif place in steps_of:
            rows = np.flatnonzero(tier == place)
            basket.fill(rows, steps_of[place].steps[rows], cap)
        if len(basket.rows) > before:
            had[rule] = before
    return Selected(np.array(basket.rows, dtype=np.int32), had, basket.is_full)


class _Basket:
    """What has been chosen so far, and what room there is."""

    def __init__(self, model: HybridModel, wanted: Wanted, rules: Rules) -> None:
        self._model, self._wanted, self._rules = model, wanted, rules
        self._codes = model.artist_codes
        self._counts = np.zeros(int(self._codes.max(initial=0)) + 1, dtype=np.int64)
        self._left_s = math.inf if rules.minutes is None else rules.minutes * 60
        self.rows: list[int] = []
        for row in wanted.named.tolist():
            self._take(row)

    @property
    def is_full(self) -> bool:
        """Whether no track more is needed: as many as asked for, or no time left for an ordinary one."""
        return self._places_left == 0 or self._left_s < self._wanted.typical_s

    @property
    def _places_left(self) -> int:
        return len(self._codes) if self._rules.length is None else max(0, self._rules.length - len(self.rows))

    def choose(self, rows: Ints, cap: float) -> None:
        """Take what fits best and is unlike what was taken."""
        wanted = self._wanted
        need = self._places_left
        if math.isfinite(self._left_s):
            need = min(need, 2 + int(self._left_s / max(1.0, wanted.typical_s) * 1.5))
        if not need or not len(rows):
            return
        depth = 4 * POOL * need
        while True:
            best = rows
            if depth < len(rows):
                best = rows[np.argpartition(-wanted.relevance[rows], depth)[:depth]]
            best = best[np.lexsort((best, -wanted.relevance[best]))]
            kept = best[self._copies(best) < cap]
            if len(kept) >= POOL * need or len(best) == len(rows):
                break
            depth *= 8
        pool, rest = kept[: POOL * need], kept[POOL * need :]
        if self._rules.variety and len(pool) > need:
            relevance = wanted.relevance[pool].astype(np.float32)
            order = choose(relevance, alike_vectors(self._model, pool), need, self._rules.variety)
            unchosen = np.setdiff1d(np.arange(len(pool)), order)
            pool = pool[np.r_[np.array(order, dtype=np.intp), unchosen]]
        self._take_all(np.r_[pool, rest], cap)
        if not self.is_full:
            rest = np.setdiff1d(rows, self.rows, assume_unique=True)
            self._take_all(rest[np.lexsort((rest, -wanted.relevance[rest]))], cap)

    def fill(self, rows: Ints, steps: npt.NDArray[np.int32] | None, cap: float) -> None:
        """Take what breaks a rule by the fewest steps; without steps, artists by turns, those with fewest first."""
        relevance = self._wanted.relevance[rows]
        if steps is not None:
            self._take_all(rows[np.lexsort((rows, -relevance, steps))], cap)
            return
        rows = rows[np.lexsort((rows, -relevance))]
        self._take_all(rows[np.argsort(self._copies(rows), kind="stable")], cap)

    def _take_all(self, rows: Ints, cap: float) -> None:
        if self._rules.minutes is None:
            rows = rows[self._copies(rows) < cap]
        for row in rows.tolist():
            if self.is_full:
                return
            if self._counts[self._codes[row]] < cap and self._wanted.durations_s[row] <= self._left_s:
                self._take(row)

    def _take(self, row: int) -> None:
        self.rows.append(row)
        self._counts[self._codes[row]] += 1
        self._left_s -= float(self._wanted.durations_s[row])

    def _copies(self, rows: Ints) -> npt.NDArray[np.int64]:
        """Return how many tracks of its artist come before each: in the basket, and among `rows`."""
        codes = self._codes[rows]
        order = np.argsort(codes, kind="stable")
        ordered = codes[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(rows) else np.empty(0, dtype=np.int64)
        copies = np.empty(len(rows), dtype=np.int64)
        copies[order] = np.arange(len(rows)) - np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
        return copies + self._counts[codes]
