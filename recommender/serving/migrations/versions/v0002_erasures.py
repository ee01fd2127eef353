"""Users can be erased: what is left is a keyed hash, so that no training brings them back."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table and its key, and find a user's verdicts by an index."""
    op.create_table(
        "erasures",
        sa.Column("seq", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("user_hash", sa.String(length=32), nullable=False),
        sa.Column("erased_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_feedback_user_id"), "feedback", ["user_id"], unique=False)
    meta = sa.table("meta", sa.column("key"), sa.column("value"))
    op.bulk_insert(meta, [{"key": "erasure_key", "value": secrets.token_hex(32)}])
