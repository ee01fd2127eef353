"""Listens: a batch is one statement, and a second one where some of it was there already."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from recommender.serving.store.database import Database, now_ms
from recommender.serving.store.records import Listen, ListenResult
from recommender.serving.tables import ListenRow

_COLUMNS = (ListenRow.user_id, ListenRow.track_id, ListenRow.listened_at_ms, ListenRow.weight, ListenRow.client_id)
_KEY = (ListenRow.user_id, ListenRow.track_id, ListenRow.listened_at_ms, ListenRow.client_id)
BLOCK = 1000
"""Listens in a statement: SQLite takes at most 32,766 values in one."""


def add(database: Database, listens: Sequence[Listen]) -> list[ListenResult]:
    """Store listens, each once, all or none of them; see `Store.add_listens`."""
    results: list[ListenResult] = []
    if listens:
        with database.adding(ListenRow) as session:
            for start in range(0, len(listens), BLOCK):
                results += _add(database, session, listens[start : start + BLOCK])
    return results


def after(database: Database, seq: int, limit: int) -> tuple[list[Listen], int]:
    """Return the listens stored after `seq`, oldest first, and the sequence number to go on from."""
    wanted = select(ListenRow.seq, *_COLUMNS).where(ListenRow.seq > seq).order_by(ListenRow.seq).limit(limit)
    with database.session("read") as session:
        rows = session.execute(wanted).all()
    return [Listen(*row[1:]) for row in rows], rows[-1][0] if rows else seq


def of_user(database: Database, user_id: str, before_ms: int, after_ms: int, limit: int) -> list[Listen]:
    """Return the listens of a user between two times, the latest first; see `Store.listens_of`."""
    at_ms = ListenRow.listened_at_ms
    wanted = select(*_COLUMNS).where(ListenRow.user_id == user_id, at_ms < before_ms, at_ms > after_ms)
    with database.session("read") as session:
        return [Listen(*row) for row in session.execute(wanted.order_by(at_ms.desc(), ListenRow.seq).limit(limit))]


def count_of(database: Database, user_id: str) -> int:
    """Return how many listens of a user are stored."""
    with database.session("read") as session:
        return session.scalar(select(func.count()).where(ListenRow.user_id == user_id)) or 0


def played_since(database: Database, user_ids: Sequence[str], since_ms: int) -> set[str]:
    """Return the tracks that one of these users listened to since then; see `Store.played_since`."""
    theirs = ListenRow.user_id.in_(user_ids)
    with database.session("read") as session:
        return set(session.scalars(select(ListenRow.track_id).where(theirs, ListenRow.listened_at_ms >= since_ms)))


def count(database: Database) -> int:
    """Return how many listens are stored."""
    with database.session("read") as session:
        return session.scalar(select(func.count()).select_from(ListenRow)) or 0


def _add(database: Database, session: Session, listens: Sequence[Listen]) -> list[ListenResult]:
    received_at_ms = now_ms()
    rows = [vars(listen) | {"received_at_ms": received_at_ms} for listen in listens]
    new = {tuple(row) for row in session.connection().execute(database.insert(ListenRow).returning(*_KEY), rows)}
    results: list[ListenResult] = []
    owners: dict[tuple[str, str | None], str] = {}
    unsettled: list[int] = []
    for at, listen in enumerate(listens):
        key, client = (listen.user_id, listen.track_id, listen.listened_at_ms, listen.client_id), _client(listen)
        if key in new:
            new.discard(key)
            results.append("stored")
            owners[client] = listen.track_id
        elif listen.client_id is not None and client in owners:
            results.append("duplicate" if owners[client] == listen.track_id else "conflict")
        else:
            results.append("duplicate")
            unsettled.append(at)
    others = {_client(listens[at]) for at in unsettled if listens[at].client_id is not None} - set(owners)
    before = _tracks_of(session, others)
    for at in unsettled:
        if before.get(_client(listens[at]), listens[at].track_id) != listens[at].track_id:
            results[at] = "conflict"
    return results


def _client(listen: Listen) -> tuple[str, str | None]:
    return listen.user_id, listen.client_id


def _tracks_of(session: Session, ids: set[tuple[str, str | None]]) -> dict[tuple[str, str | None], str]:
    """Return the tracks of the listens that have these ids of their users' clients."""
    if not ids:
        return {}
    pair = tuple_(ListenRow.user_id, ListenRow.client_id)
    found = session.execute(select(ListenRow.user_id, ListenRow.client_id, ListenRow.track_id).where(pair.in_(ids)))
    return {(user_id, client_id): track_id for user_id, client_id, track_id in found}
