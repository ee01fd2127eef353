"""Every route by every kind of key, over real HTTP; and what a key may not be carried by."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.routing import Mount, Route

from recommender.serving.app import create_app
from recommender.serving.keys import Key, Keyring
from recommender.serving.problems import Problem
from recommender.serving.rules import RULES
from recommender.serving.security import Caller, is_public
from recommender.serving.store import Store
from tests.serving.conftest import World, make_settings, running

KEYS: dict[str, dict[str, Any]] = {
    "read": {"scopes": ["read"]},
    "listen": {"scopes": ["listen"]},
    "both": {"scopes": ["read", "listen"]},
    "upload": {"scopes": ["upload"]},
    "admin": {"scopes": ["admin"]},
    "u01 reads": {"scopes": ["read"], "user_id": "u01"},
    "u01": {"scopes": ["read", "listen"], "user_id": "u01"},
    "u02": {"scopes": ["read", "listen"], "user_id": "u02"},
    "a leaver": {"scopes": ["listen"], "user_id": "a leaver"},
}
EVERYBODY = {"nobody", *KEYS}
KNOWN = set(KEYS)
READERS = {"read", "both", "admin", "u01 reads", "u01", "u02"}
OF_U01 = {"both", "admin", "u01 reads", "u01"}
WRITERS_OF_U01 = {"listen", "both", "admin", "u01"}
LISTEN = {"listens": [{"user_id": "u01", "track_id": "low0"}]}

ALLOWED: dict[str, tuple[set[str], str, Any]] = {
    "GET /": (EVERYBODY, "/", None),
    "GET /docs": (EVERYBODY, "/docs", None),
    "GET /healthz": (EVERYBODY, "/healthz", None),
    "GET /readyz": (EVERYBODY, "/readyz", None),
    "GET /metrics": (EVERYBODY, "/metrics", None),
    "GET /v1/session": (KNOWN, "/v1/session", None),
    "POST /v1/session": (KNOWN, "/v1/session", None),
    "DELETE /v1/session": (EVERYBODY, "/v1/session", None),
    "GET /v1/model": (READERS, "/v1/model", None),
    "POST /v1/model/reload": ({"admin"}, "/v1/model/reload", None),
    "GET /v1/tracks": (READERS, "/v1/tracks", None),
    "POST /v1/tracks": ({"upload", "admin"}, "/v1/tracks", None),
    "GET /v1/uploads/{upload_id:path}": ({"upload", "admin"}, "/v1/uploads/t0", None),
    "GET /v1/tracks/{track_id:path}": (READERS, "/v1/tracks/low0", None),
    "GET /v1/tracks/{track_id:path}/similar": (READERS, "/v1/tracks/low0/similar", None),
    "GET /v1/tracks/{track_id:path}/audio": (READERS, "/v1/tracks/low0/audio", None),
    "HEAD /v1/tracks/{track_id:path}/audio": (READERS, "/v1/tracks/low0/audio", None),
    "GET /v1/tracks/{track_id:path}/listeners": ({"both", "admin"}, "/v1/tracks/low0/listeners", None),
    "GET /v1/map": (READERS, "/v1/map", None),
    "GET /v1/clusters": (READERS, "/v1/clusters", None),
    "GET /v1/clusters/{cluster_id:path}/playlist": (READERS, "/v1/clusters/0/playlist", None),
    "PUT /v1/clusters/{cluster_id}": ({"admin"}, "/v1/clusters/0", {"name": "calm"}),
    "POST /v1/playlists": (OF_U01, "/v1/playlists", {"users": ["u01"]}),
    "POST /v1/recommendations": (READERS, "/v1/recommendations", {"liked": ["low0"]}),
    "GET /v1/users": ({"both", "admin"}, "/v1/users", None),
    "GET /v1/users/{user_id:path}/recommendations": (OF_U01, "/v1/users/u01/recommendations", None),
    "GET /v1/users/{user_id:path}/explanations/{track_id:path}": (OF_U01, "/v1/users/u01/explanations/low0", None),
    "GET /v1/users/{user_id:path}/shares": (OF_U01, "/v1/users/u01/shares?track=low0", None),
    "GET /v1/users/{user_id:path}/feedback": (OF_U01, "/v1/users/u01/feedback", None),
    "PUT /v1/users/{user_id:path}/feedback/{track_id:path}": (
        WRITERS_OF_U01,
        "/v1/users/u01/feedback/low0",
        {"value": "love"},
    ),
    "POST /v1/listens": (WRITERS_OF_U01, "/v1/listens", LISTEN),
    "GET /v1/users/{user_id:path}/export": (OF_U01, "/v1/users/u01/export", None),
    "POST /1/submit-listens": ({"u01", "u02", "a leaver"}, "/1/submit-listens", {}),
    "POST /1/feedback/recording-feedback": ({"u01", "u02", "a leaver"}, "/1/feedback/recording-feedback", {}),
    "GET /1/validate-token": (EVERYBODY, "/1/validate-token", None),
    "GET /1/user/{user_id:path}/listens": (OF_U01, "/1/user/u01/listens", None),
    "GET /1/user/{user_id:path}/listen-count": (OF_U01, "/1/user/u01/listen-count", None),
    "DELETE /v1/users/{user_id:path}": ({"a leaver", "admin"}, "/v1/users/a leaver", None),
}
"""By route: whose key is let in, an address, a body."""


SUBSONIC: dict[str, set[str]] = {
    "getOpenSubsonicExtensions": EVERYBODY,
    **dict.fromkeys(("ping", "getLicense", "getUser", "tokenInfo", "getScanStatus"), KNOWN),
    **dict.fromkeys(
        ("getMusicFolders", "getArtists", "getArtist", "getAlbum", "getSong", "getGenres", "getAlbumList2", "search3",
         "getRandomSongs", "getCoverArt", "stream", "download", "getSonicSimilarTracks", "findSonicPath",
         "getSimilarSongs", "getSimilarSongs2"),
        READERS,
    ),
    **dict.fromkeys(("getStarred2", "getPlaylists", "getPlaylist"), OF_U01),
    **dict.fromkeys(
        ("scrobble", "star", "unstar", "setRating", "createPlaylist", "updatePlaylist", "deletePlaylist"),
        WRITERS_OF_U01,
    ),
}  # fmt: skip
"""By route of Subsonic: whose key is let in that says it is u01's player."""

