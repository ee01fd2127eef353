"""Playlists that users keep here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from sqlalchemy import JSON, BigInteger, CursorResult, String, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from recommender.errors import UnknownIdError
from recommender.serving.store.database import Database
from recommender.serving.store.records import SavedPlaylist
from recommender.serving.tables import Base


class SavedPlaylistRow(Base):
    """One playlist."""

    __tablename__ = "saved_playlists"
    playlist_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(256), index=True)
    name: Mapped[str] = mapped_column(String(1024))
    comment: Mapped[str] = mapped_column(String(4096))
    track_ids: Mapped[list[Any]] = mapped_column(JSON)
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    changed_at_ms: Mapped[int] = mapped_column(BigInteger)


def add(database: Database, playlist: SavedPlaylist) -> None:
    """Store a playlist."""
    with database.session("written") as session:
        session.add(SavedPlaylistRow(**{**vars(playlist), "track_ids": list(playlist.track_ids)}))


def of_user(database: Database, user_id: str) -> list[SavedPlaylist]:
    """Return the playlists of a user, oldest first."""
    wanted = select(SavedPlaylistRow).where(SavedPlaylistRow.user_id == user_id)
    with database.session("read") as session:
        order = (SavedPlaylistRow.created_at_ms, SavedPlaylistRow.playlist_id)
        return [_playlist(row) for row in session.scalars(wanted.order_by(*order))]


def one(database: Database, user_id: str, playlist_id: str) -> SavedPlaylist:
    """Return a playlist; see `Store.playlist`."""
    with database.session("read") as session:
        return _playlist(_row(session, user_id, playlist_id))


def change(
    database: Database, user_id: str, playlist_id: str, changed: Callable[[SavedPlaylist], SavedPlaylist]
) -> SavedPlaylist:
    """Change a playlist; see `Store.change_playlist`."""
    with database.session("written") as session:
        row = _row(session, user_id, playlist_id, lock=True)
        playlist = changed(_playlist(row))
        row.name, row.comment, row.track_ids = playlist.name, playlist.comment, list(playlist.track_ids)
        row.changed_at_ms = playlist.changed_at_ms
        return playlist


def drop(database: Database, user_id: str, playlist_id: str) -> None:
    """Delete a playlist; see `Store.delete_playlist`."""
    mine = (SavedPlaylistRow.user_id == user_id, SavedPlaylistRow.playlist_id == playlist_id)
    with database.session("written") as session:
        if not cast(CursorResult[Any], session.execute(delete(SavedPlaylistRow).where(*mine))).rowcount:
            raise _unknown(user_id, playlist_id)


def _row(session: Session, user_id: str, playlist_id: str, *, lock: bool = False) -> SavedPlaylistRow:
    row = session.get(SavedPlaylistRow, playlist_id, with_for_update=lock or None)
    if row is None or row.user_id != user_id:
        raise _unknown(user_id, playlist_id)
    return row


def _playlist(row: SavedPlaylistRow) -> SavedPlaylist:
    tracks = tuple(str(track) for track in row.track_ids)
    return SavedPlaylist(
        row.playlist_id, row.user_id, row.name, row.comment, tracks, row.created_at_ms, row.changed_at_ms
    )


def _unknown(user_id: str, playlist_id: str) -> UnknownIdError:
    return UnknownIdError(f"user {user_id!r} has no playlist {playlist_id[:100]!r}")
