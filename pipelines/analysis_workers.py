"""Processes that hear files: each file's outcome comes back, whatever happens to the process that had it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING

from recommender.audio.clip_store import Place, read_place
from recommender.audio.clips import ClipConfig, TrackClips, read_clips
from recommender.audio.limits import DECODER_CRASHES, limit_memory
from recommender.audio.vector_store import ClipVectors
from recommender.errors import AudioError

if TYPE_CHECKING:
    from recommender.models.ears import Ears

FILE_TIMEOUT_S = 60.0
"""A file that takes longer is given up: three hours of any format take a hundredth of it."""

FILE_MEMORY_BYTES = 512 * 1024**2
"""A file that needs more is given up, where the system can tell; three hours of any format take a tenth of it."""

JOBS_IN_FLIGHT = 2
"""Files that a process has at a time: the one that it hears, and the next, so that it never waits for a reply."""


@dataclass(frozen=True)
class Job:
    """One file.

    Parameters
    ----------
    key : str
        Its content digest.
    path : Path
    stored : Place, optional
        Where its clips are: it is not decoded again.
    """

    key: str
    path: Path
    stored: Place | None = None


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one job.

    Parameters
    ----------
    key : str
    clips : TrackClips or None
        None where there are none, or they were stored already.
    vectors : ClipVectors or None
        None where there are no clips, or nothing that hears them.
    reason : str
        Why there is nothing; empty if there is.
    is_lasting : bool
        Whether the reason lies in the content, so that trying again is no use.
    """

    key: str
    clips: TrackClips | None
    vectors: ClipVectors | None = None
    reason: str = ""
    is_lasting: bool = False


def hear_job(job: Job, config: ClipConfig, ears: Ears | None) -> Outcome:
    """Decode one file, or read what is stored of it, and embed it, in this process."""
    try:
        clips = read_clips(job.path, config) if job.stored is None else read_place(job.stored)
        vectors = None if ears is None else ClipVectors(ears.embed(clips.mels), clips.starts_s)
        return Outcome(job.key, clips if job.stored is None else None, vectors)
    except AudioError as error:
        is_readable = job.path.is_file() and os.access(job.path, os.R_OK)
        return _failed(job, str(error).removeprefix(f"{job.path.name}: "), is_readable)
    except MemoryError:
        most = f"{FILE_MEMORY_BYTES // 1024**2} MB"
        return _failed(job, f"needs more than {most} of memory to decode, given up; expected intact audio", True)


def run_workers(
    jobs: Sequence[Job], config: ClipConfig, ears: Ears | None, workers: int
) -> Generator[Outcome, None, None]:
    """Hear many files.

    Parameters
    ----------
    jobs : sequence of Job
    config : ClipConfig
    ears : Ears or None
        What makes vectors of clips; it goes to each process once.
    workers : int >= 0
        Processes; 0 hears in this one.

    Yields
    ------
    Outcome
        One a job, in the order in which they are done.
    """
    if workers == 0:
        for job in jobs:
            yield hear_job(job, config, ears)
        return
    waiting = deque(jobs)
    team: list[_Worker] = []
    try:
        while waiting or any(worker.jobs for worker in team):
            team = [worker for worker in team if worker.is_alive]
            while len(team) < min(workers, len(waiting) + sum(bool(worker.jobs) for worker in team)):
                team.append(_Worker(config, ears))
            for _ in range(JOBS_IN_FLIGHT):
                for worker in sorted(team, key=lambda one: len(one.jobs)):
                    if waiting and len(worker.jobs) < JOBS_IN_FLIGHT:
                        worker.give(waiting.popleft())
            wait([worker.pipe for worker in team if worker.jobs], timeout=1.0)
            for worker in team:
                yield from worker.take()
                if not worker.is_alive:
                    waiting.extendleft(reversed(worker.jobs))
                    worker.jobs.clear()
    finally:
        for worker in team:
            worker.stop()


class _Worker:
    """One process, its pipe, and the files that it has; it hears the first of them."""

    def __init__(self, config: ClipConfig, ears: Ears | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, config, ears), daemon=True)
        self._process.start()
        theirs.close()
        self.jobs: deque[Job] = deque()
        self.is_alive = True
        self._is_ready = False
        self._since = time.monotonic()

    def give(self, job: Job) -> None:
        if not self.jobs:
            self._since = time.monotonic()
        self.jobs.append(job)
        with suppress(BrokenPipeError):  # If it has died, `take` finds out how.
            self.pipe.send(job)

    def take(self) -> Generator[Outcome, None, None]:
        """Yield the outcomes that are there, or the reason of the first file if the process is not."""
        try:
            while self.jobs and self.pipe.poll():
                message = self.pipe.recv()
                self._since = time.monotonic()
                if isinstance(message, Outcome):
                    self.jobs.popleft()
                    yield message
                else:
                    self._is_ready = True
        except (EOFError, ConnectionResetError):
            yield self._died()
            return
        if self.jobs and self._is_ready and time.monotonic() - self._since > FILE_TIMEOUT_S:
            self.stop()
            reason = f"not decoded within {FILE_TIMEOUT_S:g} s, given up; expected audio that decodes in a second"
            yield _failed(self.jobs.popleft(), reason, True)

    def stop(self) -> None:
        """End the process at once; it writes nothing that could be half done."""
        self.is_alive = False
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def _died(self) -> Outcome:
        self._process.join(timeout=10.0)
        code = self._process.exitcode
        self.stop()
        if not self._is_ready:
            raise RuntimeError(f"a process for the analysis ended while it started, with exit code {code}")
        job = self.jobs.popleft()
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            if -code in DECODER_CRASHES:
                return _failed(job, f"the decoder crashed on it ({name}), expected intact audio", True)
            return _failed(job, f"its process was killed ({name}), perhaps out of memory; analyse again", False)
        return _failed(job, f"its process ended with exit code {code}: an error of ours, shown above; report it", False)


def _failed(job: Job, reason: str, is_lasting: bool) -> Outcome:
    return Outcome(job.key, None, None, reason, is_lasting)


def _work(pipe: Connection, config: ClipConfig, ears: Ears | None) -> None:
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent decides when to stop.
    limit_memory(FILE_MEMORY_BYTES)
    with threadpool_limits(1):
        _serve(pipe, config, ears)


def _serve(pipe: Connection, config: ClipConfig, ears: Ears | None) -> None:
    pipe.send("ready")
    try:
        while True:
            pipe.send(hear_job(pipe.recv(), config, ears))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # The parent is gone.
