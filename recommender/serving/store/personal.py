"""All that is stored of a user: told page by page, or erased."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import CursorResult, Table, column, delete, inspect, select, table

from recommender.errors import DataError
from recommender.serving.store.database import Database, now_ms
from recommender.serving.store.records import Erasure, PersonalRecord
from recommender.serving.tables import Base, ErasureRow, FeedbackRow, ListenRow, MetaRow, ServedRow

HASH_BYTES = 16


def page(database: Database, user_id: str, after: str, limit: int) -> tuple[list[PersonalRecord], str | None]:
    """Return the next rows of a user, by table and key, and where to go on; see `Store.data_of`."""
    tables = {each.name: each for each in Base.metadata.sorted_tables if "user_id" in each.columns}
    name, _, last = after.partition(":")
    if after and name not in tables:
        raise DataError(f"after is {after[:100]!r}; expected what the page before calls next, or nothing")
    found: list[PersonalRecord] = []
    with database.session("read") as session:
        for kind in sorted(each for each in tables if each >= name):
            if len(found) == limit:
                return found, f"{kind}:"
            key, shown = _columns(tables[kind])
            wanted = select(key, *shown).where(tables[kind].c.user_id == user_id).order_by(key)
            if kind == name and last:
                wanted = wanted.where(key > _parsed(key.type.python_type, last, after))
            rows = session.execute(wanted.limit(limit - len(found) + 1)).all()
            taken = rows[: limit - len(found)]
            found += [PersonalRecord(kind, dict(zip((c.name for c in shown), row[1:], strict=True))) for row in taken]
            if len(rows) > len(taken):
                return found, f"{kind}:{taken[-1][0] if taken else last}"
    return found, None


def erase(database: Database, user_id: str) -> dict[str, int]:
    """Delete every row of a user, and return how many of which table; see `Store.erase`."""
    with database.adding(ErasureRow, FeedbackRow, ListenRow, ServedRow) as session:
        connection = session.connection()
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
        found = inspect(connection)
        counts = {}
        for name in sorted(found.get_table_names()):
            if "user_id" in {each["name"] for each in found.get_columns(name)}:
                personal = table(name, column("user_id"))
                deleted = session.execute(delete(personal).where(personal.c.user_id == user_id))
                counts[name] = cast(CursorResult[Any], deleted).rowcount
        key = session.scalar(select(MetaRow.value).where(MetaRow.key == "erasure_key"))
        assert key is not None
        session.add(ErasureRow(user_hash=hash_of(key, user_id), erased_at_ms=now_ms()))
    return counts


def erasures_after(database: Database, seq: int) -> tuple[list[Erasure], int]:
    """Return the erasures after `seq`, oldest first, and the sequence number to go on from."""
    wanted = select(ErasureRow.seq, ErasureRow.user_hash, ErasureRow.erased_at_ms).where(ErasureRow.seq > seq)
    with database.session("read") as session:
        found = [Erasure(*row) for row in session.execute(wanted.order_by(ErasureRow.seq))]
    return found, found[-1].seq if found else seq


def read_key(database: Database) -> str:
    """Return the key of the hashes."""
    with database.session("read") as session:
        key = session.scalar(select(MetaRow.value).where(MetaRow.key == "erasure_key"))
    assert key is not None
    return key


def hash_of(key: str, user_id: str) -> str:
    """Return what is kept of the id of an erased user."""
    return hashlib.blake2b(user_id.encode(), key=bytes.fromhex(key), digest_size=HASH_BYTES).hexdigest()


def _columns(each: Table) -> tuple[Any, Sequence[Any]]:
    (key,) = each.primary_key.columns
    hidden = {"user_id", "seq"}
    return key, [one for one in each.columns if one.name not in hidden and not one.info.get("secret")]


def _parsed(kind: type, text: str, after: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise DataError(f"after is {after[:100]!r}; expected what the page before calls next, or nothing") from None
