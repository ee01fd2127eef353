"""Following the current bundle: another one is loaded beside the one that answers, then takes its place.

What does not load is refused, and the old one goes on. Every process follows by itself; nobody waits meanwhile.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from recommender.errors import FirstListenError
from recommender.serving.bundle import Bundle, Manifest, current_bundle, load_bundle
from recommender.serving.hearing import Hearing
from recommender.serving.live import Live, Snapshot
from recommender.serving.memory import settle

log = logging.getLogger(__name__)


class Reloader:
    """Looks every `every_s` seconds whether another bundle is current, in a thread of its own.

    Parameters
    ----------
    bundles_dir : Path
    live : Live
    hear : function of Bundle
        Makes the ears of a bundle, ready to hear where that is wanted.
    rehearse : function of Snapshot
        Called with what a bundle will answer from, before it does.
    every_s : float > 0
    """

    def __init__(
        self,
        bundles_dir: Path,
        live: Live,
        hear: Callable[[Bundle], Hearing],
        rehearse: Callable[[Snapshot], None],
        every_s: float,
    ) -> None:
        self._bundles_dir, self._live, self._hear, self._every_s = bundles_dir, live, hear, every_s
        self._rehearse = rehearse
        self._loading = threading.Lock()
        self._stopped = threading.Event()
        self._tried = ""
        self.refused = ""
        """Why the current bundle does not answer; empty where it does."""

    def reload(self) -> Manifest:
        """Load the current bundle unless it answers already, and return the manifest of the one that does now.

        Raises
        ------
        FirstListenError
            If it cannot be loaded; the other one goes on.
        """
        with self._loading:
            try:
                folder = current_bundle(self._bundles_dir)
                self._tried = folder.name
                if folder.name != self._live.peek().manifest.version:
                    self._adopt(load_bundle(folder))
                    settle()
                    log.info("bundle %s answers now", folder.name)
            except FirstListenError as error:
                self.refused = str(error)
                log.error("a bundle is refused, %s goes on: %s", self._live.peek().manifest.version, error)
                raise
            self.refused = ""
            return self._live.peek().manifest

    def _adopt(self, bundle: Bundle) -> None:
        self._live.adopt(bundle, self._hear(bundle), self._rehearse)

    def start(self) -> threading.Thread:
        """Begin to follow; `stop` ends it."""
        thread = threading.Thread(target=self._follow, name="reloader", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Follow no more."""
        self._stopped.set()

    def _follow(self) -> None:
        while not self._stopped.wait(self._every_s):
            try:
                if current_bundle(self._bundles_dir).name not in (self._tried, self._live.peek().manifest.version):
                    self.reload()
            except FirstListenError:
                continue
            except Exception:
                log.exception("a bundle cannot be loaded")
