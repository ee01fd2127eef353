"""Scrobblers that speak to ListenBrainz are answered alike; no listen that was accepted is lost."""

import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from recommender.data.catalog import Catalog
from recommender.data.matching import Name, TrackMatcher
from recommender.serving.finding import Part
from recommender.serving.keys import Keyring
from recommender.serving.rematching import rematch
from recommender.serving.store import Listen, Store, UnmatchedListen
from tests.serving.conftest import LOW_HZ, RECORDING, World, make_settings, tone, write_wav

AT = 1_700_000_000
MBID = "98255a8c-017a-4bc7-8dd6-1fa36124572b"


def listen(title: str, artist: str, at: int | None = AT, **info: Any) -> dict[str, Any]:
    metadata = {"track_name": title, "artist_name": artist, "release_name": "Álbum Ñ", "additional_info": info}
    return {"track_metadata": metadata} | ({} if at is None else {"listened_at": at})


def submit(
    client: httpx.Client, *listens: Any, kind: str = "import", token: str = "ann", expected: int = 200
) -> dict[str, Any]:
    """As scrobblers do: JSON without saying that it is JSON."""
    content = json.dumps({"listen_type": kind, "payload": list(listens)})
    answer = client.post("/1/submit-listens", content=content, headers={"Authorization": f"Token {token}"})
    assert answer.status_code == expected, answer.text
    return answer.json()


def count(client: httpx.Client, user: str = "ann") -> int:
    return client.get(f"/1/user/{user}/listen-count").json()["payload"]["count"]


def titles(client: httpx.Client, user: str = "ann", **asked: int) -> list[str]:
    payload = client.get(f"/1/user/{user}/listens", params=asked).json()["payload"]
    assert payload["count"] == len(payload["listens"])
    return [one["track_metadata"]["track_name"] for one in payload["listens"]]


def test_a_listen_is_matched_by_name_and_counts_at_once(serve: Any) -> None:
    client = serve()
    assert submit(client, listen("low tide 0", "The Low Artist 0"), kind="single") == {"status": "ok"}
    assert client.get("/v1/users?query=ann").json()["items"] == [{"id": "ann", "tracks_played": 1}]
    assert titles(client) == ["Low Tide 0"]
    submit(client, listen("Low Tide 0", "Low Artist 0"), kind="single")
    assert count(client) == 1, "the same track at the same time is one listen, however it is spelled"


def test_the_same_request_twice_is_one(serve: Any) -> None:
    client = serve()
    batch = [listen(f"High Tide {n}", f"High Artist {n % 4}", AT + n) for n in range(4)]
    batch += [listen("Nobody's Song", "Nobody", AT + n) for n in range(3)]
    for _ in range(2):
        submit(client, *batch)
        assert count(client) == 7
    assert titles(client, count=2) == ["High Tide 3", "High Tide 2"]
    assert titles(client, max_ts=AT + 1) == ["High Tide 0", "Nobody's Song"]
    assert titles(client, min_ts=AT + 2) == ["High Tide 3"]


def test_what_is_playing_is_heard_and_not_kept(serve: Any) -> None:
    client = serve()
    submit(client, listen("Low Tide 0", "Low Artist 0", None), kind="playing_now")
    assert count(client) == 0


def test_a_skip_is_no_play(serve: Any) -> None:
    client = serve()
    submit(client, listen("Low Tide 0", "Low Artist 0", AT, duration_played=3, duration=200))
    submit(client, listen("Low Tide 1", "Low Artist 1", AT, skipped=True))
    submit(client, listen("Low Tide 2", "Low Artist 2", AT, duration_played=19, duration=30))
    assert titles(client) == ["Low Tide 2"]
    verdicts = client.get("/v1/users/ann/feedback").json()["items"]
    assert {item["track"]["id"]: item["verdict"] for item in verdicts} == {"low0": "skipped", "low1": "skipped"}


