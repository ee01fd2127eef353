"""The tables as they were before there were steps; a database that has them keeps them as they are."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables that are missing."""
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("scopes", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=256)),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger()),
        sa.Column("used_at_ms", sa.BigInteger()),
        sa.Column("revoked_at_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("key_id"),
        if_not_exists=True,
    )
    op.create_table(
        "cluster_names",
        sa.Column("name", sa.String(length=320), nullable=False),
        sa.Column("bundle", sa.String(length=128), nullable=False),
        sa.Column("cluster", sa.Integer(), nullable=False),
        sa.Column("members", sa.LargeBinary(), nullable=False),
        sa.Column("given_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        if_not_exists=True,
    )
    op.create_table(
        "feedback",
        sa.Column("seq", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.String(length=256), nullable=False),
        sa.Column("track_id", sa.String(length=256), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.Column("given_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_table(
        "listens",
        sa.Column("seq", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.String(length=256), nullable=False),
        sa.Column("track_id", sa.String(length=256), nullable=False),
        sa.Column("listened_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("client_id", sa.String(length=128)),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("user_id", "client_id"),
        sa.UniqueConstraint("user_id", "track_id", "listened_at_ms"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_table(
        "meta",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        if_not_exists=True,
    )
    op.create_table(
        "served",
        sa.Column("seq", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("served_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("bucket_ms", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.String(length=256), nullable=False),
        sa.Column("track_id", sa.String(length=256), nullable=False),
        sa.Column("bundle", sa.String(length=128), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("propensity", sa.Float(), nullable=False),
        sa.Column("explored", sa.Boolean(), nullable=False),
        sa.Column("max_per_artist", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("request_id", "rank"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_index(op.f("ix_served_served_at_ms"), "served", ["served_at_ms"], unique=False, if_not_exists=True)
    op.create_index(op.f("ix_served_user_id"), "served", ["user_id"], unique=False, if_not_exists=True)
    op.create_table(
        "upload_jobs",
        sa.Column("track_id", sa.String(length=256), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("shown", sa.String(length=512), nullable=False),
        sa.Column("suffix", sa.String(length=16), nullable=False),
        sa.Column("title", sa.String(length=1024), nullable=False),
        sa.Column("artist", sa.String(length=1024), nullable=False),
        sa.Column("album", sa.String(length=1024), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=2048), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=False),
        sa.Column("lease_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("track_id"),
        if_not_exists=True,
    )
    op.create_index(op.f("ix_upload_jobs_status"), "upload_jobs", ["status"], unique=False, if_not_exists=True)
    op.create_table(
        "upload_signatures",
        sa.Column("track_id", sa.String(length=256), nullable=False),
        sa.Column("signature", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("track_id"),
        if_not_exists=True,
    )
    op.create_table(
        "uploads",
        sa.Column("seq", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("track_id", sa.String(length=256), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("file_name", sa.String(length=512), nullable=False),
        sa.Column("title", sa.String(length=1024), nullable=False),
        sa.Column("artist", sa.String(length=1024), nullable=False),
        sa.Column("album", sa.String(length=1024), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("embedding_version", sa.String(length=128), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("clip_vectors", sa.LargeBinary(), nullable=False),
        sa.Column("clip_starts_s", sa.LargeBinary(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("content_hash"),
        sa.UniqueConstraint("track_id"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.execute("INSERT INTO meta (key, value) VALUES ('format', '1') ON CONFLICT DO NOTHING")
