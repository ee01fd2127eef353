"""Players that speak Subsonic's language are answered in it: what there is, what they play, what they keep."""

import hashlib
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from recommender.serving.keys import Keyring, player_password
from recommender.serving.store import Store
from recommender.serving.subsonic.envelope import envelope
from tests.serving.conftest import World, make_settings

SECRET = "s" * 64
XMLNS = "{http://subsonic.org/restapi}"


def ask(client: httpx.Client, route: str, code: int | None = None, /, **values: Any) -> dict[str, Any]:
    """Ask as JSON; `code` is the error that is expected."""
    answer = client.get(f"/rest/{route}", params={"u": "ann", "v": "1.16.1", "c": "test", "f": "json", **values})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    content: dict[str, Any] = answer.json()["subsonic-response"]
    assert content["status"] == ("ok" if code is None else "failed"), content
    assert content.get("error", {}).get("code") == code, content
    return content


def ids(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["id"] for entry in entries]


@pytest.mark.parametrize("path", ["/rest/ping", "/rest/ping.view"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_addresses_methods_and_forms(client: httpx.Client, method: str, path: str) -> None:
    values = {"u": "ann", "v": "1.16.1", "c": "test"}
    given = {"params": values} if method == "GET" else {"data": values}
    answer = client.request(method, path, **given)
    root = ElementTree.fromstring(answer.content)
    assert (answer.headers["content-type"], root.tag) == ("application/xml", f"{XMLNS}subsonic-response")
    assert (root.get("status"), root.get("openSubsonic")) == ("ok", "true")


def test_xml_says_what_json_says() -> None:
    content = {"a": {"b": 1, "c": True, "none": None, "d": [{"e": "x\x00\ufffe<&"}, {"e": 2.5}], "f": ["g", "h"]}}
    root = ElementTree.fromstring(bytes(envelope("", content).body))
    element = root.find(f"{XMLNS}a")
    assert element is not None
    assert element.attrib == {"b": "1", "c": "true"}
    assert [each.attrib for each in element.findall(f"{XMLNS}d")] == [{"e": "x<&"}, {"e": "2.5"}]
    assert [each.text for each in element.findall(f"{XMLNS}f")] == ["g", "h"]
    assert b'"none"' not in bytes(envelope("json", content).body)


def test_it_says_what_it_can(client: httpx.Client) -> None:
    names = {
        each["name"]: each["versions"] for each in ask(client, "getOpenSubsonicExtensions")["openSubsonicExtensions"]
    }
    assert names == {"apiKeyAuthentication": [1], "formPost": [1], "sonicSimilarity": [1]}
    assert ask(client, "getLicense")["license"] == {"valid": True}
    assert ask(client, "getUser", username="ann")["user"]["scrobblingEnabled"] is True
    ask(client, "getUser", 50, username="bob")
    assert ask(client, "getScanStatus")["scanStatus"]["count"] == 17
    assert client.get("/rest/noSuchThing").status_code == 404


def test_the_library_from_artists_to_sound(client: httpx.Client, world: World) -> None:
    index = ask(client, "getArtists")["artists"]["index"]
    artists = [artist for letter in index for artist in letter["artist"]]
    assert [letter["name"] for letter in index] == sorted(letter["name"] for letter in index)
    assert len(artists) == 9
    low = next(artist for artist in artists if artist["name"] == "Low Artist 1")
    (album,) = ask(client, "getArtist", id=low["id"])["artist"]["album"]
    assert (album["name"], album["songCount"], album["duration"]) == ("Álbum Ñ", 2, 8)
    songs = ask(client, "getAlbum", id=album["id"])["album"]["song"]
    assert ids(songs) == ["low1", "low5"]
    song = ask(client, "getSong", id="low1")["song"]
    assert song == songs[0]
    assert (song["title"], song["year"], song["suffix"], song["contentType"]) == (
        "Low Tide 1",
        2011,
        "wav",
        "audio/wav",
    )
    sound = client.get("/rest/stream", params={"u": "ann", "id": "low1"}, headers={"Range": "bytes=4-7"})
    assert (sound.status_code, sound.content) == (206, (world.music / "low1.wav").read_bytes()[4:8])
    whole = client.post("/rest/download.view", data={"u": "ann", "id": "low1"})
    assert (whole.status_code, whole.headers["content-type"]) == (200, "audio/wav")
    for name in ("getSong", "getAlbum", "getArtist", "stream", "getCoverArt", "getSimilarSongs"):
        ask(client, name, 70, id="nothing")
    ask(client, "stream", 70, id="silent/one ü")
    ask(client, "getSong", 10)


def test_search_finds_and_an_empty_one_lists_all(client: httpx.Client) -> None:
    found = ask(client, "search3", query="HIGH artist 2", songCount=1)["searchResult3"]
    assert [each["name"] for each in found["artist"]] == ["High Artist 2"]
    assert (len(found["album"]), len(found["song"])) == (1, 1)
    everything = [
        song
        for offset in (0, 9)
        for song in ask(client, "search3", query='""', songCount=9, songOffset=offset)["searchResult3"]["song"]
    ]
    assert len(set(ids(everything))) == 17
    assert ask(client, "search3", query="zzz")["searchResult3"] == {"artist": [], "album": [], "song": []}


@pytest.mark.parametrize(
    "kind", ["random", "newest", "frequent", "alphabeticalByName", "alphabeticalByArtist", "byYear", "highest"]
)
def test_albums_in_any_order_are_all_albums(client: httpx.Client, kind: str) -> None:
    albums = ask(client, "getAlbumList2", type=kind, size=50, fromYear=2100, toYear=0)["albumList2"]["album"]
    assert len({album["id"] for album in albums}) == len(albums) == 9
    if kind == "byYear":
        years = [album.get("year", 0) for album in albums]
        assert years == sorted(years, reverse=True)
    assert ask(client, "getAlbumList2", type=kind, size=5, offset=9)["albumList2"]["album"] == []


def test_what_sounds_alike_and_a_path_through_it(client: httpx.Client) -> None:
    matches = ask(client, "getSonicSimilarTracks", id="low0", count=5)["sonicMatch"]
    expected = client.get("/v1/tracks/low0/similar?top=5").json()["items"]
    assert ids([match["entry"] for match in matches]) == [item["track"]["id"] for item in expected]
    assert [match["similarity"] for match in matches] == pytest.approx(
        [item["similarity"] for item in expected], abs=1e-3
    )
    path = ask(client, "findSonicPath", startSongId="low0", endSongId="high3", count=6)["sonicMatch"]
    songs = ids([match["entry"] for match in path])
    assert (songs[0], songs[-1], len(set(songs))) == ("low0", "high3", 6)
    assert all(0 <= match["similarity"] <= 1 for match in path)
    assert len(ask(client, "findSonicPath", startSongId="low0", endSongId="high3")["sonicMatch"]) == 16
    assert len(ask(client, "findSonicPath", startSongId="low0", endSongId="low0")["sonicMatch"]) == 1
    ask(client, "findSonicPath", 0, startSongId="low0", endSongId="high3", count=1)
    ask(client, "getSonicSimilarTracks", 70, id="silent/one ü")


@pytest.mark.parametrize("name", ["getSimilarSongs", "getSimilarSongs2"])
def test_what_goes_with_a_song_or_an_artist(client: httpx.Client, name: str) -> None:
    artist = ask(client, "getSong", id="high1")["song"]["artistId"]
    result = name[3].lower() + name[4:]
    for item_id in ("high1", artist):
        songs = ask(client, name, id=item_id, count=3)[result]["song"]
        assert len(songs) == 3
        assert all(song["id"].startswith("high") for song in songs)
        assert "high1" not in ids(songs)


def test_scrobbles_are_listens(serve: Any) -> None:
    client, at_ms = serve(), time.time_ns() // 1_000_000 - 60_000
    ask(client, "scrobble", id="low0", submission="false")
    assert client.get("/v1/users?query=ann").json()["items"] == []
    for _ in range(2):
        ask(client, "scrobble", id=["low0", "low1", "low0"], time=[at_ms, at_ms + 1, at_ms + 2])
    assert client.get("/1/user/ann/listen-count").json()["payload"]["count"] == 3
    answer = ask(client, "scrobble", 70, id=["gone", "low2"], time=[at_ms, at_ms + 3])
    assert "1 of 2 songs" in answer["error"]["message"]
    assert client.get("/v1/users?query=ann").json()["items"] == [{"id": "ann", "tracks_played": 3}]
    ask(client, "scrobble", 0, id=["low0", "low1"], time=at_ms)
    ask(client, "scrobble", 0, id="low3", time=at_ms // 1000)
    ask(client, "scrobble", 10)


def test_stars_are_loves(serve: Any) -> None:
    client = serve()
    ask(client, "star", id=["high2", "high3"])
    ask(client, "setRating", id="low3", rating=1)
    assert set(ids(ask(client, "getStarred2")["starred2"]["song"])) == {"high2", "high3"}
    assert ask(client, "getStarred2", u="bob")["starred2"]["song"] == []
    song = ask(client, "getSong", id="high2")["song"]
    assert (song["userRating"], song["starred"][:2]) == (5, "20")
    assert "starred" not in ask(client, "getSong", id="high2", u="bob")["song"]
    ask(client, "unstar", id=["high2", "low3"])
    verdicts = client.get("/v1/users/ann/feedback").json()["items"]
    assert {item["track"]["id"]: item["verdict"] for item in verdicts} == {"high3": "loved", "low3": "hated"}
    ask(client, "setRating", id="low3", rating=3)
    ask(client, "setRating", id="high3", rating=5)
    assert {item["verdict"] for item in client.get("/v1/users/ann/feedback").json()["items"]} == {"loved"}
    ask(client, "star", 70, id=["high0", "gone"])
    ask(client, "star", 0, albumId="al-1")
    ask(client, "star", 10)
    ask(client, "setRating", 0, id="low3", rating=6)


def test_playlists_are_kept_changed_and_deleted(serve: Any, tmp_path: Path) -> None:
    client = serve()
    made = ask(client, "createPlaylist", name="Mix\x00 1", songId=["low0", "high0", "low0"])["playlist"]
    assert (made["name"], ids(made["entry"]), made["duration"]) == ("Mix 1", ["low0", "high0", "low0"], 12)
    ask(client, "updatePlaylist", playlistId=made["id"], name="Mix 2", songIndexToRemove=[0, 1], songIdToAdd="high4")
    client = serve()
    (listed,) = ask(client, "getPlaylists")["playlists"]["playlist"]
    assert (listed["id"], listed["name"], listed["songCount"], listed["owner"]) == (made["id"], "Mix 2", 2, "ann")
    assert ids(ask(client, "getPlaylist", id=made["id"])["playlist"]["entry"]) == ["low0", "high4"]
    ask(client, "createPlaylist", playlistId=made["id"], songId="low5")
    assert ids(ask(client, "getPlaylist", id=made["id"])["playlist"]["entry"]) == ["low5"]
    for name, values in (
        ("getPlaylist", {"id": made["id"]}),
        ("deletePlaylist", {"id": made["id"]}),
        ("updatePlaylist", {"playlistId": made["id"], "name": "mine"}),
        ("createPlaylist", {"playlistId": made["id"]}),
    ):
        ask(client, name, 70, u="bob", **values)
    assert ask(client, "getPlaylists", u="bob")["playlists"]["playlist"] == []
    assert "Mix 2" in client.get("/v1/users/ann/export").text
    ask(client, "deletePlaylist", id=made["id"])
    ask(client, "getPlaylist", 70, id=made["id"])
    ask(client, "createPlaylist", 10)
    ask(client, "createPlaylist", 70, name="x", songId="gone")
    ask(client, "createPlaylist", name="erased")
    client.delete("/v1/users/ann")
    assert ask(client, "getPlaylists")["playlists"]["playlist"] == []


Login = Callable[[str, str], dict[str, str]]
LOGINS: dict[str, Login] = {
    "apiKey": lambda key, _: {"apiKey": key},
    "key as password": lambda key, _: {"u": "ann", "p": key},
    "key as encoded password": lambda key, _: {"u": "ann", "p": f"enc:{key.encode().hex()}"},
    "password": lambda _, password: {"u": "ann", "p": password},
    "encoded password": lambda _, password: {"u": "ann", "p": f"enc:{password.encode().hex()}"},
    "token": lambda _, password: {
        "u": "ann",
        "t": hashlib.md5(f"{password}c19b2d".encode()).hexdigest(),
        "s": "c19b2d",
    },
}


@pytest.fixture
def keys(world: World, tmp_path: Path) -> dict[str, str]:
    with closing(Store.open(make_settings(world, tmp_path).store_url)) as store:
        keyring = Keyring(store)
        bound, text = keyring.create("phone", ["read", "listen"], "ann")
        other = keyring.create("other", ["read", "listen"], "ann")[1]
        shop = keyring.create("shop", ["read", "listen"])[1]
    return {"key": text, "other": other, "shop": shop, "password": player_password(bound, SECRET), "id": bound.key_id}


@pytest.mark.parametrize("login", LOGINS)
def test_ways_to_log_in(serve: Any, keys: dict[str, str], login: str) -> None:
    client = serve(require_keys=True, player_secret=SECRET)
    values = LOGINS[login](keys["key"], keys["password"])
    for answer in (client.get("/rest/star", params={"id": "low0", "f": "json", **values}),
                   client.post("/rest/getStarred2.view", data={"f": "json", **values})):  # fmt: skip
        assert answer.json()["subsonic-response"]["status"] == "ok", answer.text
        assert answer.headers["ratelimit"]
    assert ids(answer.json()["subsonic-response"]["starred2"]["song"]) == ["low0"]


def test_wrong_logins(serve: Any, keys: dict[str, str], world: World, tmp_path: Path) -> None:
    client = serve(require_keys=True, player_secret=SECRET, refused_keys_per_minute=0)
    token = LOGINS["token"]("", keys["password"])
    wrong: list[tuple[int, dict[str, str]]] = [
        (10, {}),
        (10, {"u": "ann"}),
        (10, {"u": "ann", "t": "x"}),
        (40, {"u": "ann", "p": "secret"}),
        (40, {"u": "bob", "p": keys["password"]}),
        (40, {"u": "bob", "p": keys["key"]}),
        (40, {"u": "ann", "p": "enc:zz"}),
        (40, {**token, "u": "bob"}),
        (40, {**token, "t": "0" * 32}),
        (40, {**token, "t": "é"}),
        (40, {**token, "s": "other"}),
        (43, {"u": "ann", "apiKey": keys["key"]}),
        (43, {"apiKey": keys["key"], "p": "x"}),
        (43, {**token, "p": "x"}),
        (44, {"apiKey": "x"}),
        (44, {"apiKey": keys["key"][:-1] + "_"}),
        (50, {"apiKey": keys["shop"]}),
    ]
    for code, values in wrong:
        answer = client.get("/rest/getStarred2", params={"f": "json", **values})
        assert (answer.status_code, answer.json()["subsonic-response"]["error"]["code"]) == (200, code), values
    assert client.get("/rest/getStarred2", params={"f": "json", "u": "ann", "p": keys["shop"]}).json()[
        "subsonic-response"
    ]["starred2"] == {"song": []}, "the key of an app's server speaks of every user"
    without = serve(require_keys=True)
    assert without.get("/rest/ping", params={"f": "json", **token}).json()["subsonic-response"]["error"]["code"] == 41
    with closing(Store.open(make_settings(world, tmp_path).store_url)) as store:
        Keyring(store).revoke(keys["id"])
    assert client.get("/rest/ping", params={"f": "json", **token}).json()["subsonic-response"]["error"]["code"] == 40


def test_guesses_and_requests_are_counted(serve: Any, keys: dict[str, str]) -> None:
    client = serve(require_keys=True, player_secret=SECRET, refused_keys_per_minute=3)
    statuses = [client.get("/rest/ping", params={"u": "ann", "p": f"{n}"}).status_code for n in range(6)]
    assert statuses == [200, 200, 200, 429, 429, 429]
    client = serve(require_keys=True, requests_per_minute=4)
    right = [client.get("/rest/ping", params={"apiKey": keys["key"]}).status_code for _ in range(6)]
    other = [client.get("/rest/ping", params={"apiKey": keys["other"]}).status_code for _ in range(2)]
    nobody = [client.get("/rest/ping").status_code for _ in range(6)]
    assert (right, other, nobody) == ([200] * 4 + [429] * 2, [200] * 2, [200] * 4 + [429] * 2)


def test_a_cookie_is_no_login_and_another_site_is_nobody(serve: Any, keys: dict[str, str]) -> None:
    locked = serve(require_keys=True)
    cookie = {"Cookie": f"firstlisten_key={keys['key']}", "Sec-Fetch-Site": "same-origin"}
    values = {"f": "json", "id": "low0"}
    assert locked.get("/rest/star", params=values, headers=cookie).json()["subsonic-response"]["error"]["code"] == 10
    client = serve()
    for site in ("cross-site", "same-site"):
        answer = client.get("/rest/star", params={**values, "u": "ann"}, headers={"Sec-Fetch-Site": site})
        assert answer.json()["subsonic-response"]["error"]["code"] == 50
    ask(client, "star", 10, id="low0", u="")
