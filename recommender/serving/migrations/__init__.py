"""How the store's tables came to be what they are, one step a change; `bring_up_to_date` takes the missing ones."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from recommender.errors import VersionError

FORMAT = "1"
"""Of databases from before there were migrations."""

LOCK = 0x46697273
"""Number of the lock that a worker holds on PostgreSQL while it changes tables."""


def bring_up_to_date(engine: Engine) -> None:
    """Take the steps that the database lacks, all or none; of several processes that come at once, one does.

    Raises
    ------
    VersionError
        If a newer release made the database, or a format that was never released.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    head = script.get_current_head()
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        _check_format(connection)
        found = MigrationContext.configure(connection).get_current_revision()
        if found == head:
            return
        if found is not None and found not in {step.revision for step in script.walk_revisions()}:
            raise VersionError(
                f"the listens' database is at step {found}, this release knows none after {head}; "
                "a newer release made it, use that one"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _check_format(connection: Connection) -> None:
    if inspect(connection).has_table("meta"):
        found = connection.scalar(text("SELECT value FROM meta WHERE key = 'format'"))
        if found not in (None, FORMAT):
            raise VersionError(f"the listens' database has format {found}, this program reads format {FORMAT}")