def test_a_listen_waits_for_its_track(serve: Any, tmp_path: Path) -> None:
    client = serve()
    submit(client, listen("Brand New Song", "Somebody Else", AT), listen("Never To Come", "Nobody", AT + 1))
    assert titles(client) == ["Never To Come", "Brand New Song"]
    assert client.get("/v1/users?query=ann").json()["items"] == []
    exported = client.get("/v1/users/ann/export").text
    assert "Brand New Song" in exported
    path = write_wav(tmp_path / "new.wav", tone(LOW_HZ, 77))
    form = {"title": "Brand New Song", "artist": "Somebody Else"}
    track = client.post("/v1/tracks", files={"file": ("new.wav", path.read_bytes())}, data=form).json()["track"]["id"]
    deadline = time.monotonic() + 20
    while client.get("/v1/users?query=ann").json()["items"] != [{"id": "ann", "tracks_played": 1}]:
        assert time.monotonic() < deadline, "the listen did not find its track"
        time.sleep(0.1)
    assert track not in {
        item["track"]["id"] for item in client.get("/v1/users/ann/recommendations?top=50").json()["items"]
    }
    assert count(client) == 2
    submit(client, listen("Brand New Song", "Somebody Else", AT))
    assert count(client) == 2, "sent again after its track came, it is still the same listen"


def test_listens_find_their_tracks_in_another_bundle(store_url: str) -> None:
    names = [Name("A", f"Song {'abcdefgh'[n]}") for n in range(8)]
    catalog = Catalog.from_frame(
        pd.DataFrame({"item_id": [f"t{n}" for n in range(4)], "artist": "A", "title": [n.title for n in names[:4]]})
    )
    with closing(Store.open(store_url)) as store:
        store.add_listens([Listen("u", "t0", 5000)])
        assert store.add_unmatched([UnmatchedListen("u", 5000, 1.0, name) for name in names]) == 8
        assert store.add_unmatched([UnmatchedListen("u", 5000, 1.0, name) for name in names]) == 0
        gone = UnmatchedListen("gone", 1, 0.0, names[1])
        store.add_unmatched([gone])
        waiting = store.unmatched_after(0)[0]
        store.erase("gone")
        assert store.settle_unmatched({waiting[-1][0]: "t1"}) == 0, "an erased user's listens do not come back"
        assert rematch(store, Part(catalog, 0, TrackMatcher(catalog, threshold=101.0))) == 4
        assert sorted(one.track_id for one in store.listens_after(0)[0]) == ["t0", "t1", "t2", "t3"]
        assert [one.name for _, one in store.unmatched_after(0)[0]] == names[4:]
        assert store.count_listens_of("u") == 8


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda one: one.pop("listened_at"), "must contain the key listened_at"),
        (lambda one: one.update(listened_at=int(time.time()) + 4000), "too high"),
        (lambda one: one.update(listened_at=1_000_000_000), "too low"),
        (lambda one: one.update(listened_at="yesterday"), "not valid"),
        (lambda one: one.update(listened_at=None), "int value for listened_at"),
        (lambda one: one.update(track_metadata="x"), "valid metadata.track_name"),
        (lambda one: one["track_metadata"].update(artist_name=["a"]), "artist_name"),
        (lambda one: one["track_metadata"].update(track_name=" \u0000 "), "track_name"),
        (lambda one: one["track_metadata"].update(track_name="x" * 1001), "1001 letters"),
        (lambda one: one["track_metadata"].update(additional_info=[1]), "not valid"),
    ],
)
def test_one_malformed_listen_refuses_the_batch(
    client: httpx.Client, change: Callable[[dict[str, Any]], Any], reason: str
) -> None:
    good, bad = listen("Low Tide 1", "Low Artist 1"), listen("Low Tide 2", "Low Artist 2")
    change(bad)
    answer = submit(client, good, bad, token="mal", expected=400)
    assert (answer["code"], reason in answer["error"]) == (400, True), answer
    assert count(client, "mal") == 0