REFUSED = {10, 40, 44, 50}
ENOUGH = {"id": "low0", "query": "", "type": "random", "playlistId": "p", "rating": "5", "name": "n"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def texts(world: World, folder: Path) -> dict[str, str]:
    with closing(Store.open(make_settings(world, folder).store_url)) as store:
        return {name: Keyring(store).create(name, **choices)[1] for name, choices in KEYS.items()}


@pytest.fixture(scope="module")
def app(world: World, folder: Path, texts: dict[str, str]) -> FastAPI:
    return create_app(make_settings(world, folder, require_keys=True))


@pytest.fixture(scope="module")
def locked(app: FastAPI) -> Iterator[httpx.Client]:
    with running(app) as address, httpx.Client(base_url=address, timeout=30, trust_env=False) as http:
        yield http


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def routes_of(app: FastAPI) -> set[str]:
    """Method and path of everything that answers, but for the page's files and the API's description."""
    found = set()
    for route in app.routes:
        router = getattr(route, "original_router", None)
        for each in router.routes if isinstance(router, APIRouter) else [route]:
            if isinstance(each, Mount):
                assert each.path == "/static", f"{each.path} is mounted beside the keys"
            elif isinstance(each, Route) or hasattr(each, "methods"):
                found |= {f"{method} {each.path}" for method in each.methods}
    return found - {"GET /openapi.json", "HEAD /openapi.json"}


def test_every_route_has_a_rule_and_is_in_this_table(app: FastAPI) -> None:
    assert len(routes_of(app)) >= 20
    assert routes_of(app) <= set(RULES), "give the new route a rule in recommender.serving.rules.RULES"
    others = {route for route in routes_of(app) if "/rest/" not in route}
    assert others <= set(ALLOWED), "say here who may use the new route"
    named = {f"{verb} /rest/{name}{view}" for name in SUBSONIC for verb in ("GET", "POST") for view in ("", ".view")}
    assert routes_of(app) - others == named, "say here who may use the new route"


@pytest.mark.parametrize("route", ALLOWED)
def test_who_may_do_what(locked: httpx.Client, texts: dict[str, str], route: str) -> None:
    allowed, path, body = ALLOWED[route]
    for name in sorted(EVERYBODY):
        headers = bearer(texts[name]) if name in texts else {}
        locked.cookies.clear()
        answer = locked.request(route.split()[0], path, json=body, headers=headers)
        expected = {True: "in", False: 401 if name == "nobody" else 403}[name in allowed]
        got = answer.status_code if answer.status_code in (401, 403) else "in"
        assert got == expected, (route, name, answer.text[:200])
        assert answer.status_code < 500
        if got != "in":
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"].startswith('Bearer realm="firstlisten"')
            assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", SUBSONIC)
def test_who_may_do_what_by_a_player(locked: httpx.Client, texts: dict[str, str], name: str) -> None:
    """With a password, as u01; the key of another user as an API key, which speaks of that one."""
    values = {**ENOUGH, "startSongId": "low0", "endSongId": "low1", "f": "json"}
    passed = set()
    for who in EVERYBODY - {"a leaver"}:
        bound = KEYS.get(who, {}).get("user_id", "u01")
        login = {} if who == "nobody" else {"u": "u01", "p": texts[who]} if bound == "u01" else {"apiKey": texts[who]}
        answer = locked.post(f"/rest/{name}.view", data={**values, **login})
        assert answer.status_code == 200
        is_sound = answer.headers["content-type"] == "audio/wav"
        content = {} if is_sound else answer.json()["subsonic-response"]
        if content.get("error", {}).get("code") not in REFUSED:
            passed.add(who)
    of_themselves = {"u02"} if SUBSONIC[name] in (OF_U01, WRITERS_OF_U01) else set()
    assert passed == (SUBSONIC[name] | of_themselves) - {"a leaver"}


def test_a_route_without_a_rule_is_for_administrators(world: World, tmp_path: Path) -> None:
    app = create_app(make_settings(world, tmp_path, require_keys=True))
    app.add_api_route("/v1/forgotten", lambda: "data")
    keyring = Keyring(app.state.context.store)
    ours, theirs = keyring.create("a", ["admin"])[1], keyring.create("b", ["read", "listen", "upload"])[1]
    with running(app) as address:
        statuses = [httpx.get(f"{address}/v1/forgotten", headers=bearer(text)).status_code for text in (ours, theirs)]
    assert statuses == [200, 403]


def test_the_user_of_a_key_is_the_only_one_that_it_speaks_of(locked: httpx.Client, texts: dict[str, str]) -> None:
    for path in ("/v1/users/u02/recommendations", "/v1/users/u01%2F..%2Fu02/feedback", "/v1/users/u01/x/feedback"):
        assert locked.get(path, headers=bearer(texts["u01"])).status_code == 403
    mixed = {"listens": [*LISTEN["listens"], {"user_id": "u02", "track_id": "low0"}]}
    answer = locked.post("/v1/listens", json=mixed, headers=bearer(texts["u01"]))
    assert answer.status_code == 403
    assert "may not speak of user 'u02'" in answer.json()["detail"]


def test_a_key_is_taken_from_headers_and_never_from_the_address(locked: httpx.Client, texts: dict[str, str]) -> None:
    text = texts["read"]
    assert locked.get("/v1/model", headers={"X-Api-Key": text}).status_code == 200
    assert locked.get("/v1/model", headers={"Authorization": f"bearer  {text}"}).status_code == 200
    for name in ("key", "api_key", "access_token", "X-Api-Key"):
        assert locked.get("/v1/model", params={name: text}).status_code == 401


@pytest.mark.parametrize("text", ["x", "fl_0123456789ab_" + "A" * 43, "fl_", "é", "Bearer", "fl_" + "x" * 9000])
def test_what_is_no_key_is_refused(locked: httpx.Client, text: str) -> None:
    answer = locked.get("/v1/model", headers={b"Authorization": f"Bearer {text}".encode()})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_right_id_with_a_wrong_secret_is_refused(locked: httpx.Client, texts: dict[str, str]) -> None:
    text = texts["admin"]
    wrong = text[:-1] + ("A" if text[-1] != "A" else "B")
    assert locked.get("/v1/model", headers=bearer(text)).status_code == 200
    assert locked.get("/v1/model", headers=bearer(wrong)).status_code == 401


def test_a_large_body_is_refused_before_it_is_read(locked: httpx.Client, texts: dict[str, str]) -> None:
    def endless() -> Iterator[bytes]:
        yield b"--b\r\n"
        raise AssertionError("the body was asked for")  # pragma: no cover

    with socket.create_connection((locked.base_url.host, locked.base_url.port), timeout=10) as raw:
        head = "POST /v1/tracks HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        raw.sendall(f"{head}Authorization: Bearer {texts['read']}\r\nContent-Length: 1000000\r\n\r\n".encode())
        assert raw.recv(4096).startswith(b"HTTP/1.1 403")


def test_a_login_is_a_cookie_that_other_sites_cannot_use(locked: httpx.Client, texts: dict[str, str]) -> None:
    answer = locked.post("/v1/session", headers=bearer(texts["u01"]))
    assert (answer.json()["user"], answer.json()["scopes"]) == ("u01", ["read", "listen"])
    cookie = answer.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=strict", "Path=/"):
        assert part in cookie
    assert "Max-Age" not in cookie
    locked.cookies.clear()
    headers = {"Cookie": cookie.split(";")[0]}
    own = str(locked.base_url).rstrip("/")
    assert locked.get("/v1/tracks/low0/audio", headers=headers).status_code == 200
    outcomes = {
        status: locked.post("/v1/listens", json=LISTEN, headers={**headers, **more}).status_code
        for status, more in {
            "the page": {"Sec-Fetch-Site": "same-origin"},
            "the page, plain http": {"Origin": own},
            "another port": {"Sec-Fetch-Site": "same-site", "Origin": own},
            "another site": {"Sec-Fetch-Site": "cross-site"},
            "another site, old browser": {"Origin": "http://evil.example"},
            "no origin": {"Origin": "null"},
            "no browser": {},
        }.items()
    }
    assert [name for name, status in outcomes.items() if status == 200] == ["the page", "the page, plain http"]
    assert set(outcomes.values()) == {200, 403}
    assert "Max-Age=0" in locked.delete("/v1/session").headers["set-cookie"]


def test_a_secret_is_in_no_log(
    locked: httpx.Client, texts: dict[str, str], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    access = logging.getLogger("uvicorn.access")
    access.addHandler(caplog.handler)
    before = access.level
    access.setLevel(logging.INFO)
    try:
        with caplog.at_level(logging.DEBUG):
            for name, text in texts.items():
                locked.get("/v1/users", headers=bearer(text))
                locked.post("/v1/session", headers={"X-Api-Key": text})
                locked.get("/v1/model", headers={"Cookie": f"firstlisten_key={text}"})
                locked.get(f"/v1/model?key={text}&name={name}")
                locked.get(f"/v1/tracks/{text}", headers=bearer(texts["read"]))
    finally:
        locked.cookies.clear()
        access.setLevel(before)
        access.removeHandler(caplog.handler)
    secrets = [text.split("_", 2)[2] for text in texts.values()]
    ours = [record for record in caplog.records if record.name == "uvicorn.access"]
    assert len(ours) >= 5 * len(texts)
    assert not [record.getMessage() for record in ours for secret in secrets if secret in record.getMessage()]
    for path in folder.glob("store.sqlite*"):
        content = path.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content]


def test_nobody_is_asked_on_loopback(client: httpx.Client) -> None:
    assert client.get("/v1/users").status_code == 200
    answer = client.get("/v1/session").json()
    assert (answer["keys_required"], answer["name"], answer["scopes"]) == (
        False,
        None,
        ["read", "listen", "upload", "admin"],
    )


@pytest.mark.parametrize(
    ("server", "public"),
    [
        (("127.0.0.1", 1), False), (("127.8.8.8", 1), False), (("::1", 1), False), (("::ffff:127.0.0.1", 1), False),
        (("/run/x.sock", None), False), (None, False), (("10.0.0.1", 1), True), (("fe80::1%eth0", 1), True),
        (("::ffff:10.0.0.1", 1), True), (("203.0.113.9", 1), True),
    ],
)  # fmt: skip
def test_an_address_that_others_reach(server: Any, public: bool) -> None:
    assert is_public(server) is public


def test_keys_are_asked_for_where_others_reach_it_whatever_the_settings_say(world: World, tmp_path: Path) -> None:
    app = create_app(make_settings(world, tmp_path))

    async def statuses() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            asked = ("http://192.0.2.7/v1/model", "http://192.0.2.7/healthz", "http://127.0.0.1/v1/model")
            return [(await client.get(address)).status_code for address in asked]

    assert asyncio.run(statuses()) == [401, 200, 200]
    app.state.context.store.close()


def test_openapi_says_where_a_key_is_needed(client: httpx.Client) -> None:
    schema = client.get("/openapi.json").json()
    assert set(schema["components"]["securitySchemes"]) == {"bearer", "header"}
    for path, methods in schema["paths"].items():
        for method, route in methods.items():
            assert ("401" in route["responses"]) == ("security" in route), (method, path)
    assert "security" not in schema["paths"]["/healthz"]["get"]
    assert "security" in schema["paths"]["/v1/users/{user_id}/feedback/{track_id}"]["put"]


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        ("erase", {"admin", "u01"}),
        ("metrics", {"admin"}),
        ("admin", {"admin"}),
        ("personal", OF_U01),
        ("everyone", {"both", "admin"}),
    ],
)
def test_rules_by_key(rule: Any, allowed: set[str]) -> None:
    passed, statuses = set(), set()
    for name, choices in KEYS.items():
        key = Key("0" * 12, name, frozenset(choices["scopes"]), choices.get("user_id"), "", 0)
        try:
            Caller(key).check(rule, "u01")
            passed.add(name)
        except Problem as problem:
            statuses.add(problem.status)
    assert passed == allowed
    assert statuses == {403}


def test_metrics_are_for_this_machine_too_unless_a_proxy_is_between() -> None:
    Caller(on_loopback=True).check("metrics")
    with pytest.raises(Problem) as caught:
        Caller().check("metrics")
    assert caught.value.status == 401
