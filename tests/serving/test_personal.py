"""A user is told everything that is kept of them, and after an erasure nothing is left of it, anywhere."""

import math
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

import recommender.serving.keys
from recommender.data.matching import Name
from recommender.errors import DataError
from recommender.serving.bundle import current_bundle, load_bundle
from recommender.serving.hearing import Hearing
from recommender.serving.keys import Keyring
from recommender.serving.live import Live
from recommender.serving.served import ServedSlot
from recommender.serving.store import Feedback, Listen, SavedPlaylist, Store, UnmatchedListen

assert recommender.serving.keys.KeyRow.__tablename__ == "api_keys"
USER = "Zoë/نور 🎵"
ERASED = {"api_keys": 1, "feedback": 1, "listens": 5, "saved_playlists": 1, "served": 4, "unmatched_listens": 1}


def slot(user: str, rank: int, at_ms: int = 1000) -> ServedSlot:
    return ServedSlot(f"{user}-{at_ms}", at_ms, 0, user, f"t{rank}", "b", rank, 0.5, 0.25, True, 2)


def fill(store: Store, user: str) -> None:
    store.add_listens([Listen(user, f"t{n}", 1000 + n, client_id=f"c{n}") for n in range(5)])
    store.add_feedback(Feedback(user, "t1", 1, 2000))
    store.add_served([slot(user, rank) for rank in range(1, 5)])
    Keyring(store).create("phone", ["read", "listen"], user)
    store.add_unmatched([UnmatchedListen(user, 1000, 1.0, Name("A", "a track that is not here"))])
    store.add_playlist(SavedPlaylist(f"mix of {user}"[:32], user, "mix", "", ("t1",), 1000, 1000))


def everything(store: Store, user: str, limit: int = 3) -> list[dict[str, Any]]:
    found, following = [], ""
    while following is not None:
        records, following = store.data_of(user, following, limit)
        assert len(records) <= limit
        found += [{"kind": record.kind, **record.data} for record in records]
    return found


@pytest.mark.parametrize("limit", [1, 3, 5, 11, 100])
def test_everything_is_told_once_and_nobody_else_s(store_url: str, limit: int) -> None:
    with closing(Store.open(store_url)) as store:
        fill(store, USER)
        fill(store, "other")
        found = everything(store, USER, limit)
        kinds = [one.pop("kind") for one in found]
        assert kinds == ["api_keys"] + ["feedback"] + ["listens"] * 5 + ["saved_playlists"] + ["served"] * 4 + [
            "unmatched_listens"
        ]
        assert {one["track_id"] for one in found[2:7]} == {f"t{n}" for n in range(5)}
        assert found[1] == {"track_id": "t1", "value": 1, "given_at_ms": 2000}
        assert [one["rank"] for one in found[8:12]] == [1, 2, 3, 4]
        assert (found[7]["track_ids"], found[12]["title"]) == (["t1"], "a track that is not here")
        assert found[0]["name"] == "phone"
        assert "digest" not in found[0]
        assert everything(store, "nobody", limit) == []


@pytest.mark.parametrize("after", ["x", "x:1", "listens:x", "meta:", ":"])
def test_an_address_of_no_page_is_refused(store_url: str, after: str) -> None:
    with closing(Store.open(store_url)) as store, pytest.raises(DataError, match="expected what the page before"):
        store.data_of(USER, after)


def test_nothing_is_left_of_who_was_erased(store_url: str, tmp_path: Path) -> None:
    store = Store.open(store_url)
    fill(store, USER)
    fill(store, "other")
    assert store.erase(USER) == ERASED
    assert everything(store, USER) == []
    assert len(everything(store, "other")) == 13
    (erasure,), seq = store.erasures_after(0)
    assert erasure.user_hash == store.hash_of(USER) != store.hash_of("other")
    assert store.erasures_after(seq) == ([], seq)
    assert store.erase("nobody") == dict.fromkeys(ERASED, 0)
    assert len(store.erasures_after(0)[0]) == 2
    store.close()
    for file in tmp_path.glob("store.sqlite*"):
        assert USER.encode() not in file.read_bytes(), "deleted rows are overwritten"


def test_two_stores_hash_the_same_user_differently(tmp_path: Path) -> None:
    hashes = set()
    for name in ("a", "b"):
        with closing(Store.open(f"sqlite:///{tmp_path / name}")) as store:
            hashes.add(store.hash_of(USER))
    assert len(hashes) == 2


