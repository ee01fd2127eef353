"""The database goes away and comes back: writes say so soon, reads go on, and nothing has to be started again."""

import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import event

from recommender.errors import StoreError
from recommender.serving.store import Listen, Store
from recommender.serving.store.outage import Outage

PATH = "/v1/users/u01/recommendations?top=5"
SOON_S = 6.0
Listening = Callable[[], httpx.Response]


def listening(client: httpx.Client) -> Listening:
    """Return what sends a new listen each time."""
    tracks = iter([f"{kind}{n}" for kind in ("low", "high") for n in range(8)] * 4)
    return lambda: client.post("/v1/listens", json={"listens": [{"user_id": "u01", "track_id": next(tracks)}]})


def check_away(client: httpx.Client, listen: Listening) -> None:
    """Eight senders are told at once or soon, readers get lists meanwhile."""
    answers: list[tuple[int, str | None, float]] = []

    def send() -> None:
        began = time.monotonic()
        answer = listen()
        answers.append((answer.status_code, answer.headers.get("retry-after"), time.monotonic() - began))

    senders = [threading.Thread(target=send) for _ in range(8)]
    for sender in senders:
        sender.start()
    began = time.monotonic()
    assert client.get(PATH).status_code == 200
    assert time.monotonic() - began < SOON_S
    for sender in senders:
        sender.join()
    assert {(status, after) for status, after, _ in answers} == {(503, "5")}
    assert max(took for _, _, took in answers) < SOON_S
    assert client.get(PATH).status_code == 200
    assert client.get("/readyz").status_code == 503


def check_back(client: httpx.Client, listen: Listening) -> None:
    """Within seconds, a listen is stored and counts."""
    until = time.monotonic() + 15
    while (answer := listen()).status_code == 503:
        assert time.monotonic() < until, answer.text
        time.sleep(0.2)
    assert answer.json()["stored"] == 1, answer.text
    assert client.get("/readyz").status_code == 200


def test_a_file_that_was_moved_takes_no_more_listens(serve: Any, tmp_path: Path) -> None:
    client = serve()
    listen = listening(client)
    check_back(client, listen)
    away = tmp_path / "away"
    away.mkdir()
    for file in tmp_path.glob("store.sqlite*"):
        shutil.move(file, away)
    check_away(client, listen)
    assert not (tmp_path / "store.sqlite").exists(), "an empty database would hide that the listens are gone"
    for file in away.iterdir():
        shutil.move(file, tmp_path)
    check_back(client, listen)
    with closing(Store.open(f"sqlite:///{tmp_path / 'store.sqlite'}")) as store:
        assert store.count_listens() == 2


def test_what_is_written_goes_to_the_file_that_is_there(tmp_path: Path) -> None:
    with closing(Store.open(f"sqlite:///{tmp_path / 'a.sqlite'}")) as store:
        store.add_listens([Listen("u", "t", 1)])
        Store.open(f"sqlite:///{tmp_path / 'b.sqlite'}").close()
        for file in tmp_path.glob("a.sqlite*"):  # with its log, which belongs to it
            file.rename(tmp_path / file.name.replace("a.", "old."))
        (tmp_path / "b.sqlite").rename(tmp_path / "a.sqlite")
        assert store.add_listens([Listen("u", "t", 1)]) == ["stored"]
        with closing(Store.open(f"sqlite:///{tmp_path / 'a.sqlite'}")) as there:
            assert there.count_listens() == 1


def test_a_locked_database_is_not_waited_for_long(serve: Any, tmp_path: Path) -> None:
    client = serve()
    listen = listening(client)
    with closing(sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        answer = listen()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "locked" in answer.json()["detail"]
        assert time.monotonic() - began < SOON_S
        assert client.get(PATH).status_code == 200
        other.execute("ROLLBACK")
    check_back(client, listen)


def test_a_full_disk_leaves_nothing_half_stored(tmp_path: Path) -> None:
    with closing(Store.open(f"sqlite:///{tmp_path / 'store.sqlite'}")) as store:
        store.add_listens([Listen("u", "t", n) for n in range(10)])
        room = [4]

        @event.listens_for(store._database._engine, "checkout")
        def limit(connection: sqlite3.Connection, _record: object, _proxy: object) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages + room[0]}")

        more = [Listen("u" * 200, f"t{n}", n) for n in range(500)]
        with pytest.raises(StoreError, match="cannot be written: database or disk is full"):
            store.add_listens(more)
        assert store.count_listens() == 10
        room[0] = 10_000
        assert set(store.add_listens(more)) == {"stored"}


def test_of_many_who_ask_one_finds_out_whether_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    outage, clock = Outage(), [100.0]
    monkeypatch.setattr("recommender.serving.store.outage.time.monotonic", lambda: clock[0])

    def ask(fails: bool = False) -> None:
        with outage.noticed("it cannot be read", lambda error: isinstance(error, OSError)):
            if fails:
                raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        ask(fails=True)
    with pytest.raises(StoreError, match="it cannot be read: gone"):
        ask()
    clock[0] += 2
    with outage.noticed("", lambda _error: True), pytest.raises(StoreError):
        ask()
    ask()
    with pytest.raises(ValueError), outage.noticed("", lambda error: isinstance(error, OSError)):
        raise ValueError
    ask()


@contextmanager
def halted(folder: Path) -> Iterator[None]:
    """Stop every process of a server where it is: it is there, takes connections, and says nothing."""
    postmaster = psutil.Process(int((folder / "data" / "postmaster.pid").read_text().split()[0]))
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process.pid, signal.SIGCONT)


@pytest.mark.postgres
def test_postgresql_stops_hangs_and_comes_back(serve: Any, own_postgres: Any) -> None:
    url, control = own_postgres
    client = serve(store_url=url)
    listen = listening(client)
    check_back(client, listen)
    control("stop")
    check_away(client, listen)
    control("start")
    check_back(client, listen)
    with halted(Path(url.partition("host=")[2])):
        check_away(client, listen)
    check_back(client, listen)
