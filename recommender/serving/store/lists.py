"""What was shown, a row a place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select

from recommender.serving.served import ServedSlot
from recommender.serving.store.database import Database
from recommender.serving.tables import ErasureRow, ServedRow


def add(database: Database, slots: Sequence[ServedSlot], hash_of: Callable[[str], str]) -> None:
    """Store places, in one statement; what is there stays as it is, and who was erased since leaves no trace."""
    since = select(ErasureRow.user_hash).where(ErasureRow.erased_at_ms >= min(slot.served_at_ms for slot in slots))
    with database.adding(ServedRow) as session:
        erased = set(session.scalars(since))
        kept = [vars(slot) for slot in slots if not erased or hash_of(slot.user_id) not in erased]
        if kept:
            session.connection().execute(database.insert(ServedRow), kept)


def forget(database: Database, before_ms: int) -> int:
    """Delete what was shown before a time, and return how many places that were."""
    with database.session("written") as session:
        deleted = session.execute(delete(ServedRow).where(ServedRow.served_at_ms < before_ms))
        return cast(CursorResult[Any], deleted).rowcount


def after(database: Database, seq: int, limit: int) -> tuple[list[ServedSlot], int]:
    """Return the places stored after `seq`, oldest first, and the sequence number to go on from."""
    columns = [ServedRow.seq, *(getattr(ServedRow, field.name) for field in fields(ServedSlot))]
    with database.session("read") as session:
        rows = session.execute(select(*columns).where(ServedRow.seq > seq).order_by(ServedRow.seq).limit(limit)).all()
    return [ServedSlot(*row[1:]) for row in rows], rows[-1][0] if rows else seq