def test_a_list_that_was_still_to_be_logged_is_not(store_url: str) -> None:
    with closing(Store.open(store_url)) as store:
        fill(store, USER)
        store.erase(USER)
        erased_at_ms = store.erasures_after(0)[0][0].erased_at_ms
        store.add_served([slot(USER, 1, erased_at_ms - 5), slot("other", 1, erased_at_ms - 5)])
        store.add_served([slot(USER, 1, erased_at_ms + 5)])
        assert [one.request_id for one in store.served_after(0)[0]] == [
            f"other-{erased_at_ms - 5}",
            f"{USER}-{erased_at_ms + 5}",
        ]


def recommended(client: httpx.Client, user: str) -> list[str]:
    answer = client.get(f"/v1/users/{user}/recommendations?top=20")
    assert answer.status_code == 200, answer.text
    return [item["track"]["id"] for item in answer.json()["items"]]


def listen(client: httpx.Client, user: str, track: str) -> None:
    answer = client.post("/v1/listens", json={"listens": [{"user_id": user, "track_id": track}]})
    assert answer.json()["stored"] == 1, answer.text


def test_an_erased_user_is_unknown_to_every_server_at_once(serve: Any, tmp_path: Path) -> None:
    without = serve(store_url=f"sqlite:///{tmp_path / 'without'}")
    listen(without, "u02", "high7")
    clients = [serve(answers_s=60.0), serve(answers_s=60.0)]
    before = recommended(clients[0], "u03")
    listen(clients[0], "u01", "low7")
    listen(clients[0], "u02", "high7")
    clients[0].put("/v1/users/u01/feedback/low2", json={"value": "love"})
    for client in clients:
        recommended(client, "u01")
        assert client.get("/v1/tracks/low7/listeners").status_code == 200
    answer = clients[0].delete("/v1/users/u01")
    assert answer.status_code == 200
    assert answer.json()["erased"] | {"served": 0} == dict.fromkeys(ERASED, 0) | {"feedback": 1, "listens": 1}
    for client in (*clients, serve()):
        for path in ("recommendations", "feedback", "export", "explanations/low0"):
            assert client.get(f"/v1/users/u01/{path}").status_code == 404, path
        assert client.get("/v1/users?query=u01").json()["items"] == []
        assert "u01" not in [one["user"] for one in client.get("/v1/tracks/low7/listeners").json()["items"]]
        assert client.get("/v1/tracks/low7").json()["track"]["listeners"] == 0, "the listen is gone as if it never was"
        assert recommended(client, "u03") == before
        assert recommended(client, "u02") == recommended(without, "u02"), "what others did is there"
    listen(clients[1], "u01", "high0")
    for client in (*clients, serve()):
        assert client.get("/v1/users?query=u01").json()["items"] == [{"id": "u01", "tracks_played": 1}]
        assert "high0" not in recommended(client, "u01")


def test_a_user_reads_everything_over_http(serve: Any) -> None:
    client = serve()
    for track in ("low0", "low1", "high2"):
        listen(client, USER, track)
    path, items, learned = f"/v1/users/{USER}/export?limit=2", [], []
    while path:
        page = client.get(path).json()
        items += page["items"]
        learned += page["learned_from"]
        path = page["next"]
    assert [item["data"]["track_id"] for item in items] == ["low0", "low1", "high2"]
    assert sorted(learned) == ["high2", "low0", "low1"]
    assert set(client.get("/v1/users/u01/export").json()["learned_from"]) <= {f"low{n}" for n in range(8)}
    assert client.get("/v1/users/nobody/export").status_code == 404
    assert client.get(f"/v1/users/{USER}/export?after=nonsense").status_code == 422
    assert client.delete("/v1/users/").status_code == 422


def test_who_came_back_before_the_training_is_in_its_bundle(world: Any, tmp_path: Path) -> None:
    bundle = load_bundle(current_bundle(world.bundles))
    with closing(Store.open(f"sqlite:///{tmp_path / 's.sqlite'}")) as store:
        store.erase("u01")
        heeded = {"store": store.hash_of(""), "through": store.erasures_after(0)[1]}

        def users(**metrics: object) -> tuple[str, ...]:
            made = replace(bundle, manifest=replace(bundle.manifest, metrics=metrics))
            return Live(made, store, Hearing(made), tmp_path, math.inf).peek().model.users.ids

        assert "u01" not in users()
        assert "u01" not in users(erasures={**heeded, "store": "of another database"})
        assert users(erasures=heeded) == bundle.model.users.ids
        store.erase("u02")
        assert set(bundle.model.users.ids) - set(users(erasures=heeded)) == {"u02"}
