import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from recommender.errors import ConfigError, StoreError
from recommender.serving import served
from recommender.serving.served import DAY_MS, ServedLog, ServedSlot, bucket_of
from recommender.serving.settings import Settings
from recommender.serving.store import Store

PATH = "/v1/users/u01/recommendations?top=5"
Serve = Callable[..., httpx.Client]


@pytest.fixture
def store(tmp_path: Path):
    """The store of the test's servers."""
    opened = Store.open(f"sqlite:///{tmp_path / 'store.sqlite'}")
    yield opened
    opened.close()


def slots_in(store: Store, count: int) -> list[ServedSlot]:
    """What is logged, once it is as much as this."""
    deadline = time.monotonic() + 10
    while len(found := store.served_after(0)[0]) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} places are logged"
        time.sleep(0.01)
    return found


def slot(rank: int = 1, request_id: str = "r", at_ms: int = 1000, track_id: str = "t") -> ServedSlot:
    return ServedSlot(request_id, at_ms, 0, "u", track_id, "b", rank, 0.5, 0.25, True, 2)


def items(client: httpx.Client, path: str = PATH) -> list[dict]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def test_without_exploration_the_answer_is_the_ranking(serve: Serve) -> None:
    client = serve(explore=0.0)
    plain = items(client)
    assert items(client, PATH + "&explore=0.0") == plain
    assert [(item["explored"], item["propensity"]) for item in plain] == [(False, 1.0)] * 5
    scores = [item["score"] for item in plain]
    assert scores == sorted(scores, reverse=True)
    exploring = serve(explore=1.0)
    assert items(exploring, PATH + "&explore=0") == plain
    assert items(exploring, PATH + "&max_listeners=100&max_per_artist=2") == plain, "filtered lists try nothing"


def test_tries_are_marked_stay_the_same_and_take_no_track_from_the_list(serve: Serve) -> None:
    client = serve(explore=0.5, explore_seed=3)
    ranked, found = items(client, PATH + "&explore=0"), items(client)
    assert items(client) == found
    tried = [item["explored"] for item in found]
    assert 0 < sum(tried) < 5
    for before, now in zip(ranked, found, strict=True):
        if now["explored"]:
            assert now["track"]["id"] not in {item["track"]["id"] for item in ranked}
            assert 0 < now["propensity"] < 0.5
        else:
            assert now["track"] == before["track"]
            assert now["propensity"] == pytest.approx(0.5)
    others = {
        tuple(item["track"]["id"] for item in items(serve(explore=0.5, explore_seed=seed))) for seed in range(4, 8)
    }
    assert len(others) > 1


def test_every_place_is_logged_once_however_often_it_is_loaded(serve: Serve, store: Store) -> None:
    client = serve(explore=0.5)
    for _ in range(3):
        found = items(client)
    items(client, PATH + "&max_listeners=0")
    client.post("/v1/recommendations", json={})
    items(client, "/v1/users/u00/recommendations?top=3&max_per_artist=0")
    logged = slots_in(store, 8)
    time.sleep(0.1)
    assert len(store.served_after(0)[0]) == 8
    mine = [entry for entry in logged if entry.user_id == "u01"]
    assert [(entry.track_id, entry.rank, entry.propensity, entry.explored) for entry in mine] == [
        (item["track"]["id"], item["rank"], item["propensity"], item["explored"]) for item in found
    ]
    assert len({entry.request_id for entry in mine}) == 1
    assert {entry.bundle for entry in mine} == {"with-ears"}
    assert {entry.max_per_artist for entry in mine} == {2}
    assert {entry.max_per_artist for entry in logged if entry.user_id == "u00"} == {0}
    assert abs(mine[0].served_at_ms - time.time() * 1000) < 60_000
    assert mine[0].bucket_ms == bucket_of(mine[0].served_at_ms, 86_400)


def test_the_log_can_be_switched_off(serve: Serve, store: Store) -> None:
    items(serve(explore=0.5, log_served=False))
    time.sleep(0.2)
    assert store.served_after(0) == ([], 0)


def test_a_share_outside_of_a_list_is_refused(serve: Serve) -> None:
    for value in ("1.5", "-0.1", "much", "nan"):
        assert serve().get(f"{PATH}&explore={value}").status_code == 422


def test_the_same_list_is_stored_once_by_writers_at_the_same_time(store: Store) -> None:
    lists = [[slot(rank, f"r{n % 4}") for rank in range(1, 21)] for n in range(16)]
    threads = [Thread(target=store.add_served, args=(one,)) for one in lists]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found, seq = store.served_after(0)
    assert sorted((entry.request_id, entry.rank) for entry in found) == [
        (f"r{n}", rank) for n in range(4) for rank in range(1, 21)
    ]
    assert found[0] == slot(found[0].rank, found[0].request_id)
    assert store.served_after(seq) == ([], seq)
    assert len(store.served_after(0, limit=7)[0]) == 7


def test_what_is_too_old_is_deleted(store: Store) -> None:
    now_ms = int(time.time() * 1000)
    store.add_served([slot(1, "old", now_ms - 31 * DAY_MS), slot(1, "young", now_ms - 29 * DAY_MS)])
    log = ServedLog(store, 30)
    log.write([slot(1, "new", now_ms)])
    log.close()
    assert [entry.request_id for entry in store.served_after(0)[0]] == ["young", "new"]


def test_a_store_that_is_away_costs_the_log_only(store: Store, monkeypatch, caplog) -> None:
    def away(_slots: object) -> None:
        raise StoreError("the listens' database cannot be written: disk full")

    monkeypatch.setattr(store, "add_served", away)
    log = ServedLog(store, 30)
    log.write([slot()])
    log.close()
    assert "disk full" in caplog.text
    assert log.dropped == 1


def test_many_lists_are_stored_together_and_none_is_lost_at_the_end(store: Store, monkeypatch) -> None:
    sizes: list[int] = []
    add = store.add_served
    monkeypatch.setattr(store, "add_served", lambda slots: (sizes.append(len(slots)), add(slots)))
    log = ServedLog(store, 30)
    for n in range(200):
        log.write([slot(1, f"r{n}", int(time.time() * 1000))])
    log.close()
    assert len(store.served_after(0)[0]) == sum(sizes) == 200
    assert len(sizes) < 10
    assert log.dropped == 0


def test_a_request_never_waits_for_a_slow_store(store: Store, monkeypatch) -> None:
    go_on = Event()
    monkeypatch.setattr(store, "add_served", lambda _slots: go_on.wait(10))
    monkeypatch.setattr(served, "GATHER_LISTS", 1)
    log = ServedLog(store, 30, room=5)
    began = time.monotonic()
    for n in range(20):
        log.write([slot(1, f"r{n}")])
    assert time.monotonic() - began < 2
    assert 14 <= log.dropped <= 15
    go_on.set()
    log.close()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"explore": -0.1}, r"explore is -0\.1"),
        ({"explore_every_s": 0.0}, r"explore_every_s is 0\.0"),
        ({"served_days": float("nan")}, "served_days is nan"),
    ],
)
def test_settings_out_of_range_are_named(tmp_path: Path, values, said) -> None:
    with pytest.raises(ConfigError, match=said):
        Settings(tmp_path, "sqlite://", tmp_path, **values)
