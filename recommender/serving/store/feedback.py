"""Verdicts, in the order in which they were given."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import select

from recommender.serving.store.database import Database
from recommender.serving.store.records import Feedback
from recommender.serving.tables import FeedbackRow

_COLUMNS = (FeedbackRow.user_id, FeedbackRow.track_id, FeedbackRow.value, FeedbackRow.given_at_ms)


def add(database: Database, feedback: Feedback) -> None:
    """Store a verdict."""
    with database.adding(FeedbackRow) as session:
        session.add(FeedbackRow(**asdict(feedback)))


def after(database: Database, seq: int) -> tuple[list[Feedback], int]:
    """Return the verdicts stored after `seq`, oldest first, and the sequence number to go on from."""
    with database.session("read") as session:
        rows = session.execute(
            select(FeedbackRow.seq, *_COLUMNS).where(FeedbackRow.seq > seq).order_by(FeedbackRow.seq)
        ).all()
    return [Feedback(*row[1:]) for row in rows], rows[-1][0] if rows else seq
