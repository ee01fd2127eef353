"""Which tracks the names of other services stand for, in the catalog as it is now, uploads included."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from recommender.data.catalog import Catalog
from recommender.data.matching import RULES, Match, Name, TrackMatcher
from recommender.serving.live import Snapshot


@dataclass(frozen=True, eq=False)
class Part:
    """The names of a stretch of catalog rows that begins at `start`."""

    catalog: Catalog
    start: int
    matcher: TrackMatcher

    def match(self, names: Sequence[Name]) -> list[Match]:
        """Return one answer a name, in rows of the whole catalog."""
        found = self.matcher.match(names)
        return [each if each.row is None else replace(each, row=each.row + self.start) for each in found]


class Finder:
    """Keeps the index of the catalog's names; safe to use from many threads.

    The bundle's tracks are indexed once a bundle, uploads beside them, once for every state of the catalog.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: tuple[Part, ...] = ()

    def parts(self, snapshot: Snapshot) -> tuple[Part, ...]:
        """Return the index of a catalog: the bundle's part, and that of the uploads where there are some."""
        base, now = snapshot.bundle.model.catalog, snapshot.model.catalog
        with self._lock:
            if not self._parts or self._parts[0].catalog is not base:
                self._parts = (Part(base, 0, TrackMatcher(base)),)
            if self._parts[-1].catalog is not now:
                rest = np.arange(len(base), len(now))
                added = (Part(now, len(base), TrackMatcher(now.select(rest))),) if len(rest) else ()
                self._parts = (self._parts[0], *added)
            return self._parts

    def find(self, snapshot: Snapshot, names: Sequence[Name]) -> list[Match]:
        """Return one answer a name; between the parts the stricter rule decides, then the likeness."""
        answers = [part.match(names) for part in self.parts(snapshot)]
        return [min(each, key=_rank) for each in zip(*answers, strict=True)]


def _rank(match: Match) -> tuple[int, float]:
    return (len(RULES) if match.row is None else RULES.index(match.rule), -match.score)
