"""Analyse music: every new file becomes clips in the store, on all cores, and no bad file stops the rest."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.analysis_workers import Outcome, run_workers
from recommender.audio.clip_store import ClipStore
from recommender.audio.clips import TrackClips
from recommender.data.progress import Progress, silent

SHARD_TRACKS = 64
"""Tracks of a full shard, about 8 MB."""

SHARD_INTERVAL_S = 20.0
"""A shard is written at least this often, so that a power cut costs no more than this."""

FILES_A_WORKER = 8
"""A worker takes two seconds to start; it is not worth that for fewer files."""


@dataclass(frozen=True)
class AnalysisReport:
    """What an analysis did.

    Parameters
    ----------
    done : int
        Files that were analysed now.
    skipped : int
        Files whose content was in the store already.
    failed : tuple of (path, reason)
        Files that cannot be used, those known from earlier included.
    warned : tuple of (path, text)
        Files that were analysed now and of which not all could be decoded.
    seconds : float
        Wall time.
    """

    done: int
    skipped: int
    failed: tuple[tuple[Path, str], ...]
    warned: tuple[tuple[Path, str], ...]
    seconds: float


@dataclass
class _Shard:
    """Results on their way to disk."""

    store: ClipStore
    tracks: list[tuple[str, TrackClips]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)

    def write(self) -> None:
        self.store.append(self.tracks)
        self.store.add_failures(self.failures)
        self.tracks, self.failures, self.since = [], {}, time.monotonic()

    def add(self, outcome: Outcome) -> None:
        if outcome.clips is not None:
            self.tracks.append((outcome.key, outcome.clips))
        elif outcome.is_lasting:
            self.failures[outcome.key] = outcome.reason
        if len(self.tracks) >= SHARD_TRACKS or time.monotonic() - self.since >= SHARD_INTERVAL_S:
            self.write()


def analyse_files(
    files: Iterable[tuple[str, str, Path]],
    store: ClipStore,
    *,
    workers: int | None = None,
    retry: bool = False,
    progress: Progress = silent,
) -> AnalysisReport:
    """Bring the clips of every file into the store.

    A file that is in the store is not touched, and one that failed before is reported without being tried again. What
    is done is on disk at least every `SHARD_INTERVAL_S`; after an interruption a second call goes on from there. A file
    that crashes its process, or holds it for minutes, is reported and the rest goes on.

    Parameters
    ----------
    files : iterable of (track id, content digest, path)
        Files of equal content are decoded once.
    store : ClipStore
    workers : int, optional
        Processes; by default one a core, fewer for few files. 0 works in this process, where a crash of the decoder
        is a crash of the caller.
    retry : bool
        Try files again that failed before.
    progress : Progress
        Told of files analysed, of those that are new.

    Returns
    -------
    AnalysisReport
    """
    started = time.monotonic()
    if retry:
        store.forget_failures()
    stored, known_failures = store.keys(), store.failures()
    failed: list[tuple[Path, str]] = []
    paths_of: dict[str, list[Path]] = {}
    skipped = 0
    for _, key, path in files:
        if key in stored:
            skipped += 1
        elif key in known_failures:
            failed.append((path, known_failures[key]))
        else:
            paths_of.setdefault(key, []).append(path)

    warned: list[tuple[Path, str]] = []
    done = 0
    shard = _Shard(store)
    progress(0, len(paths_of))
    try:
        with closing(_outcomes(paths_of, store, workers)) as outcomes:
            for count, outcome in enumerate(outcomes, start=1):
                paths = paths_of[outcome.key]
                if outcome.clips is not None:
                    done += len(paths)
                    warned.extend((path, text) for path in paths for text in outcome.clips.warnings)
                else:
                    failed.extend((path, outcome.reason) for path in paths)
                shard.add(outcome)
                progress(count, len(paths_of))
    finally:
        shard.write()
    return AnalysisReport(done, skipped, tuple(sorted(failed)), tuple(sorted(warned)), time.monotonic() - started)


def _outcomes(paths_of: dict[str, list[Path]], store: ClipStore, workers: int | None) -> Generator[Outcome, None, None]:
    jobs: Sequence[tuple[str, Path]] = [(key, paths[0]) for key, paths in paths_of.items()]
    if workers is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = min(cores, -(-len(jobs) // FILES_A_WORKER))
    return run_workers(jobs, store.config, workers)
