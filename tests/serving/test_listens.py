"""A listen is stored once, is on disk when it is answered, and changes what comes next."""

import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

NEW_USER = "nouvelle auditrice/2"


def listen(client: httpx.Client, *listens: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/v1/listens", json={"listens": list(listens)})
    assert answer.status_code == 200, answer.text
    return answer.json()


def recommended(client: httpx.Client, user: str, top: int = 5) -> list[str]:
    answer = client.get(f"/v1/users/{user}/recommendations", params={"top": top})
    assert answer.status_code == 200, answer.text
    return [item["track"]["id"] for item in answer.json()["items"]]


def test_a_new_user_is_known_from_the_first_listen(serve: Any) -> None:
    client = serve()
    assert client.get(f"/v1/users/{NEW_USER}/recommendations").status_code == 404
    report = listen(client, {"user_id": NEW_USER, "track_id": "high0"}, {"user_id": NEW_USER, "track_id": "high1"})
    assert (report["stored"], report["duplicates"], report["rejected"]) == (2, 0, 0)
    assert {track[:4] for track in recommended(client, NEW_USER, 3)} == {"high"}
    assert not {"high0", "high1"} & set(recommended(client, NEW_USER, 20))
    assert client.get("/v1/users", params={"query": NEW_USER}).json()["items"] == [{"id": NEW_USER, "tracks_played": 2}]


def test_a_listen_changes_the_next_list_and_a_skip_is_no_evidence(serve: Any) -> None:
    client = serve()
    before = recommended(client, "u01", 20)
    listen(
        client, {"user_id": "u01", "track_id": before[0]}, {"user_id": "u01", "track_id": before[1], "skipped": True}
    )
    after = recommended(client, "u01", 20)
    assert not set(before[:2]) & set(after)
    assert len(after) == len(before) - 2
    user = client.get("/v1/users?query=u01").json()["items"][0]
    assert user["tracks_played"] == 5, "the skipped track does not count as played"


def test_a_new_track_warms_up_as_plays_arrive(serve: Any) -> None:
    client = serve()
    weights, listeners = [], []
    for n in range(1, 12, 2):
        answer = client.get("/v1/users/u13/explanations/low7").json()
        weights.append(answer["play_weight"])
        listeners.append(answer["evidence"]["listeners"])
        listen(client, {"user_id": f"u{n:02d}", "track_id": "low7"})
    assert listeners == [0, 1, 2, 3, 4, 5]
    assert weights[0] == 0
    assert weights == sorted(weights)
    assert weights[-1] > 0.2


def test_what_was_said_before_is_not_counted_twice(serve: Any) -> None:
    client = serve()
    at = {"user_id": "u01", "track_id": "low7", "listened_at": "2026-01-18T20:15:00+01:00"}
    same_moment = {**at, "listened_at": "2026-01-18T19:15:00Z"}
    named = {"user_id": "u01", "track_id": "low7", "id": "phone-1"}
    assert listen(client, at, same_moment, named)["duplicates"] == 1
    again = listen(client, at, named)
    assert (again["stored"], again["duplicates"]) == (0, 2)
    other = listen(client, {**named, "track_id": "low6"})
    assert other["items"][0]["status"] == "rejected"
    assert "phone-1" in other["items"][0]["reason"]
    assert client.get("/v1/model").json()["listens_since"] == 2


def test_a_batch_is_reported_item_by_item(serve: Any) -> None:
    client = serve()
    ahead = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    report = listen(
        client,
        {"user_id": "u01", "track_id": "low7"},
        {"user_id": "u01", "track_id": "no such track"},
        {"user_id": "u01", "track_id": "low6", "listened_at": ahead},
        {"user_id": "u01", "track_id": "low6", "listened_at": -5},
        {"user_id": "u01", "track_id": "low5", "listened_at": 1700000000},
    )
    assert [item["status"] for item in report["items"]] == ["stored", "rejected", "rejected", "rejected", "stored"]
    assert [item["index"] for item in report["items"]] == [0, 1, 2, 3, 4]
    reasons = [item["reason"] for item in report["items"]]
    assert reasons[1] == "unknown track 'no such track'"
    assert "check the clock" in reasons[2]
    assert "before the year 2000" in reasons[3]


def test_clocks_that_lie_are_bounded(serve: Any) -> None:
    client = serve()
    now = datetime.now(UTC)
    seconds = int(now.timestamp())
    told = {
        "0": 0,
        "1980-01-06T00:00:00Z": None,
        "2000-01-01T00:00:00Z": None,
        "0001-01-01T00:00:00+14:00": None,
        "9999-12-31T23:59:59-14:00": None,
        "ahead": (now + timedelta(minutes=11)).isoformat(),
        "soon": (now + timedelta(minutes=9)).isoformat(),
        "old": "2003-02-11T12:00:00+09:30",
        "seconds": seconds - 1000,
        "milliseconds": (seconds - 500) * 1000,
    }
    times = [text if value is None else value for text, value in told.items()]
    report = listen(client, *({"user_id": "u01", "track_id": "low7", "listened_at": at} for at in times))
    assert [item["status"] for item in report["items"]] == ["rejected"] * 6 + ["stored"] * 4
    assert all("check the clock" in item["reason"] for item in report["items"][:6])
    micro = {"user_id": "u01", "track_id": "low7", "listened_at": seconds * 10**6}
    assert client.post("/v1/listens", json={"listens": [micro]}).status_code == 422, "no year has five digits"


def test_a_server_clock_that_is_set_back_loses_nothing(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = serve()
    listen(client, {"user_id": "u01", "track_id": "low7"})
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 86_400 * 10**9)
    just_now = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    report = listen(client, {"user_id": "u01", "track_id": "low6", "listened_at": just_now})
    assert report["items"][0]["status"] == "stored"
    assert listen(client, {"user_id": "u01", "track_id": "low5"})["stored"] == 1
    assert not {"low5", "low6", "low7"} & set(recommended(client, "u01", 20))


def test_a_malformed_listen_refuses_the_batch_before_anything_is_stored(serve: Any) -> None:
    client = serve()
    good = {"user_id": "u01", "track_id": "low7"}
    for bad in (
        {"user_id": "", "track_id": "low7"},
        {"user_id": "u01"},
        {**good, "listened_at": "yesterday"},
        {**good, "listened_at": "2026-01-18T20:15:00"},
        {**good, "skipped": "perhaps"},
        {**good, "wieght": 1},
    ):
        answer = client.post("/v1/listens", json={"listens": [good, bad]})
        assert answer.status_code == 422, bad
        assert answer.json()["errors"][0]["where"].startswith("body.listens.1"), bad
    assert client.post("/v1/listens", json={"listens": []}).status_code == 422
    assert client.post("/v1/listens", json={"listens": [good] * 1001}).status_code == 422
    assert client.get("/v1/model").json()["listens_since"] == 0


def test_everything_is_there_after_a_restart_and_in_another_process(serve: Any) -> None:
    first, second = serve(), serve()
    listen(first, {"user_id": NEW_USER, "track_id": "high0"}, {"user_id": "u01", "track_id": "low7"})
    third = serve()
    for user in (NEW_USER, "u01"):
        assert recommended(first, user) == recommended(second, user) == recommended(third, user)
    assert third.get("/v1/tracks/low7").json()["track"]["listeners"] == 1


def test_many_at_once_lose_nothing(serve: Any) -> None:
    client = serve()
    failures: list[str] = []

    def work(user: str) -> None:
        for n in range(6):
            answer = client.post("/v1/listens", json={"listens": [{"user_id": user, "track_id": f"low{n}"}]})
            if answer.status_code != 200 or answer.json()["stored"] != 1:
                failures.append(answer.text)
            answer = client.get(f"/v1/users/{user}/recommendations")
            heard = {f"low{m}" for m in range(n + 1)}
            if answer.status_code != 200 or heard & {item["track"]["id"] for item in answer.json()["items"]}:
                failures.append(answer.text)

    threads = [threading.Thread(target=work, args=(f"new{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert client.get("/v1/model").json()["listens_since"] == 36


def test_while_the_store_is_away_reads_go_on_and_writes_say_so(serve: Any, tmp_path: Path) -> None:
    client = serve()
    before = recommended(client, "u01")
    with sqlite3.connect(tmp_path / "store.sqlite") as away:
        away.execute("ALTER TABLE listens RENAME TO away")
    assert recommended(client, "u01") == before
    answer = client.post("/v1/listens", json={"listens": [{"user_id": "u01", "track_id": "low7"}]})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "no such table: listens" in answer.json()["detail"]
    with sqlite3.connect(tmp_path / "store.sqlite") as back:
        back.execute("ALTER TABLE away RENAME TO listens")
    assert listen(client, {"user_id": "u01", "track_id": "low7"})["stored"] == 1
    away.close()
    back.close()
