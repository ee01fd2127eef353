"""Uploads that wait to be heard: a row each in the store, so that they survive every crash and any worker takes them.

A worker claims a job for a short time and renews the claim while it hears; where it dies, the claim runs out and
another worker takes over. What a job does is the same however often it is done, so two who do it do no harm.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import JSON, BigInteger, Integer, String, and_, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from recommender.errors import StoreError
from recommender.serving.store import Store
from recommender.serving.tables import Base

Status = Literal["queued", "analysing", "done", "failed"]
OPEN: tuple[Status, ...] = ("queued", "analysing")
LEASE_MS = 20_000
MAX_ATTEMPTS = 3
"""A file that took so many workers down with it is given up."""

KEEP_MS = 7 * 86_400_000
"""How long it is told what became of an upload."""


class UploadJobRow(Base):
    """One upload that waits, waited, or failed."""

    __tablename__ = "upload_jobs"
    track_id: Mapped[str] = mapped_column(String(256), primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(64))
    shown: Mapped[str] = mapped_column(String(512))
    suffix: Mapped[str] = mapped_column(String(16))
    title: Mapped[str] = mapped_column(String(1024))
    artist: Mapped[str] = mapped_column(String(1024))
    album: Mapped[str] = mapped_column(String(1024))
    status: Mapped[str] = mapped_column(String(16), index=True)
    reason: Mapped[str] = mapped_column(String(2048), default="")
    warnings: Mapped[list[str]] = mapped_column(JSON, default=list)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    owner: Mapped[str] = mapped_column(String(128), default="")
    lease_until_ms: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    changed_at_ms: Mapped[int] = mapped_column(BigInteger)


@dataclass(frozen=True)
class UploadJob:
    """One upload that waits, waited, or failed.

    Parameters
    ----------
    track_id : str
        The track that it becomes; the same content is the same job.
    content_hash, shown, suffix : str
        `shown` is what its sender calls the file.
    title, artist, album : str
        As its sender says; empty where nothing is said.
    status : {"queued", "analysing", "done", "failed"}
    reason : str
        Why it failed.
    warnings : tuple of str
    attempts : int
        How often a worker began.
    """

    track_id: str
    content_hash: str
    shown: str
    suffix: str
    title: str = ""
    artist: str = ""
    album: str = ""
    status: Status = "queued"
    reason: str = ""
    warnings: tuple[str, ...] = ()
    attempts: int = 0


class UploadJobs:
    """The queue of a store; safe to use from many threads and processes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, job: UploadJob, most: int) -> bool:
        """Queue a job, anew where it was done with before; False if `most` wait already. It is on disk then.

        A job that waits or is heard already is left as it is.
        """
        if self.count_open() >= most:
            return (found := self.get(job.track_id)) is not None and found.status in OPEN
        now_ms = _now_ms()
        values: dict[str, Any] = {
            "content_hash": job.content_hash,
            "shown": job.shown,
            "suffix": job.suffix,
            "title": job.title,
            "artist": job.artist,
            "album": job.album,
            "status": "queued",
            "reason": "",
            "warnings": [],
            "attempts": 0,
            "lease_until_ms": 0,
            "created_at_ms": now_ms,
            "changed_at_ms": now_ms,
        }
        anew = update(UploadJobRow).where(UploadJobRow.track_id == job.track_id, UploadJobRow.status.not_in(OPEN))
        with self._store.session("written") as session:
            if _changed(session, anew.values(values)) or session.get(UploadJobRow, job.track_id) is not None:
                return True
        try:
            with self._store.session("written") as session:
                session.add(UploadJobRow(track_id=job.track_id, **values))
        except StoreError as error:
            if not isinstance(error.__cause__, IntegrityError):
                raise  # else somebody queued the same content at this moment
        return True

    def get(self, track_id: str) -> UploadJob | None:
        """Return a job, None if there is none."""
        with self._store.session("read") as session:
            row = session.get(UploadJobRow, track_id)
            return None if row is None else _to_job(row)

    def count_open(self) -> int:
        """Return how many jobs wait or are being heard."""
        with self._store.session("read") as session:
            counted = select(func.count()).select_from(UploadJobRow).where(UploadJobRow.status.in_(OPEN))
            return session.scalar(counted) or 0

    def claim(self, owner: str) -> UploadJob | None:
        """Take the oldest job that nobody has, for `LEASE_MS`; None if there is none."""
        now_ms = _now_ms()
        free = or_(
            UploadJobRow.status == "queued",
            and_(UploadJobRow.status == "analysing", UploadJobRow.lease_until_ms < now_ms),
        )
        oldest = select(UploadJobRow.track_id).where(free).order_by(UploadJobRow.created_at_ms, UploadJobRow.track_id)
        while True:
            with self._store.session("read") as session:
                track_id = session.scalar(oldest.limit(1))
            if track_id is None:
                return None
            taken = {
                "status": "analysing",
                "owner": owner,
                "lease_until_ms": now_ms + LEASE_MS,
                "attempts": UploadJobRow.attempts + 1,
                "changed_at_ms": now_ms,
            }
            with self._store.session("written") as session:
                if _changed(session, update(UploadJobRow).where(UploadJobRow.track_id == track_id, free).values(taken)):
                    row = session.get(UploadJobRow, track_id)
                    return None if row is None else _to_job(row)

    def renew(self, track_id: str, owner: str) -> None:
        """Keep a claim for another `LEASE_MS`."""
        self._change(track_id, owner, lease_until_ms=_now_ms() + LEASE_MS)

    def release(self, track_id: str, owner: str) -> None:
        """Give a job back as if it had not been begun."""
        self._change(track_id, owner, status="queued", attempts=UploadJobRow.attempts - 1)

    def finish(self, track_id: str, owner: str, warnings: tuple[str, ...]) -> None:
        """Say that a job's track is in the store."""
        self._change(track_id, owner, status="done", warnings=list(warnings))

    def fail(self, track_id: str, owner: str, reason: str) -> None:
        """Say why a job cannot be done."""
        self._change(track_id, owner, status="failed", reason=reason[:2000])

    def forget(self) -> None:
        """Delete what is known of jobs that were done with long ago."""
        old = and_(UploadJobRow.status.not_in(OPEN), UploadJobRow.changed_at_ms < _now_ms() - KEEP_MS)
        with self._store.session("written") as session:
            session.execute(delete(UploadJobRow).where(old))

    def _change(self, track_id: str, owner: str, **values: Any) -> None:
        mine = update(UploadJobRow).where(
            UploadJobRow.track_id == track_id, UploadJobRow.owner == owner, UploadJobRow.status == "analysing"
        )
        with self._store.session("written") as session:
            session.execute(mine.values(**values, changed_at_ms=_now_ms()))


def _changed(session: Session, statement: Any) -> bool:
    done: Any = session.execute(statement)
    return bool(done.rowcount)


def _to_job(row: UploadJobRow) -> UploadJob:
    status: Any = row.status
    return UploadJob(
        row.track_id,
        row.content_hash,
        row.shown,
        row.suffix,
        row.title,
        row.artist,
        row.album,
        status,
        row.reason,
        tuple(row.warnings),
        row.attempts,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