def test_limits_are_those_of_the_public_api(serve: Any) -> None:
    client = serve()
    one = listen("Low Tide 1", "Low Artist 1")
    assert "1000 listens" in submit(client, *[one] * 1001, expected=400)["error"]
    assert "only one" in submit(client, one, one, kind="single", expected=400)["error"]
    assert "listen_type" in submit(client, one, kind="other", expected=400)["error"]
    assert "any listens" in submit(client, expected=400)["error"]
    assert "too large" in submit(client, listen("a", "b", tags=["x" * 11_000]), expected=400)["error"]
    assert submit(client, *[listen("a", "b", AT + n, tags=["x" * 9_000]) for n in range(1000)]) == {"status": "ok"}
    assert count(client) == 1000
    headers = {"Authorization": "Token ann"}
    for content in (b"", b"{", b"[]", b"null", b"[" * 100_000, b"\xff", b'{"payload": 1, "listen_type": "import"}'):
        answer = client.post("/1/submit-listens", content=content, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, 400)
    answer = client.post("/1/submit-listens", content=b"x" * 10_240_001, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, 413)


def test_text_that_no_database_takes_is_kept_without_what_it_does_not_take(serve: Any) -> None:
    client = serve()
    submit(client, listen("a\u0000b\ud800c", "d\ne"))
    assert titles(client) == ["a b c"]


def test_a_token_is_a_key_of_a_user(world: World, serve: Any, tmp_path: Path) -> None:
    with closing(Store.open(make_settings(world, tmp_path).store_url)) as store:
        keyring = Keyring(store)
        bound = keyring.create("scrobbler", ["listen"], "ann")[1]
        unbound, reader = keyring.create("shop", ["listen"])[1], keyring.create("r", ["read"], "ann")[1]
    for client in (serve(require_keys=True), serve()):
        valid = {"code": 200, "message": "Token valid.", "valid": True, "user_name": "ann"}
        assert client.get("/1/validate-token", headers={"Authorization": f"Token {bound}"}).json() == valid
        assert client.get("/1/validate-token", params={"token": bound}).json() == valid
        for text in (unbound, reader, bound[:-1] + "_", "fl_x"):
            answer = client.get("/1/validate-token", headers={"Authorization": f"Token {text}"})
            assert (answer.status_code, answer.json()["valid"]) == (200, False)
        assert client.get("/1/validate-token").json()["code"] == 400
        submit(client, listen("Low Tide 0", "Low Artist 0"), token=bound)
        assert "bound to no user" in submit(client, listen("a", "b"), token=unbound, expected=403)["error"]
        assert submit(client, listen("a", "b"), token="fl_x", expected=401)["code"] == 401
    locked = serve(require_keys=True)
    assert submit(locked, listen("a", "b"), token=reader, expected=403)["code"] == 403
    assert submit(locked, listen("a", "b"), token="ann", expected=401)["code"] == 401


def test_feedback_is_by_recording(client: httpx.Client) -> None:
    headers = {"Authorization": "Token ann"}
    for score, verdicts in ((1, ["loved"]), (-1, ["hated"]), (0, [])):
        body = {"recording_mbid": RECORDING, "score": score}
        assert client.post("/1/feedback/recording-feedback", json=body, headers=headers).json() == {"status": "ok"}
        found = client.get("/v1/users/ann/feedback").json().get("items", [])
        assert [(item["track"]["id"], item["verdict"]) for item in found] == [("low0", each) for each in verdicts]
    answer = client.post("/1/feedback/recording-feedback", json={"recording_mbid": MBID, "score": 1}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (404, 404)
    for body in ({"recording_mbid": "x", "score": 1}, {"recording_mbid": MBID, "score": 2}, {"score": [1]}, [], 1):
        assert client.post("/1/feedback/recording-feedback", json=body, headers=headers).status_code == 400
