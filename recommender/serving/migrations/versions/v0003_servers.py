"""Listens of tracks that are not in the catalog yet, and playlists that players keep here."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "unmatched_listens",
        sa.Column("seq", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.String(length=256), nullable=False),
        sa.Column("listened_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("artist", sa.String(length=1024), nullable=False),
        sa.Column("title", sa.String(length=1024), nullable=False),
        sa.Column("album", sa.String(length=1024), nullable=False),
        sa.Column("recording_mbid", sa.String(length=36), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("name_hash", sa.String(length=32), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("user_id", "listened_at_ms", "name_hash"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "saved_playlists",
        sa.Column("playlist_id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=256), nullable=False),
        sa.Column("name", sa.String(length=1024), nullable=False),
        sa.Column("comment", sa.String(length=4096), nullable=False),
        sa.Column("track_ids", sa.JSON(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("playlist_id"),
    )
    op.create_index(op.f("ix_saved_playlists_user_id"), "saved_playlists", ["user_id"], unique=False)
