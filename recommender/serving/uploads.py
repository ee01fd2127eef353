"""From bytes that somebody sent to a track that can be recommended: kept, heard, stored, in that order."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from recommender.data.library import content_hash
from recommender.data.tags import AUDIO_ENDINGS, read_tags
from recommender.errors import AudioError
from recommender.serving.hearing import Hearing
from recommender.serving.live import Live
from recommender.serving.store import Store, Upload

MAX_NAME = 300
LEFTOVER_S = 3600


@dataclass(frozen=True)
class Tags:
    """What the sender says about a file; empty where nothing is said."""

    title: str = ""
    artist: str = ""
    album: str = ""


@dataclass(frozen=True)
class Accepted:
    """What became of an upload: its track, whether it is new, and what of the file could not be used."""

    track_id: str
    created: bool
    warnings: tuple[str, ...]


def accept_upload(
    content: BinaryIO, file_name: str, tags: Tags, *, uploads_dir: Path, hearing: Hearing, store: Store, live: Live
) -> Accepted:
    """Take a file in. When this returns, the track survives a crash and is in `live`.

    Parameters
    ----------
    content : binary file
    file_name : str
        As the sender calls it: only its ending and, without tags, its stem are used.
    tags : Tags
        Win over the tags in the file.

    Raises
    ------
    AudioError
        If the file holds no usable audio; nothing of it is kept.
    ModelError
        If the bundle has no audio model.
    StoreError
        If the database does not take it.
    """
    suffix = Path(file_name.replace("\\", "/")).suffix.lower()
    if suffix not in AUDIO_ENDINGS:
        raise AudioError(f"{_shown(file_name)} has no ending of audio; expected one of {' '.join(AUDIO_ENDINGS)}")
    hearing.check()
    uploads_dir.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".part-", suffix=suffix, dir=uploads_dir)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as target:
            shutil.copyfileobj(content, target, 1024 * 1024)
            target.flush()
            os.fsync(target.fileno())
        if part.stat().st_size == 0:
            raise AudioError(f"{_shown(file_name)} is empty; expected audio")
        digest = content_hash(part)
        track_id = f"t{digest[:16]}"
        if track_id in live.catch_up().model.catalog.tracks:
            return Accepted(track_id, False, ())
        upload, warnings = _analyse(part, track_id, digest, _shown(file_name), suffix, tags, hearing)
        part.chmod(0o644)
        part.replace(uploads_dir / upload.file_name)
        _flush(uploads_dir)
    finally:
        part.unlink(missing_ok=True)
    created = store.add_upload(upload)
    live.catch_up()
    return Accepted(track_id, created, warnings)


def remove_leftovers(uploads_dir: Path) -> None:
    """Delete what uploads left behind that a crash cut short, where they are too old to be still running."""
    for part in uploads_dir.glob(".part-*"):
        if time.time() - part.stat().st_mtime > LEFTOVER_S:
            part.unlink(missing_ok=True)


def _analyse(
    part: Path, track_id: str, digest: str, shown: str, suffix: str, tags: Tags, hearing: Hearing
) -> tuple[Upload, tuple[str, ...]]:
    try:
        heard = hearing.hear(part)
    except AudioError as error:
        raise AudioError(str(error).replace(str(part), shown).replace(part.name, shown)) from None
    try:
        found = read_tags(part, PurePosixPath(shown))
        in_file = Tags(found.title, found.artist, found.album)
    except AudioError:
        in_file = Tags()  # what decodes although its container is unknown is named by its sender or its file name
    upload = Upload(
        track_id=track_id,
        content_hash=digest,
        file_name=f"{track_id}{suffix}",
        title=(tags.title or in_file.title or Path(shown).stem)[:MAX_NAME],
        artist=(tags.artist or in_file.artist)[:MAX_NAME],
        album=(tags.album or in_file.album)[:MAX_NAME],
        duration_s=heard.duration_s,
        embedding_version=heard.version,
        vector=heard.vector,
        clip_vectors=heard.clip_vectors,
        clip_starts_s=heard.clip_starts_s,
        signature=heard.signature,
    )
    return upload, tuple(warning.replace(part.name, shown) for warning in heard.warnings)


def _shown(file_name: str) -> str:
    """Return the sender's file name without folders and control characters."""
    plain = re.sub(r"[\x00-\x1f\x7f]", "", file_name.replace("\\", "/").rsplit("/", 1)[-1]).strip()
    return plain[-MAX_NAME:] or "the file"


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
