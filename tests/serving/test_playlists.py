"""Playlists over HTTP."""

import json
import xml.etree.ElementTree as ET

import pytest


def ids_of(answer):
    assert answer.status_code == 200, answer.text
    return [track["id"] for track in answer.json()["tracks"]]


def test_seeds_lead_and_the_like_follows(client):
    answer = client.post("/v1/playlists", json={"tracks": ["low7"], "length": 6, "max_per_artist": None})
    found = ids_of(answer)
    assert found[0] == "low7"
    assert all(track.startswith("low") for track in found)
    assert answer.json()["name"] == "Low Artist 3 - Low Tide 7"
    assert answer.json()["minutes"] == pytest.approx(0.4)


def test_rules_that_cannot_be_kept_are_named(client):
    answer = client.post("/v1/playlists", json={"users": ["u02"], "length": 12, "max_per_artist": 1})
    assert len(ids_of(answer)) == 12
    assert answer.json()["relaxed_rules"][0].startswith("max_per_artist: ")


def test_several_users_get_what_suits_both_and_neither_has_heard(client):
    request = {"users": ["u02", "u03"], "length": 4, "unheard": True, "max_per_artist": None}
    found = ids_of(client.post("/v1/playlists", json=request))
    heard = {track for user in ("u02", "u03") for track in _played(client, user)}
    assert not heard & set(found)
    assert client.post("/v1/playlists", json={"users": ["nobody at all"]}).status_code == 404


def _played(client, user):
    everything = client.get(f"/v1/users/{user}/recommendations", params={"top": 100, "max_per_artist": 0}).json()
    fresh = {item["track"]["id"] for item in everything["items"]}
    return {f"{kind}{n}" for kind in ("low", "high") for n in range(8)} - fresh


def test_a_cluster_becomes_a_playlist_of_its_tracks(client):
    cluster = client.get("/v1/clusters").json()["items"][0]
    found = client.get("/v1/map").json()
    members = {track for track, at in zip(found["ids"], found["cluster"], strict=True) if at == 0}
    answer = client.post("/v1/playlists", json={"cluster": cluster["id"], "length": 25, "max_per_artist": None})
    assert set(ids_of(answer)) == members
    assert client.post("/v1/playlists", json={"cluster": "9-none"}).status_code == 404


def test_tempo_excludes_and_minutes_limit(client):
    tempo = {each: client.get(f"/v1/tracks/{each}").json()["track"]["signature"] for each in ("low0", "high1")}
    assert tempo["low0"] is not None
    bpm = tempo["low0"]["tempo_bpm"]
    request = {"tempo_from": bpm - 0.2, "tempo_to": bpm + 0.2, "max_per_artist": None}
    found = ids_of(client.post("/v1/playlists", json=request))
    assert "low0" in found
    assert "silent/one ü" not in found
    short = client.post("/v1/playlists", json={"minutes": 0.2, "max_per_artist": None})
    assert len(ids_of(short)) == 3
    wrong = client.post("/v1/playlists", json={"tempo_from": 120, "tempo_to": 90})
    assert wrong.status_code == 422
    assert "tempo_from is 120, expected at most tempo_to, 90" in wrong.json()["detail"]


def test_out_of_order_the_best_come_first(client):
    request = {"users": ["u02"], "length": 8, "ordered": False, "max_per_artist": None}
    found = ids_of(client.post("/v1/playlists", json=request))
    ordered = ids_of(client.post("/v1/playlists", json=request | {"ordered": True}))
    assert set(found) == set(ordered)
    assert found[0] == ordered[0]


def test_a_list_that_was_edited_is_downloaded_as_it_is(client):
    request = {"tracks": ["high1", "silent/one ü", "low0", "high1"], "as_given": True, "name": "Mein Mix / 1"}
    assert ids_of(client.post("/v1/playlists", json=request)) == request["tracks"]
    m3u8 = client.post("/v1/playlists", params={"format": "m3u8"}, json=request)
    assert m3u8.headers["content-disposition"].endswith("filename*=UTF-8''Mein%20Mix%20_%201.m3u8")
    addresses = [line for line in m3u8.text.splitlines() if not line.startswith("#")]
    assert addresses[0].endswith("/v1/tracks/high1/audio")
    assert client.get(addresses[0]).headers["content-type"] == "audio/wav"
    xspf = client.post("/v1/playlists", headers={"Accept": "application/xspf+xml"}, json=request)
    assert len(ET.fromstring(xspf.text).findall(".//{http://xspf.org/ns/0/}track")) == 4
    jspf = client.post("/v1/playlists", params={"format": "jspf"}, json=request)
    assert json.loads(jspf.text)["playlist"]["title"] == "Mein Mix / 1"
    assert client.post("/v1/playlists", params={"format": "mp3"}, json=request).status_code == 422
    assert client.post("/v1/playlists", json=request | {"tracks": ["none"]}).status_code == 404
