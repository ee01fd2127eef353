"""What people did and were shown since the bundle was made: listens, verdicts, uploads and lists, in SQL."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sqlalchemy import (
    Engine,
    create_engine,
    delete,
    event,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from recommender.audio.signatures import Signature, from_json, to_json
from recommender.errors import FirstListenError, StoreError
from recommender.serving.migrations import bring_up_to_date
from recommender.serving.served import ServedSlot
from recommender.serving.tables import Base, FeedbackRow, ListenRow, ServedRow, SignatureRow, UploadRow

WAIT_S = 4
"""How long a statement waits for a database that is locked or does not answer."""

ListenResult = Literal["stored", "duplicate", "conflict"]


@dataclass(frozen=True)
class Listen:
    """One listen: `weight` plays (0 = heard and skipped), at `listened_at_ms` (UTC, milliseconds since 1970)."""

    user_id: str
    track_id: str
    listened_at_ms: int
    weight: float = 1.0
    client_id: str | None = None


@dataclass(frozen=True)
class Feedback:
    """What a user said of a track: `value` 1 loved, -1 disliked, 0 taken back; `given_at_ms` as of a listen."""

    user_id: str
    track_id: str
    value: int
    given_at_ms: int


@dataclass(frozen=True, eq=False)
class Upload:
    """One uploaded file and what was heard in it.

    Parameters
    ----------
    track_id, content_hash, file_name : str
        `file_name` is relative to the uploads folder.
    title, artist, album : str
    duration_s : float
    embedding_version : str
        The audio model that made the vectors.
    vector : ndarray, shape (dim,), float32
    clip_vectors : ndarray, shape (n_clips, dim), float32
    clip_starts_s : ndarray, shape (n_clips,), float32
    signature : Signature or None
    """

    track_id: str
    content_hash: str
    file_name: str
    title: str
    artist: str
    album: str
    duration_s: float
    embedding_version: str
    vector: npt.NDArray[np.float32]
    clip_vectors: npt.NDArray[np.float32]
    clip_starts_s: npt.NDArray[np.float32]
    signature: Signature | None = None


_SIGNED = select(UploadRow, SignatureRow.signature).outerjoin(SignatureRow, SignatureRow.track_id == UploadRow.track_id)


class Store:
    """The database of one workspace; safe to use from many threads and processes.

    A write that returned is on disk. Every row has a growing sequence number, so that a reader can ask for what is new.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Store:
        """Connect to the database at `url` and bring its tables up to date.

        Raises
        ------
        StoreError
            If the database cannot be opened.
        VersionError
            If a newer release made its tables.
        """
        with _reported("opened"):
            engine = create_engine(_with_driver(url), **_options(url))
        try:
            with _reported("opened", f" {engine.url.render_as_string()}"):
                if engine.dialect.name == "sqlite":
                    event.listen(engine, "connect", _make_sqlite_durable)
                bring_up_to_date(engine)
        except FirstListenError:
            engine.dispose()
            raise
        return cls(engine)

    def close(self) -> None:
        """Give back all connections."""
        self._engine.dispose()

    def check(self) -> None:
        """Raise StoreError if the database does not answer."""
        with self._session("reached") as session:
            session.execute(select(1))

    @contextmanager
    def session(self, verb: str) -> Iterator[Session]:
        """Open a transaction for a table that another room hangs on `Base`; `verb` is what fails in a StoreError."""
        with self._session(verb) as session:
            yield session

    def add_listens(self, listens: Sequence[Listen]) -> list[ListenResult]:
        """Store listens, each once.

        Parameters
        ----------
        listens : sequence of Listen

        Returns
        -------
        list of {"stored", "duplicate", "conflict"}
            One a listen, in order: new; already there (same user, track and time, or same client id with the same
            track); or its client id belongs to a listen of another track.
        """
        now = _now_ms()
        results: list[ListenResult] = []
        with self._writing(ListenRow) as session:
            for listen in listens:
                values = {
                    "user_id": listen.user_id,
                    "track_id": listen.track_id,
                    "listened_at_ms": listen.listened_at_ms,
                    "weight": listen.weight,
                    "client_id": listen.client_id,
                    "received_at_ms": now,
                }
                stored = session.scalar(self._insert(ListenRow, [values]).returning(ListenRow.seq))
                if stored is not None:
                    results.append("stored")
                    continue
                owner = session.scalar(
                    select(ListenRow.track_id).where(
                        ListenRow.user_id == listen.user_id, ListenRow.client_id == listen.client_id
                    )
                )
                results.append("conflict" if owner is not None and owner != listen.track_id else "duplicate")
        return results

    def listens_after(self, seq: int, limit: int = 100_000) -> tuple[list[Listen], int]:
        """Return the listens stored after `seq`, oldest first, and the sequence number to go on from."""
        with self._session("read") as session:
            rows = session.scalars(select(ListenRow).where(ListenRow.seq > seq).order_by(ListenRow.seq).limit(limit))
            listens = []
            for row in rows:
                listens.append(Listen(row.user_id, row.track_id, row.listened_at_ms, row.weight, row.client_id))
                seq = row.seq
        return listens, seq

    def count_listens(self) -> int:
        """Return how many listens are stored."""
        with self._session("read") as session:
            return session.scalar(select(func.count()).select_from(ListenRow)) or 0

    def add_feedback(self, feedback: Feedback) -> None:
        """Store a verdict; the last one of a user and track counts."""
        with self._writing(FeedbackRow) as session:
            session.add(FeedbackRow(**asdict(feedback)))

    def feedback_after(self, seq: int) -> tuple[list[Feedback], int]:
        """Return the verdicts stored after `seq`, oldest first, and the sequence number to go on from."""
        with self._session("read") as session:
            found = []
            for row in session.scalars(select(FeedbackRow).where(FeedbackRow.seq > seq).order_by(FeedbackRow.seq)):
                found.append(Feedback(row.user_id, row.track_id, row.value, row.given_at_ms))
                seq = row.seq
        return found, seq

    def add_upload(self, upload: Upload) -> bool:
        """Store an upload; False if its track or its content is already there."""
        values = {
            "track_id": upload.track_id,
            "content_hash": upload.content_hash,
            "file_name": upload.file_name,
            "title": upload.title,
            "artist": upload.artist,
            "album": upload.album,
            "duration_s": upload.duration_s,
            "created_at_ms": _now_ms(),
            **_heard(upload),
        }
        with self._writing(UploadRow) as session:
            is_new = session.scalar(self._insert(UploadRow, [values]).returning(UploadRow.seq)) is not None
            if is_new:
                _sign(session, upload)
            return is_new

    def set_upload_vectors(self, upload: Upload) -> None:
        """Replace what was heard in an upload, after the audio model changed."""
        with self._session("written") as session:
            row = session.scalar(select(UploadRow).where(UploadRow.track_id == upload.track_id))
            if row is not None:
                for name, value in _heard(upload).items():
                    setattr(row, name, value)
                _sign(session, upload)

    def uploads_after(self, seq: int) -> tuple[list[Upload], int]:
        """Return the uploads stored after `seq`, oldest first, and the sequence number to go on from."""
        with self._session("read") as session:
            uploads = []
            for row, signature in session.execute(_SIGNED.where(UploadRow.seq > seq).order_by(UploadRow.seq)):
                uploads.append(_to_upload(row, signature))
                seq = row.seq
        return uploads, seq

    def upload_by_content(self, content_hash: str) -> Upload | None:
        """Return the upload of this content, if there is one."""
        with self._session("read") as session:
            found = session.execute(_SIGNED.where(UploadRow.content_hash == content_hash)).first()
            return None if found is None else _to_upload(*found)

    def add_served(self, slots: Sequence[ServedSlot]) -> None:
        """Store the places of a list in one statement; what is already there stays as it is."""
        if slots:
            with self._writing(ServedRow) as session:
                session.connection().execute(self._insert(ServedRow), [vars(slot) for slot in slots])

    def forget_served(self, before_ms: int) -> int:
        """Delete what was shown before a time, and return how many places that were."""
        with self._session("written") as session:
            deleted = session.execute(delete(ServedRow).where(ServedRow.served_at_ms < before_ms))
            return int(deleted.rowcount)  # type: ignore[attr-defined]

    def served_after(self, seq: int, limit: int = 100_000) -> tuple[list[ServedSlot], int]:
        """Return the places stored after `seq`, oldest first, and the sequence number to go on from."""
        columns = [ServedRow.seq, *(getattr(ServedRow, field.name) for field in fields(ServedSlot))]
        with self._session("read") as session:
            rows = session.execute(
                select(*columns).where(ServedRow.seq > seq).order_by(ServedRow.seq).limit(limit)
            ).all()
        return [ServedSlot(*row[1:]) for row in rows], rows[-1][0] if rows else seq

    def _insert(self, table: type[Base], rows: list[dict[str, Any]] | None = None) -> Any:
        """Return an INSERT that leaves out what is already there; both databases spell it alike."""
        insert = sqlite.insert if self._engine.dialect.name == "sqlite" else postgresql.insert
        return (insert(table) if rows is None else insert(table).values(rows)).on_conflict_do_nothing()

    @contextmanager
    def _session(self, verb: str) -> Iterator[Session]:
        with _reported(verb), Session(self._engine) as session, session.begin():
            if verb == "written" and self._engine.dialect.name == "sqlite":
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            yield session

    @contextmanager
    def _writing(self, table: type[Base]) -> Iterator[Session]:
        """Open a transaction that adds rows to a table, after those that did so before have ended.

        PostgreSQL gives out sequence numbers before a transaction ends: without the lock, a reader that goes on from
        the highest number would miss a lower one that comes to light later.
        """
        with self._session("written") as session:
            if self._engine.dialect.name == "postgresql":
                session.execute(select(func.pg_advisory_xact_lock(zlib.crc32(table.__tablename__.encode()))))
            yield session


@contextmanager
def _reported(verb: str, place: str = "") -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise StoreError(f"the listens' database{place} cannot be {verb}: {reason}") from error


def _with_driver(url: str) -> str:
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)


def _options(url: str) -> dict[str, Any]:
    """Return what makes a database that is away fail soon, and be found again when it is back."""
    if not _with_driver(url).startswith("postgresql"):
        return {}
    limits = {"statement_timeout": 30_000, "lock_timeout": 1000 * WAIT_S, "idle_in_transaction_session_timeout": 60_000}
    arguments = {
        "connect_timeout": WAIT_S,
        "tcp_user_timeout": 1000 * WAIT_S,
        "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
    }
    return {
        "pool_pre_ping": True,
        "pool_size": 10,
        "max_overflow": 30,
        "pool_timeout": WAIT_S,
        "connect_args": arguments,
    }


def _make_sqlite_durable(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={1000 * WAIT_S}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


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


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
