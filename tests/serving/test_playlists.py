"""Playlists over HTTP."""

import json
import time
import xml.etree.ElementTree as ET
from datetime import UTC, datetime

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


def test_a_hard_range_makes_it_short_and_a_soft_one_gives_way(client):
    asked = {"length": 6, "year_from": 2012, "year_to": 2012, "max_per_artist": None}
    hard = client.post("/v1/playlists", json=asked).json()
    assert sorted(track["id"] for track in hard["tracks"]) == ["high2", "low2"]
    assert hard["shortage"].startswith("2 of 6 tracks: only 2 of the library's 17 tracks are released 2012")
    soft = client.post("/v1/playlists", json=asked | {"soft": ["year", "artist_spacing"]}).json()
    assert len(soft["tracks"]) == 6
    assert soft["shortage"] == ""
    year = next(each for each in soft["relaxed"] if each["rule"] == "year")
    assert (year["given"], year["tracks"]) == ("released 2011 to 2013", 4)
    assert any(sentence.startswith("year: released 2011 to 2013 instead of") for sentence in soft["relaxed_rules"])


def test_a_party_is_told_its_shares_and_gets_nothing_that_one_of_them_hates(client):
    assert client.put("/v1/users/u03/feedback/high1", json={"value": "hate"}).status_code == 200
    answer = client.post("/v1/playlists", json={"users": ["u02", "u03"], "length": 16, "max_per_artist": None}).json()
    assert "high1" not in {track["id"] for track in answer["tracks"]}
    assert [share["user"] for share in answer["shares"]] == ["u02", "u03"]
    assert "disliked by a listener" not in answer["shortage"]


def test_what_was_played_lately_stays_away_while_there_is_enough(client):
    now = time.time()
    sent = client.post(
        "/v1/listens", json={"listens": [{"user_id": "u04", "track_id": "high3", "listened_at": _iso(now - 3600)}]}
    )
    assert sent.status_code in (200, 201), sent.text
    asked = {"users": ["u04"], "length": 16, "max_per_artist": None, "not_played_days": 1}
    assert "high3" not in ids_of(client.post("/v1/playlists", json=asked))
    more = client.post("/v1/playlists", json=asked | {"length": 17}).json()
    assert [each["tracks"] for each in more["relaxed"] if each["rule"] == "recent"] == [1]


def _iso(seconds):
    return datetime.fromtimestamp(seconds, UTC).isoformat()


@pytest.mark.parametrize(
    ("asked", "detail"),
    [
        ({"include": ["low1"], "exclude": ["low1"]}, "Low Tide 1 must be in the playlist and is excluded"),
        ({"include": ["low1"], "exclude_artists": ["low artist 1"]}, "is by an excluded artist"),
        ({"artists": ["Low Artist 1"], "exclude_artists": ["LOW ARTIST 1"]}, "both asked for and excluded"),
        ({"length": 0}, "greater than or equal to 1"),
        ({"year_from": 2013, "year_to": 2012}, "year_from is 2013, expected at most year_to, 2012"),
        ({"key": ["13A"]}, "key"),
        ({"soft": ["exclude"]}, "soft"),
        ({"to": "low1"}, "expected 1 in tracks, found 0"),
    ],
)
def test_rules_that_contradict_each_other_are_one_422(client, asked, detail):
    answer = client.post("/v1/playlists", json=asked)
    assert answer.status_code == 422
    assert detail in answer.json()["detail"]


def test_a_path_is_a_playlist_too(client):
    answer = client.post("/v1/playlists", json={"tracks": ["low1"], "to": "high5", "length": 5})
    found = ids_of(answer)
    assert (found[0], found[-1], len(found)) == ("low1", "high5", 5)
    assert answer.json()["name"] == "Low Artist 1 - Low Tide 1 to High Artist 1 - High Tide 5"
    assert client.post("/v1/playlists", json={"tracks": ["low1"], "to": "high5", "length": 300}).status_code == 422


def test_an_artist_starts_it_and_one_that_is_not_there_is_named(client):
    found = ids_of(client.post("/v1/playlists", json={"artists": ["LOW ARTIST 2"], "length": 4}))
    assert {"low2", "low6"} & set(found)
    missing = client.post("/v1/playlists", json={"artists": ["Nobody"]})
    assert missing.status_code == 422
    assert "no track is by the artist 'Nobody'" in missing.json()["detail"]


def test_a_cluster_s_name_is_the_address_of_a_playlist_that_lives(serve):
    client = serve()
    cluster = client.get("/v1/clusters").json()["items"][0]
    found = client.get("/v1/map").json()
    members = {track for track, at in zip(found["ids"], found["cluster"], strict=True) if at == 0}
    client.put(f"/v1/clusters/{cluster['id']}", json={"name": "Ruhig / leise"})
    address = "/v1/clusters/Ruhig%20%2F%20leise/playlist"
    answer = client.get(address)
    assert set(ids_of(answer)) == members
    assert answer.json()["name"] == "Ruhig / leise"
    assert len(ids_of(client.get(address, params={"length": 3}))) == 3
    file = client.get(address, params={"format": "m3u8"})
    assert file.text.startswith("#EXTM3U")
    assert file.text.count("/audio") == len(members)
    assert client.get("/v1/clusters/no such/playlist").status_code == 404
