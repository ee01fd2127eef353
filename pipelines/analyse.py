"""Analyse music: every new file becomes clips and vectors on all cores, and no bad file stops the rest."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.analysis_workers import Job, Outcome, run_workers
from recommender.audio.clip_store import ClipStore
from recommender.audio.clips import TrackClips
from recommender.audio.vector_store import ClipVectors, VectorStore
from recommender.data.progress import Progress, silent

if TYPE_CHECKING:
    from recommender.models.ears import Ears

SHARD_TRACKS = 64
"""Tracks of a full shard, about 8 MB."""

SHARD_INTERVAL_S = 20.0
"""A shard is written at least this often, so that a power cut costs no more than this."""

FILES_A_WORKER = 8
"""A worker takes half a second to start; it is not worth that for fewer files."""


@dataclass(frozen=True)
class AnalysisReport:
    """What an analysis did.

    Parameters
    ----------
    done : int
        Files that were analysed now.
    skipped : int
        Files whose clips were in the store already.
    embedded : int
        Contents whose clips were in the store already, and that got their vectors now.
    failed : tuple of (path, reason)
        Files that cannot be used, those known from earlier included.
    warned : tuple of (path, text)
        Files that were analysed now and of which not all could be decoded.
    seconds : float
        Wall time.
    """

    done: int
    skipped: int
    embedded: int
    failed: tuple[tuple[Path, str], ...]
    warned: tuple[tuple[Path, str], ...]
    seconds: float


@dataclass
class _Shard:
    """Results on their way to disk."""

    store: ClipStore
    vector_store: VectorStore | None
    tracks: list[tuple[str, TrackClips]] = field(default_factory=list)
    vectors: list[tuple[str, ClipVectors]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)

    def write(self) -> None:
        self.store.append(self.tracks)
        if self.vector_store is not None:
            self.vector_store.append(self.vectors)
        self.store.add_failures(self.failures)
        self.tracks, self.vectors, self.failures, self.since = [], [], {}, time.monotonic()

    def add(self, outcome: Outcome) -> None:
        if outcome.clips is not None:
            self.tracks.append((outcome.key, outcome.clips))
        if outcome.vectors is not None:
            self.vectors.append((outcome.key, outcome.vectors))
        if outcome.is_lasting:
            self.failures[outcome.key] = outcome.reason
        count = max(len(self.tracks), len(self.vectors))
        if count >= SHARD_TRACKS or time.monotonic() - self.since >= SHARD_INTERVAL_S:
            self.write()


def analyse_files(
    files: Iterable[tuple[str, str, Path]],
    store: ClipStore,
    *,
    ears: Ears | None = None,
    vectors: VectorStore | None = None,
    workers: int | None = None,
    retry: bool = False,
    progress: Progress = silent,
) -> AnalysisReport:
    """Bring the clips of every file into the store, and their vectors into theirs.

    A file that is in the store is not decoded again: where only its vectors are missing, as after a change of the
    network, they are made of the stored clips. One that failed before is reported without being tried again. What
    is done is on disk at least every `SHARD_INTERVAL_S`; after an interruption a second call goes on from there. A file
    that crashes its process, or holds it for minutes, is reported and the rest goes on.

    Parameters
    ----------
    files : iterable of (track id, content digest, path)
        Files of equal content are decoded once.
    store : ClipStore
    ears : Ears, optional
        The network that makes vectors of the clips; without it there are none.
    vectors : VectorStore, optional
        Where they are kept; goes with `ears`.
    workers : int, optional
        Processes; by default one a core, fewer for few files. 0 works in this process, where a crash of the decoder
        is a crash of the caller.
    retry : bool
        Try files again that failed before.
    progress : Progress
        Told of files done, of those that there is something to do for.

    Returns
    -------
    AnalysisReport
    """
    started = time.monotonic()
    if retry:
        store.forget_failures()
    stored, known_failures = store.keys(), store.failures()
    embedded = stored if vectors is None else vectors.keys()
    failed: list[tuple[Path, str]] = []
    paths_of: dict[str, list[Path]] = {}
    unheard: dict[str, Path] = {}
    skipped = 0
    for _, key, path in files:
        if key in stored:
            skipped += 1
            if key not in embedded:
                unheard[key] = path
        elif key in known_failures:
            failed.append((path, known_failures[key]))
        else:
            paths_of.setdefault(key, []).append(path)

    warned: list[tuple[Path, str]] = []
    done = caught_up = 0
    shard = _Shard(store, vectors)
    jobs = [Job(key, path, store.place(key)) for key, path in unheard.items()]
    jobs += [Job(key, paths[0]) for key, paths in paths_of.items()]
    progress(0, len(jobs))
    try:
        team_size = _team_size(len(jobs)) if workers is None else workers
        with closing(run_workers(jobs, store.config, ears, team_size)) as outcomes:
            for count, outcome in enumerate(outcomes, start=1):
                paths = paths_of.get(outcome.key, [])
                if outcome.key in unheard:
                    caught_up += 1
                elif outcome.clips is not None:
                    done += len(paths)
                    warned.extend((path, text) for path in paths for text in outcome.clips.warnings)
                else:
                    failed.extend((path, outcome.reason) for path in paths)
                shard.add(outcome)
                progress(count, len(jobs))
    finally:
        shard.write()
    seconds = time.monotonic() - started
    return AnalysisReport(done, skipped, caught_up, tuple(sorted(failed)), tuple(sorted(warned)), seconds)


def _team_size(n_jobs: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, -(-n_jobs // FILES_A_WORKER))
