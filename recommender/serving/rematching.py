"""Listens of tracks that were not found are looked up again when the catalog has other tracks."""

from __future__ import annotations

import logging
import threading

from recommender.data.catalog import Catalog
from recommender.errors import StoreError
from recommender.serving.finding import Finder, Part
from recommender.serving.live import Live
from recommender.serving.store import Store

log = logging.getLogger(__name__)
EVERY_S = 1.0


def rematch(store: Store, *parts: Part) -> int:
    """Look up what was not found before among the tracks of `parts`, and return how many listens were.

    Parameters
    ----------
    store : Store
    *parts : Part
        The first one that has a track decides.
    """
    moved, seq = 0, 0
    while True:
        waiting, seq = store.unmatched_after(seq)
        if not waiting:
            return moved
        found: dict[int, str] = {}
        names = [listen.name for _, listen in waiting]
        for part in parts:
            for (at, _), match in zip(waiting, part.match(names), strict=True):
                if match.row is not None:
                    found.setdefault(at, part.catalog.tracks.ids[match.row])
        moved += store.settle_unmatched(found)


class Rematcher:
    """Looks every second whether the catalog has other tracks, in a thread of its own, and uses them.

    Parameters
    ----------
    store : Store
    live : Live
    finder : Finder
    """

    def __init__(self, store: Store, live: Live, finder: Finder) -> None:
        self._store, self._live, self._finder = store, live, finder
        self._stopped = threading.Event()
        self._done: tuple[Catalog | None, Catalog | None] = (None, None)

    def start(self) -> threading.Thread:
        """Begin to look; `stop` ends it."""
        thread = threading.Thread(target=self._follow, name="rematcher", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def look(self) -> int:
        """Use the tracks that are new since the last time, and return how many listens found theirs."""
        snapshot = self._live.peek()
        base, now = snapshot.bundle.model.catalog, snapshot.model.catalog
        if self._done[1] is now:
            return 0
        moved = 0
        if self._store.unmatched_after(0, 1)[0]:
            parts = self._finder.parts(snapshot)
            moved = rematch(self._store, *(parts[1:] if self._done[0] is base else parts))
        self._done = (base, now)
        if moved:
            self._live.catch_up()
            log.info("%d listens that waited for their tracks found them", moved)
        return moved

    def _follow(self) -> None:
        while not self._stopped.wait(EVERY_S):
            try:
                self.look()
            except StoreError as error:
                log.warning("listens wait for their tracks: %s", error)
            except Exception:
                log.exception("listens wait for their tracks")
