"""The tables of every release become those of this one, whoever opens the database first."""

import multiprocessing
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

import recommender.serving
from recommender.errors import VersionError
from recommender.serving.store import Listen, Store
from recommender.serving.tables import Base


def execute(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def open_and_write(url: str, user: str) -> None:
    store = Store.open(url)
    store.add_listens([Listen(user, "t", 1)])
    store.close()


def test_the_steps_lead_to_the_tables_of_the_code(store_url: str) -> None:
    for module in iter_modules(recommender.serving.__path__):
        import_module(f"recommender.serving.{module.name}")
    Store.open(store_url).close()
    engine = create_engine(store_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_a_database_of_the_first_release_is_taken_over_as_it_is(store_url: str) -> None:
    open_and_write(store_url, "u")
    execute(store_url, "DROP TABLE alembic_version", "DROP TABLE upload_signatures", "DROP INDEX ix_served_user_id")
    store = Store.open(store_url)
    assert store.listens_after(0)[0] == [Listen("u", "t", 1)]
    store.close()
    engine = create_engine(store_url)
    assert {"alembic_version", "upload_signatures"} <= set(inspect(engine).get_table_names())
    engine.dispose()


def test_a_database_of_a_newer_release_is_refused(store_url: str) -> None:
    open_and_write(store_url, "u")
    execute(store_url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(VersionError, match=r"at step 9999.*a newer release made it"):
        Store.open(store_url)


def test_a_database_of_another_format_is_refused(store_url: str) -> None:
    open_and_write(store_url, "u")
    execute(store_url, "UPDATE meta SET value = '99' WHERE key = 'format'")
    with pytest.raises(VersionError, match=r"format 99.*format 1"):
        Store.open(store_url)


def test_workers_may_open_an_empty_database_at_once(store_url: str, tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=open_and_write, args=(store_url, f"u{n}")) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    store = Store.open(store_url)
    assert store.count_listens() == 3
    store.close()
