"""From bytes that somebody sent to a track that can be recommended: kept, heard, stored, in that order.

What is heard in a moment is heard while the sender waits. What lasts long, and what comes while others wait, is kept
with a row in the store and heard in the background (`recommender.serving.upload_worker`); a crash loses neither.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from recommender.data.library import content_hash
from recommender.data.tags import AUDIO_ENDINGS
from recommender.errors import AudioError
from recommender.serving.hearing import Hearing, LongAudioError
from recommender.serving.live import Live
from recommender.serving.problems import Problem
from recommender.serving.store import Store, Upload
from recommender.serving.upload_jobs import OPEN, UploadJob, UploadJobs

MAX_NAME = 300
LEFTOVER_S = 3600
ORPHAN_S = 86_400
LONG_BYTES = 64 * 1024 * 1024
"""A file that is larger is heard in the background, whatever it says of its length."""

WAITING = 2
"""Files that are heard or wait while their senders do; a further one is heard in the background."""

RETRY_S = 60


@dataclass(frozen=True)
class Tags:
    """What the sender says about a file; empty where nothing is said."""

    title: str = ""
    artist: str = ""
    album: str = ""


@dataclass(frozen=True)
class UploadLimits:
    """What is heard when.

    Parameters
    ----------
    long_s : float
        Files that last longer are heard in the background, in seconds.
    most_queued : int
        Files that wait for that; a further one is refused.
    """

    long_s: float = 900.0
    most_queued: int = 100


@dataclass(frozen=True)
class Accepted:
    """What became of an upload: its track, whether it is new, known or waits, and what of it could not be used."""

    track_id: str
    outcome: Literal["created", "known", "queued"]
    warnings: tuple[str, ...] = ()


def accept_upload(
    content: BinaryIO,
    file_name: str,
    tags: Tags,
    *,
    uploads_dir: Path,
    hearing: Hearing,
    store: Store,
    live: Live,
    limits: UploadLimits | None = None,
) -> Accepted:
    """Take a file in. When this returns, the track survives a crash, and is in `live` unless it is queued.

    Parameters
    ----------
    content : binary file
    file_name : str
        As the sender calls it: only its ending and, without tags, its stem are used.
    tags : Tags
        Win over the tags in the file.
    limits : UploadLimits, optional

    Raises
    ------
    AudioError
        If the file holds no usable audio; nothing of it is kept.
    ModelError
        If the bundle has no audio model.
    StoreError
        If the database does not take it.
    Problem
        If too many files wait.
    """
    limits = limits or UploadLimits()
    shown, suffix = _shown(file_name), Path(file_name.replace("\\", "/")).suffix.lower()
    if suffix not in AUDIO_ENDINGS:
        raise AudioError(f"{shown} has no ending of audio; expected one of {' '.join(AUDIO_ENDINGS)}")
    hearing.check()
    with _kept(content, shown, suffix, uploads_dir) as part:
        digest = content_hash(part)
        job = UploadJob(f"t{digest[:16]}", digest, shown, suffix, tags.title, tags.artist, tags.album)
        if job.track_id in live.catch_up().model.catalog.tracks:
            return Accepted(job.track_id, "known")
        if part.stat().st_size <= LONG_BYTES and hearing.waiting < WAITING:
            try:
                upload, warnings = hear_upload(part, job, hearing, limits.long_s)
            except LongAudioError:
                pass
            else:
                created = store_upload(part, upload, uploads_dir, store)
                live.catch_up()
                return Accepted(job.track_id, "created" if created else "known", warnings)
        _queue(part, job, uploads_dir, UploadJobs(store), limits.most_queued)
        return Accepted(job.track_id, "queued")


def hear_upload(
    path: Path, job: UploadJob, hearing: Hearing, long_s: float = math.inf
) -> tuple[Upload, tuple[str, ...]]:
    """Hear a file, and return what is to be stored of it, and what of it could not be used.

    Raises
    ------
    AudioError, ModelError, LongAudioError
        As `Hearing.hear` does; the file goes by the name that its sender gave it.
    """
    try:
        heard = hearing.hear(path, shown=job.shown, long_s=long_s)
    except AudioError as error:
        raise AudioError(str(error).replace(str(path), job.shown).replace(path.name, job.shown)) from None
    upload = Upload(
        track_id=job.track_id,
        content_hash=job.content_hash,
        file_name=f"{job.track_id}{job.suffix}",
        title=(job.title or heard.title or Path(job.shown).stem)[:MAX_NAME],
        artist=(job.artist or heard.artist)[:MAX_NAME],
        album=(job.album or heard.album)[:MAX_NAME],
        duration_s=heard.duration_s,
        embedding_version=heard.version,
        vector=heard.vector,
        clip_vectors=heard.clip_vectors,
        clip_starts_s=heard.clip_starts_s,
        signature=heard.signature,
    )
    return upload, tuple(warning.replace(path.name, job.shown) for warning in heard.warnings)


def store_upload(path: Path, upload: Upload, uploads_dir: Path, store: Store) -> bool:
    """Move a file to its place, then store what was heard in it; False if somebody else did so meanwhile."""
    place = uploads_dir / upload.file_name
    path.chmod(0o644)
    path.replace(place)
    _flush(uploads_dir)
    if store.add_upload(upload):
        return True
    stored = store.upload_by_content(upload.content_hash)
    if stored is not None and stored.file_name != upload.file_name:
        place.unlink(missing_ok=True)  # the same content under another ending
    return False


def queued_path(uploads_dir: Path, job: UploadJob) -> Path:
    """Return where a file waits."""
    return uploads_dir / f".queued-{job.track_id}{job.suffix}"


def remove_leftovers(uploads_dir: Path, jobs: UploadJobs) -> None:
    """Delete what uploads left behind that a crash cut short, where they are too old to be still running."""
    for part in uploads_dir.glob(".part-*"):
        if _age_s(part) > LEFTOVER_S:
            part.unlink(missing_ok=True)
    for waiting in uploads_dir.glob(".queued-*"):
        if _age_s(waiting) > ORPHAN_S:
            job = jobs.get(waiting.name.removeprefix(".queued-").partition(".")[0])
            if job is None or job.status not in OPEN:
                waiting.unlink(missing_ok=True)
    jobs.forget()


@contextmanager
def _kept(content: BinaryIO, shown: str, suffix: str, uploads_dir: Path) -> Iterator[Path]:
    """Write what is sent to disk, for as long as nobody moves it elsewhere."""
    uploads_dir.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".part-", suffix=suffix, dir=uploads_dir)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as target:
            shutil.copyfileobj(content, target, 1024 * 1024)
            target.flush()
            os.fsync(target.fileno())
        if part.stat().st_size == 0:
            raise AudioError(f"{shown} is empty; expected audio")
        yield part
    finally:
        part.unlink(missing_ok=True)


def _queue(part: Path, job: UploadJob, uploads_dir: Path, jobs: UploadJobs, most: int) -> None:
    place = queued_path(uploads_dir, job)
    part.replace(place)
    _flush(uploads_dir)
    if not jobs.put(job, most):
        place.unlink(missing_ok=True)
        detail = f"{most} uploads wait to be heard already, as many as this server keeps; send the file again later"
        raise Problem(503, "queue-full", detail, {"Retry-After": str(RETRY_S)})


def _shown(file_name: str) -> str:
    """Return the sender's file name without folders and control characters."""
    plain = re.sub(r"[\x00-\x1f\x7f]", "", file_name.replace("\\", "/").rsplit("/", 1)[-1]).strip()
    return plain[-MAX_NAME:] or "the file"


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
