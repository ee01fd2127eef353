"""Listens of tracks that the catalog does not have yet: kept with what the tracks are called, until it does."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from sqlalchemy import BigInteger, Float, String, UniqueConstraint, delete, func, select
from sqlalchemy.orm import Mapped, mapped_column

from recommender.data.matching import Name
from recommender.serving.store.database import Database, now_ms
from recommender.serving.store.records import UnmatchedListen
from recommender.serving.tables import SEQUENCE, Base, ListenRow

BLOCK = 500
"""Listens in a statement."""


class UnmatchedRow(Base):
    """One listen of a track that was not found."""

    __tablename__ = "unmatched_listens"
    __table_args__ = (
        UniqueConstraint("user_id", "listened_at_ms", "name_hash"),
        {"sqlite_autoincrement": True},
    )
    seq: Mapped[int] = mapped_column(SEQUENCE, primary_key=True, autoincrement=True)
    user_id: Mapped[str] = mapped_column(String(256))
    listened_at_ms: Mapped[int] = mapped_column(BigInteger)
    weight: Mapped[float] = mapped_column(Float)
    artist: Mapped[str] = mapped_column(String(1024))
    title: Mapped[str] = mapped_column(String(1024))
    album: Mapped[str] = mapped_column(String(1024))
    recording_mbid: Mapped[str] = mapped_column(String(36))
    duration_s: Mapped[float] = mapped_column(Float)
    name_hash: Mapped[str] = mapped_column(String(32))
    """Of artist, title and MusicBrainz id: names are too long for an index."""

    received_at_ms: Mapped[int] = mapped_column(BigInteger)


_NAME = (UnmatchedRow.artist, UnmatchedRow.title, UnmatchedRow.album)
_COLUMNS = (UnmatchedRow.user_id, UnmatchedRow.listened_at_ms, UnmatchedRow.weight, *_NAME)
_READ = (*_COLUMNS, UnmatchedRow.recording_mbid, UnmatchedRow.duration_s)


def add(database: Database, listens: Sequence[UnmatchedListen]) -> int:
    """Store listens, each once, all or none of them, and return how many are new."""
    received_at_ms, new = now_ms(), 0
    rows = [
        {
            "user_id": listen.user_id,
            "listened_at_ms": listen.listened_at_ms,
            "weight": listen.weight,
            **listen.name._asdict(),
            "name_hash": _hash(listen.name),
            "received_at_ms": received_at_ms,
        }
        for listen in listens
    ]
    if rows:
        with database.adding(UnmatchedRow) as session:
            for start in range(0, len(rows), BLOCK):
                insert = database.insert(UnmatchedRow).returning(UnmatchedRow.seq)
                new += len(session.connection().execute(insert, rows[start : start + BLOCK]).all())
    return new


def after(database: Database, seq: int, limit: int) -> tuple[list[tuple[int, UnmatchedListen]], int]:
    """Return listens with their sequence numbers, oldest first; see `Store.unmatched_after`."""
    wanted = select(UnmatchedRow.seq, *_READ).where(UnmatchedRow.seq > seq).order_by(UnmatchedRow.seq).limit(limit)
    with database.session("read") as session:
        rows = session.execute(wanted).all()
    return [(row[0], _listen(row[1:])) for row in rows], rows[-1][0] if rows else seq


def of_user(database: Database, user_id: str, before_ms: int, after_ms: int, limit: int) -> list[UnmatchedListen]:
    """Return the listens of a user between two times, the latest first; see `Store.unmatched_of`."""
    at_ms = UnmatchedRow.listened_at_ms
    wanted = select(*_READ).where(UnmatchedRow.user_id == user_id, at_ms < before_ms, at_ms > after_ms)
    with database.session("read") as session:
        found = session.execute(wanted.order_by(at_ms.desc(), UnmatchedRow.seq).limit(limit)).all()
    return [_listen(row) for row in found]


def count_of(database: Database, user_id: str) -> int:
    """Return how many are stored of a user."""
    with database.session("read") as session:
        return session.scalar(select(func.count()).where(UnmatchedRow.user_id == user_id)) or 0


def settle(database: Database, found: Mapping[int, str]) -> int:
    """Move listens to those of the catalog; who was erased meanwhile stays so. See `Store.settle_unmatched`."""
    moved, seqs, received_at_ms = 0, list(found), now_ms()
    for start in range(0, len(seqs), BLOCK):
        with database.adding(ListenRow, UnmatchedRow) as session:
            gone = delete(UnmatchedRow).where(UnmatchedRow.seq.in_(seqs[start : start + BLOCK]))
            columns = (UnmatchedRow.seq, UnmatchedRow.user_id, UnmatchedRow.listened_at_ms, UnmatchedRow.weight)
            rows = [
                {
                    "user_id": user_id,
                    "track_id": found[seq],
                    "listened_at_ms": listened_at_ms,
                    "weight": weight,
                    "client_id": None,
                    "received_at_ms": received_at_ms,
                }
                for seq, user_id, listened_at_ms, weight in session.execute(gone.returning(*columns)).all()
            ]
            if rows:
                session.connection().execute(database.insert(ListenRow), rows)
            moved += len(rows)
    return moved


def _hash(name: Name) -> str:
    text = "\0".join((name.artist, name.title, name.recording_mbid))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _listen(row: Sequence[object]) -> UnmatchedListen:
    user_id, at_ms, weight, *name = row
    return UnmatchedListen(user_id, at_ms, weight, Name(*name))  # type: ignore[arg-type]
