"""The connection to SQLite or PostgreSQL: durable, never waited for long, found again when it was away."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DisconnectionError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from recommender.errors import FirstListenError, StoreError
from recommender.serving.migrations import bring_up_to_date
from recommender.serving.store.outage import Outage
from recommender.serving.tables import Base

WAIT_S = 4
"""How long a statement waits for a database that is locked."""

CONNECT_S = 2
POOL = {"pool_size": 10, "max_overflow": 30, "pool_timeout": WAIT_S}


class Database:
    """An engine and what every transaction needs; safe to use from many threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._outage = engine, Outage()

    @classmethod
    def open(cls, url: str) -> Database:
        """Connect and bring the tables up to date; see `Store.open`."""
        url = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)
        with _reported("opened"):
            engine = create_engine(url, **_options(url))
        try:
            with _reported("opened", f" {engine.url.render_as_string()}"):
                if engine.dialect.name == "sqlite":
                    event.listen(engine, "connect", _make_durable)
                    bring_up_to_date(engine)
                    if engine.url.database:
                        _follow_file(engine, engine.url.database)
                else:
                    from recommender.serving.store.impatient import connect_impatiently

                    bring_up_to_date(engine)
                    engine.dispose()
                    event.listen(engine, "do_connect", connect_impatiently)
        except FirstListenError:
            engine.dispose()
            raise
        return cls(engine)

    def close(self) -> None:
        """Give back all connections."""
        self._engine.dispose()

    def insert(self, table: type[Base]) -> Any:
        """Return an INSERT that leaves out what is already there; both databases spell it alike."""
        insert = sqlite.insert if self._engine.dialect.name == "sqlite" else postgresql.insert
        return insert(table).on_conflict_do_nothing()

    @contextmanager
    def session(self, verb: str) -> Iterator[Session]:
        """Open a transaction; `verb` is what fails in a StoreError."""
        with (
            _reported(verb),
            self._outage.noticed(f"the listens' database cannot be {verb}", is_away),
            Session(self._engine) as session,
            session.begin(),
        ):
            if verb == "written" and self._engine.dialect.name == "sqlite":
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            yield session

    @contextmanager
    def adding(self, *tables: type[Base]) -> Iterator[Session]:
        """Open a transaction that adds rows to tables, after those that did so before have ended.

        PostgreSQL gives out sequence numbers before a transaction ends: without the lock, a reader that goes on from
        the highest number would miss a lower one that comes to light later.
        """
        with self.session("written") as session:
            if self._engine.dialect.name == "postgresql":
                for name in sorted(table.__tablename__ for table in tables):
                    session.execute(select(func.pg_advisory_xact_lock(zlib.crc32(name.encode()))))
            yield session


def now_ms() -> int:
    """Return the time, UTC, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def is_away(error: BaseException) -> bool:
    """Tell whether an error says that the server of the database does not answer."""
    if isinstance(error, OperationalError):
        sqlstate = getattr(error.orig, "sqlstate", "")
        return sqlstate is None or str(sqlstate).startswith("57P")
    return isinstance(error, PoolTimeoutError)


@contextmanager
def _reported(verb: str, place: str = "") -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise StoreError(f"the listens' database{place} cannot be {verb}: {reason}") from error


def _options(url: str) -> dict[str, Any]:
    """Return what makes a database that is away fail soon, and be found again when it is back."""
    if not url.startswith("postgresql"):
        return dict(POOL) if "/:memory:" not in url and not url.endswith("://") else {}
    limits = {"statement_timeout": 30_000, "lock_timeout": 1000 * WAIT_S, "idle_in_transaction_session_timeout": 60_000}
    arguments = {
        "connect_timeout": CONNECT_S,
        "tcp_user_timeout": 1000 * WAIT_S,
        "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
    }
    return {"pool_pre_ping": True, **POOL, "connect_args": arguments}


def _make_durable(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={1000 * WAIT_S}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _follow_file(engine: Engine, path: str) -> None:
    """Never write to a file that was moved away or replaced, and never make an empty one in its place."""
    place = Path(path)

    def identity() -> tuple[int, int] | None:
        try:
            found = place.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def connect(_dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> None:
        arguments[0] = f"file:{quote(path)}?mode=rw"
        options["uri"] = True

    def remember(_connection: Any, record: Any) -> None:
        record.info["file"] = identity()

    def check(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info["file"] != identity():
            raise DisconnectionError

    engine.dispose()
    event.listen(engine, "do_connect", connect)
    event.listen(engine, "connect", remember)
    event.listen(engine, "checkout", check)
