"""What a request handler is given: the settings, the store, the ears, and the state of the model at this moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from recommender.serving.answers import Answers
from recommender.serving.crowds import Crowds
from recommender.serving.draining import Draining
from recommender.serving.finding import Finder
from recommender.serving.hearing import Hearing
from recommender.serving.live import Live, Snapshot
from recommender.serving.mapping import Maps
from recommender.serving.reloading import Reloader
from recommender.serving.rematching import Rematcher
from recommender.serving.served import ServedLog
from recommender.serving.settings import Settings
from recommender.serving.shelf import Shelf
from recommender.serving.store import Store


@dataclass(frozen=True, eq=False)
class Context:
    """What lives as long as the server."""

    settings: Settings
    store: Store
    live: Live
    reloader: Reloader
    draining: Draining
    wake_uploads: Callable[[], None] = lambda: None

    @property
    def hearing(self) -> Hearing:
        """The ears of the bundle that answers."""
        return self.live.hearing

    @cached_property
    def served_log(self) -> ServedLog:
        """Where it is written what users were shown."""
        return ServedLog(self.store, self.settings.served_days)

    @cached_property
    def answers(self) -> Answers:
        """Recommendations that can be answered again."""
        return Answers(self.settings.answers_bytes, self.settings.answers_s)

    @cached_property
    def maps(self) -> Maps:
        """The map of the library."""
        return Maps(self.settings.bundles_dir)

    @cached_property
    def finder(self) -> Finder:
        """Which tracks the names of other services stand for."""
        return Finder()

    @cached_property
    def shelf(self) -> Shelf:
        """The catalog by artists and albums."""
        return Shelf()

    @cached_property
    def rematcher(self) -> Rematcher:
        """What looks again for the tracks of listens that were not found."""
        return Rematcher(self.store, self.live, self.finder)

    @cached_property
    def crowds(self) -> Crowds:
        """Everybody's taste, to find who would like a track."""
        return Crowds()

    @property
    def audio_roots(self) -> tuple[Path, ...]:
        """Folders that audio may be sent from; uploads are looked for last."""
        return (*self.settings.music_roots, self.settings.uploads_dir)


async def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


async def _snapshot(request: Request) -> Snapshot:
    live = (await _context(request)).live
    now = live.peek() if live.is_fresh else await run_in_threadpool(live.snapshot)
    request.state.bundle = now.manifest.version
    return now


ServerContext = Annotated[Context, Depends(_context)]
Now = Annotated[Snapshot, Depends(_snapshot)]
