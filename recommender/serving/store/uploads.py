"""Uploaded files and what was heard in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from recommender.audio.signatures import from_json, to_json
from recommender.serving.store.database import Database, now_ms
from recommender.serving.store.records import Upload
from recommender.serving.tables import SignatureRow, UploadRow

_SIGNED = select(UploadRow, SignatureRow.signature).outerjoin(SignatureRow, SignatureRow.track_id == UploadRow.track_id)


def add(database: Database, upload: Upload) -> bool:
    """Store an upload; False if its track or its content is already there."""
    values = {
        "track_id": upload.track_id,
        "content_hash": upload.content_hash,
        "file_name": upload.file_name,
        "title": upload.title,
        "artist": upload.artist,
        "album": upload.album,
        "duration_s": upload.duration_s,
        "created_at_ms": now_ms(),
        **_heard(upload),
    }
    with database.adding(UploadRow) as session:
        is_new = session.scalar(database.insert(UploadRow).values(values).returning(UploadRow.seq)) is not None
        if is_new:
            _sign(session, upload)
        return is_new


def set_vectors(database: Database, upload: Upload) -> None:
    """Replace what was heard in an upload."""
    with database.session("written") as session:
        row = session.scalar(select(UploadRow).where(UploadRow.track_id == upload.track_id))
        if row is not None:
            for name, value in _heard(upload).items():
                setattr(row, name, value)
            _sign(session, upload)


def after(database: Database, seq: int) -> tuple[list[Upload], int]:
    """Return the uploads stored after `seq`, oldest first, and the sequence number to go on from."""
    with database.session("read") as session:
        uploads = []
        for row, signature in session.execute(_SIGNED.where(UploadRow.seq > seq).order_by(UploadRow.seq)):
            uploads.append(_to_upload(row, signature))
            seq = row.seq
    return uploads, seq


def by_content(database: Database, content_hash: str) -> Upload | None:
    """Return the upload of this content, if there is one."""
    with database.session("read") as session:
        found = session.execute(_SIGNED.where(UploadRow.content_hash == content_hash)).first()
        return None if found is None else _to_upload(*found)


def _heard(upload: Upload) -> dict[str, Any]:
    return {
        "embedding_version": upload.embedding_version,
        "vector": _to_bytes(upload.vector),
        "clip_vectors": _to_bytes(upload.clip_vectors),
        "clip_starts_s": _to_bytes(upload.clip_starts_s),
    }


def _sign(session: Session, upload: Upload) -> None:
    if upload.signature is not None:
        session.merge(SignatureRow(track_id=upload.track_id, signature=to_json(upload.signature)))


def _to_upload(row: UploadRow, signature: dict[str, Any] | None) -> Upload:
    vector = np.frombuffer(row.vector, dtype="<f4")
    return Upload(
        row.track_id,
        row.content_hash,
        row.file_name,
        row.title,
        row.artist,
        row.album,
        row.duration_s,
        row.embedding_version,
        vector,
        np.frombuffer(row.clip_vectors, dtype="<f4").reshape(-1, len(vector)),
        np.frombuffer(row.clip_starts_s, dtype="<f4"),
        None if signature is None else from_json(signature),
    )


def _to_bytes(array: npt.NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(array, dtype="<f4").tobytes()
