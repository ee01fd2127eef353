"""The one door to the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property

from sqlalchemy import select
from sqlalchemy.orm import Session

from recommender.serving.served import ServedSlot
from recommender.serving.store import feedback as verdicts
from recommender.serving.store import listens as plays
from recommender.serving.store import lists, personal, playlists, unmatched, uploads
from recommender.serving.store.database import Database
from recommender.serving.store.records import (
    Erasure,
    Feedback,
    Listen,
    ListenResult,
    PersonalRecord,
    SavedPlaylist,
    UnmatchedListen,
    Upload,
)


class Store:
    """The database of one workspace; safe to use from many threads and processes.

    A write that returned is on disk. Every row has a growing sequence number, so that a reader can ask for what is new.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

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
        return cls(Database.open(url))

    def close(self) -> None:
        """Give back all connections."""
        self._database.close()

    def check(self) -> None:
        """Raise StoreError if the database does not answer."""
        with self._database.session("reached") as session:
            session.execute(select(1))

    @contextmanager
    def session(self, verb: str) -> Iterator[Session]:
        """Open a transaction for a table that another room hangs on `Base`; `verb` is what fails in a StoreError."""
        with self._database.session(verb) as session:
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
        return plays.add(self._database, listens)

    def listens_after(self, seq: int, limit: int = 100_000) -> tuple[list[Listen], int]:
        """Return the listens stored after `seq`, oldest first, and the sequence number to go on from."""
        return plays.after(self._database, seq, limit)

    def listens_of(self, user_id: str, before_ms: int, after_ms: int, limit: int) -> list[Listen]:
        """Return the listens of a user between two times, both left out, the latest first."""
        return plays.of_user(self._database, user_id, before_ms, after_ms, limit)

    def count_listens_of(self, user_id: str) -> int:
        """Return how many listens of a user are stored, those of tracks that were not found too."""
        return plays.count_of(self._database, user_id) + unmatched.count_of(self._database, user_id)

    def played_since(self, user_ids: Sequence[str], since_ms: int) -> set[str]:
        """Return the tracks that one of these users listened to at or after a time, in milliseconds since 1970."""
        return plays.played_since(self._database, user_ids, since_ms)

    def count_listens(self) -> int:
        """Return how many listens are stored."""
        return plays.count(self._database)

    def add_unmatched(self, listens: Sequence[UnmatchedListen]) -> int:
        """Keep listens of tracks that were not found, each once, and return how many are new."""
        return unmatched.add(self._database, listens)

    def unmatched_after(self, seq: int, limit: int = 10_000) -> tuple[list[tuple[int, UnmatchedListen]], int]:
        """Return such listens and their sequence numbers after `seq`, and the number to go on from."""
        return unmatched.after(self._database, seq, limit)

    def unmatched_of(self, user_id: str, before_ms: int, after_ms: int, limit: int) -> list[UnmatchedListen]:
        """Return such listens of a user between two times, both left out, the latest first."""
        return unmatched.of_user(self._database, user_id, before_ms, after_ms, limit)

    def settle_unmatched(self, found: Mapping[int, str]) -> int:
        """Make listens of those, by sequence number, whose tracks were found, and return how many were still there."""
        return unmatched.settle(self._database, found)

    def add_playlist(self, playlist: SavedPlaylist) -> None:
        """Keep a playlist."""
        playlists.add(self._database, playlist)

    def playlists_of(self, user_id: str) -> list[SavedPlaylist]:
        """Return the playlists of a user, oldest first."""
        return playlists.of_user(self._database, user_id)

    def playlist(self, user_id: str, playlist_id: str) -> SavedPlaylist:
        """Return a playlist of a user.

        Raises
        ------
        UnknownIdError
            If the user has none of this id.
        """
        return playlists.one(self._database, user_id, playlist_id)

    def change_playlist(
        self, user_id: str, playlist_id: str, change: Callable[[SavedPlaylist], SavedPlaylist]
    ) -> SavedPlaylist:
        """Change a playlist as nobody else does meanwhile, and return it; errors as `playlist`."""
        return playlists.change(self._database, user_id, playlist_id, change)

    def delete_playlist(self, user_id: str, playlist_id: str) -> None:
        """Delete a playlist; errors as `playlist`."""
        playlists.drop(self._database, user_id, playlist_id)

    def add_feedback(self, feedback: Feedback) -> None:
        """Store a verdict; the last one of a user and track counts."""
        verdicts.add(self._database, feedback)

    def feedback_after(self, seq: int) -> tuple[list[Feedback], int]:
        """Return the verdicts stored after `seq`, oldest first, and the sequence number to go on from."""
        return verdicts.after(self._database, seq)

    def add_upload(self, upload: Upload) -> bool:
        """Store an upload; False if its track or its content is already there."""
        return uploads.add(self._database, upload)

    def set_upload_vectors(self, upload: Upload) -> None:
        """Replace what was heard in an upload, after the audio model changed."""
        uploads.set_vectors(self._database, upload)

    def uploads_after(self, seq: int) -> tuple[list[Upload], int]:
        """Return the uploads stored after `seq`, oldest first, and the sequence number to go on from."""
        return uploads.after(self._database, seq)

    def upload_by_content(self, content_hash: str) -> Upload | None:
        """Return the upload of this content, if there is one."""
        return uploads.by_content(self._database, content_hash)

    def add_served(self, slots: Sequence[ServedSlot]) -> None:
        """Store the places of lists in one transaction; what is already there stays as it is."""
        if slots:
            lists.add(self._database, slots, self.hash_of)

    def forget_served(self, before_ms: int) -> int:
        """Delete what was shown before a time, and return how many places that were."""
        return lists.forget(self._database, before_ms)

    def served_after(self, seq: int, limit: int = 100_000) -> tuple[list[ServedSlot], int]:
        """Return the places stored after `seq`, oldest first, and the sequence number to go on from."""
        return lists.after(self._database, seq, limit)

    def data_of(self, user_id: str, after: str = "", limit: int = 1000) -> tuple[list[PersonalRecord], str | None]:
        """Return what is stored of a user, page by page.

        Parameters
        ----------
        user_id : str
        after : str
            What the page before said; empty for the first.
        limit : int > 0

        Returns
        -------
        records : list of PersonalRecord
        next : str or None
            What to ask for `after` this; None where this is all.

        Raises
        ------
        DataError
            If `after` is nothing that a page says.
        """
        return personal.page(self._database, user_id, after, limit)

    def erase(self, user_id: str) -> dict[str, int]:
        """Delete all that is stored of a user, and return how many rows of which table; what comes later is kept."""
        return personal.erase(self._database, user_id)

    def erasures_after(self, seq: int) -> tuple[list[Erasure], int]:
        """Return the erasures after `seq`, oldest first, and the sequence number to go on from."""
        return personal.erasures_after(self._database, seq)

    def hash_of(self, user_id: str) -> str:
        """Return what an `Erasure` of this user says; of the empty id it tells this store from others."""
        return personal.hash_of(self._erasure_key, user_id)

    @cached_property
    def _erasure_key(self) -> str:
        return personal.read_key(self._database)
