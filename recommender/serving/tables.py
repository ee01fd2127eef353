"""The tables of the store, in SQLAlchemy's words."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Float, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SEQUENCE = BigInteger().with_variant(Integer, "sqlite")
"""A growing number of a row: SQLite grows plain integers only."""


class Base(DeclarativeBase):
    """What all tables have in common; other rooms hang their tables on it.

    A table with a column ``user_id`` is personal: those rows are exported and erased with the user. A column with
    ``info={"secret": True}`` is not exported.
    """


class MetaRow(Base):
    """Facts about the database: its format."""

    __tablename__ = "meta"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String(256))


class ListenRow(Base):
    """One listen."""

    __tablename__ = "listens"
    __table_args__ = (
        UniqueConstraint("user_id", "track_id", "listened_at_ms"),
        UniqueConstraint("user_id", "client_id"),
        {"sqlite_autoincrement": True},
    )
    seq: Mapped[int] = mapped_column(SEQUENCE, primary_key=True, autoincrement=True)
    user_id: Mapped[str] = mapped_column(String(256))
    track_id: Mapped[str] = mapped_column(String(256))
    listened_at_ms: Mapped[int] = mapped_column(BigInteger)
    weight: Mapped[float] = mapped_column(Float)
    client_id: Mapped[str | None] = mapped_column(String(128))
    received_at_ms: Mapped[int] = mapped_column(BigInteger)


class FeedbackRow(Base):
    """One verdict."""

    __tablename__ = "feedback"
    __table_args__ = ({"sqlite_autoincrement": True},)
    seq: Mapped[int] = mapped_column(SEQUENCE, primary_key=True, autoincrement=True)
    user_id: Mapped[str] = mapped_column(String(256), index=True)
    track_id: Mapped[str] = mapped_column(String(256))
    value: Mapped[int] = mapped_column(Integer)
    given_at_ms: Mapped[int] = mapped_column(BigInteger)


class UploadRow(Base):
    """One uploaded file."""

    __tablename__ = "uploads"
    __table_args__ = ({"sqlite_autoincrement": True},)
    seq: Mapped[int] = mapped_column(SEQUENCE, primary_key=True, autoincrement=True)
    track_id: Mapped[str] = mapped_column(String(256), unique=True)
    content_hash: Mapped[str] = mapped_column(String(64), unique=True)
    file_name: Mapped[str] = mapped_column(String(512))
    title: Mapped[str] = mapped_column(String(1024))
    artist: Mapped[str] = mapped_column(String(1024))
    album: Mapped[str] = mapped_column(String(1024))
    duration_s: Mapped[float] = mapped_column(Float)
    embedding_version: Mapped[str] = mapped_column(String(128))
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    clip_vectors: Mapped[bytes] = mapped_column(LargeBinary)
    clip_starts_s: Mapped[bytes] = mapped_column(LargeBinary)
    created_at_ms: Mapped[int] = mapped_column(BigInteger)


class SignatureRow(Base):
    """Beside the uploads, so that a database from before there were signatures can be used as it is."""

    __tablename__ = "upload_signatures"
    track_id: Mapped[str] = mapped_column(String(256), primary_key=True)
    signature: Mapped[dict[str, Any]] = mapped_column(JSON)


class ServedRow(Base):
    """One place of a list that was shown."""

    __tablename__ = "served"
    __table_args__ = (UniqueConstraint("request_id", "rank"), {"sqlite_autoincrement": True})
    seq: Mapped[int] = mapped_column(SEQUENCE, primary_key=True, autoincrement=True)
    request_id: Mapped[str] = mapped_column(String(64))
    served_at_ms: Mapped[int] = mapped_column(BigInteger, index=True)
    bucket_ms: Mapped[int] = mapped_column(BigInteger)
    user_id: Mapped[str] = mapped_column(String(256), index=True)
    track_id: Mapped[str] = mapped_column(String(256))
    bundle: Mapped[str] = mapped_column(String(128))
    rank: Mapped[int] = mapped_column(Integer)
    score: Mapped[float] = mapped_column(Float)
    propensity: Mapped[float] = mapped_column(Float)
    explored: Mapped[bool] = mapped_column(Boolean)
    max_per_artist: Mapped[int] = mapped_column(Integer)


class ErasureRow(Base):
    """That a user was erased: not who, only a hash that needs the store's key to be made again."""

    __tablename__ = "erasures"
    __table_args__ = ({"sqlite_autoincrement": True},)
    seq: Mapped[int] = mapped_column(SEQUENCE, primary_key=True, autoincrement=True)
    user_hash: Mapped[str] = mapped_column(String(32))
    erased_at_ms: Mapped[int] = mapped_column(BigInteger)
