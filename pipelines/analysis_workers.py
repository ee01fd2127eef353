"""Processes that read clips: each file's outcome comes back, whatever happens to the process that had it."""

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

from recommender.audio.clips import ClipConfig, TrackClips, read_clips
from recommender.errors import AudioError

FILE_TIMEOUT_S = 300.0
"""A file that takes longer is given up; an hour of audio takes well under a second."""

DECODER_CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one file.

    Parameters
    ----------
    key : str
        Its content digest.
    clips : TrackClips or None
    reason : str
        Why there are no clips.
    is_lasting : bool
        Whether the reason lies in the content, so that trying again is no use.
    """

    key: str
    clips: TrackClips | None
    reason: str = ""
    is_lasting: bool = False


def read_outcome(key: str, path: Path, config: ClipConfig) -> Outcome:
    """Read one file's clips in this process."""
    try:
        return Outcome(key, read_clips(path, config))
    except AudioError as error:
        is_readable = path.is_file() and os.access(path, os.R_OK)
        return Outcome(key, None, str(error).removeprefix(f"{path.name}: "), is_lasting=is_readable)


def run_workers(jobs: Sequence[tuple[str, Path]], config: ClipConfig, workers: int) -> Generator[Outcome, None, None]:
    """Read the clips of many files.

    Parameters
    ----------
    jobs : sequence of (content digest, path)
    config : ClipConfig
    workers : int >= 0
        Processes; 0 reads in this one.

    Yields
    ------
    Outcome
        One a job, in the order in which they are done.
    """
    if workers == 0:
        for key, path in jobs:
            yield read_outcome(key, path, config)
        return
    waiting = deque(jobs)
    team: list[_Worker] = []
    try:
        while waiting or any(worker.job for worker in team):
            team = [worker for worker in team if worker.is_alive]
            idle = sum(worker.job is None for worker in team)
            for _ in range(min(workers - len(team), len(waiting) - idle)):
                team.append(_Worker(config))
            for worker in team:
                if worker.job is None and waiting:
                    worker.give(*waiting.popleft())
            wait([worker.pipe for worker in team if worker.job], timeout=1.0)
            for worker in team:
                outcome = worker.take()
                if outcome is not None:
                    yield outcome
    finally:
        for worker in team:
            worker.stop()


class _Worker:
    """One process, its pipe, and the file that it has."""

    def __init__(self, config: ClipConfig) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, config), daemon=True)
        self._process.start()
        theirs.close()
        self.job: tuple[str, Path] | None = None
        self.is_alive = True
        self._is_ready = False
        self._since = time.monotonic()

    def give(self, key: str, path: Path) -> None:
        self.job = (key, path)
        self._since = time.monotonic()
        with suppress(BrokenPipeError):  # If it has died, `take` finds out how.
            self.pipe.send(self.job)

    def take(self) -> Outcome | None:
        """Return the outcome of the file if it is there, or the reason if the process is not."""
        if self.job is None:
            return None
        try:
            while self.pipe.poll():
                message = self.pipe.recv()
                if isinstance(message, Outcome):
                    self.job = None
                    return message
                self._is_ready, self._since = True, time.monotonic()
        except (EOFError, ConnectionResetError):
            return self._died()
        if self._is_ready and time.monotonic() - self._since > FILE_TIMEOUT_S:
            key, _ = self.job
            self.stop()
            reason = (
                f"not decoded within {FILE_TIMEOUT_S:g} s, given up; expected audio that decodes faster than it plays"
            )
            return Outcome(key, None, reason, is_lasting=True)
        return None

    def stop(self) -> None:
        """End the process at once; it writes nothing that could be half done."""
        self.is_alive, self.job = False, None
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def _died(self) -> Outcome:
        assert self.job is not None
        key = self.job[0]
        self._process.join(timeout=10.0)
        code = self._process.exitcode
        self.stop()
        if not self._is_ready:
            raise RuntimeError(f"a process for the analysis ended while it started, with exit code {code}")
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            if -code in DECODER_CRASHES:
                return Outcome(key, None, f"the decoder crashed on it ({name}), expected intact audio", is_lasting=True)
            return Outcome(key, None, f"its process was killed ({name}), perhaps out of memory; analyse again")
        return Outcome(key, None, f"its process ended with exit code {code}: an error of ours, shown above; report it")


def _work(pipe: Connection, config: ClipConfig) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent decides when to stop.
    _serve(pipe, config)


def _serve(pipe: Connection, config: ClipConfig) -> None:
    pipe.send("ready")
    try:
        while True:
            key, path = pipe.recv()
            pipe.send(read_outcome(key, path, config))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # The parent is gone.
