"""The thread that hears queued uploads, one in each server process; whoever is free takes the oldest."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from recommender.errors import AudioError, FirstListenError, ModelError, StoreError
from recommender.serving.hearing import Hearing
from recommender.serving.live import Live
from recommender.serving.store import Store
from recommender.serving.upload_jobs import LEASE_MS, MAX_ATTEMPTS, UploadJob, UploadJobs
from recommender.serving.uploads import hear_upload, queued_path, remove_leftovers, store_upload

log = logging.getLogger(__name__)
POLL_S = 1.0
"""How often a worker looks whether another one queued something."""

PAUSE_S = 5.0
TIDY_S = 3600.0


class UploadWorker:
    """Hears queued uploads from `start` until `stop`.

    Parameters
    ----------
    store : Store
    uploads_dir : Path
    hearing : function
        Returns the ears that hear now.
    live : Live
    """

    def __init__(self, store: Store, uploads_dir: Path, hearing: Callable[[], Hearing], live: Live) -> None:
        self._store, self._uploads_dir, self._hearing, self._live = store, uploads_dir, hearing, live
        self._jobs = UploadJobs(store)
        self._owner = f"{os.uname().nodename[:80]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._stopped, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="uploads", daemon=True)

    def start(self) -> None:
        """Begin, with what an earlier process left."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to do, so that it does not wait for the next look."""
        self._wake.set()

    def stop(self) -> None:
        """Begin nothing more; what is being heard is given back once the ears are closed."""
        self._stopped.set()
        self._wake.set()

    def join(self) -> None:
        """Wait until it has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout=10.0)

    def _run(self) -> None:
        tidied_at = -TIDY_S
        while not self._stopped.is_set():
            self._wake.clear()
            try:
                if time.monotonic() - tidied_at > TIDY_S:
                    tidied_at = time.monotonic()
                    remove_leftovers(self._uploads_dir, self._jobs)
                job = self._jobs.claim(self._owner)
                if job is not None:
                    self._hear(job)
                    continue
            except (StoreError, OSError) as error:
                log.warning("queued uploads wait: %s", error)
                self._stopped.wait(PAUSE_S)
            except Exception:
                log.exception("an error of ours; queued uploads go on")
                self._stopped.wait(PAUSE_S)
            self._wake.wait(POLL_S)

    def _hear(self, job: UploadJob) -> None:
        if job.attempts > MAX_ATTEMPTS:
            self._give_up(job, f"{job.shown}: {MAX_ATTEMPTS} attempts to hear it were cut short, given up")
            return
        path = queued_path(self._uploads_dir, job)
        if not path.exists():  # a crash came between the move to its place and the row
            path = self._uploads_dir / f"{job.track_id}{job.suffix}"
        hearing = self._hearing()
        try:
            with self._renewing(job):
                upload, warnings = hear_upload(path, job, hearing)
                store_upload(path, upload, self._uploads_dir, self._store)
        except (AudioError, ModelError, OSError) as error:
            if self._stopped.is_set() or hearing is not self._hearing():  # they were closed under it
                self._jobs.release(job.track_id, self._owner)
            elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            else:
                self._give_up(job, str(error) if isinstance(error, FirstListenError) else f"{job.shown} is gone")
            return
        self._jobs.finish(job.track_id, self._owner, warnings)
        self._live.catch_up()

    def _give_up(self, job: UploadJob, reason: str) -> None:
        log.warning("an upload cannot be used: %s", reason)
        self._jobs.fail(job.track_id, self._owner, reason)
        queued_path(self._uploads_dir, job).unlink(missing_ok=True)

    @contextmanager
    def _renewing(self, job: UploadJob) -> Iterator[None]:
        done = threading.Event()

        def renew() -> None:
            while not done.wait(LEASE_MS / 4000):
                try:
                    self._jobs.renew(job.track_id, self._owner)
                except StoreError as error:
                    log.warning("the claim to an upload is not renewed: %s", error)

        thread = threading.Thread(target=renew, name="upload-claim", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
