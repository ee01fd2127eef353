"""Every error is a problem document that says what to do next."""

import json

import httpx
import pytest

from recommender.errors import ConfigError
from recommender.serving.problems import SECURITY_HEADERS
from recommender.serving.rules import SUBSONIC_RULES


def check_problem(answer: httpx.Response, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert {"type", "title", "status", "detail", "instance", "bundle"} <= set(body)
    assert body["status"] == status
    assert body["bundle"] == "with-ears"
    assert body["detail"]
    assert "\n" not in body["detail"]
    return body


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v1/users/nobody/recommendations", "unknown user 'nobody'"),
        ("/v1/users//recommendations", "unknown user ''"),
        ("/v1/users/u01/explanations/nothing", "unknown track 'nothing'"),
        ("/v1/users/nobody/explanations/low0", "unknown user 'nobody'"),
        ("/v1/tracks/nothing", "unknown track 'nothing'"),
        ("/v1/tracks/nothing/similar", "unknown track 'nothing'"),
        ("/v1/tracks/nothing/audio", "unknown track 'nothing'"),
        ("/v1/tracks/..%2F..%2Fetc%2Fpasswd/audio", "unknown track '../../etc/passwd'"),
        ("/v1/tracks/%F0%9F%8E%B5%00", "unknown track '🎵\\x00'"),
        ("/v1/nothing", "there is nothing at /v1/nothing"),
        ("/static/../app.py", "there is nothing at"),
        ("/static/%2e%2e/app.py", "there is nothing at"),
    ],
)
def test_unknown_things_are_named(client: httpx.Client, path: str, named: str) -> None:
    assert named in check_problem(client.get(path), 404)["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/users/u01/recommendations?top=0",
        "/v1/users/u01/recommendations?top=501",
        "/v1/users/u01/recommendations?top=99999999999999999999999",
        "/v1/users/u01/recommendations?top=many",
        "/v1/users/u01/recommendations?max_per_artist=-1",
        "/v1/tracks?limit=-1",
        "/v1/tracks?offset=-1",
        "/v1/tracks?order=loudest",
        "/v1/tracks?query=" + "x" * 257,
        "/v1/tracks/low0/similar?top=1.5",
        "/v1/users?limit=501",
    ],
)
def test_values_out_of_range_are_named(client: httpx.Client, path: str) -> None:
    problem = check_problem(client.get(path), 422)
    assert problem["errors"][0]["where"].startswith("query.")
    assert problem["detail"].startswith("query.")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        '"text"',
        '{"liked": "low0"}',
        '{"liked": [1]}',
        '{"liked": [""]}',
        '{"liked": ["a\\u0000b"]}',
        '{"liked": ["\\ud800"]}',
        '{"likes": []}',
        '{"top": 1e9}',
        '{"top": NaN}',
        '{"liked": [' + ",".join(['"x"'] * 5001) + "]}",
    ],
)
def test_malformed_bodies_are_refused(client: httpx.Client, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    check_problem(client.post("/v1/recommendations", content=body, headers=headers), 422)


def test_bytes_that_are_no_text_are_refused(client: httpx.Client) -> None:
    answer = client.post(
        "/v1/recommendations", content=b'{"liked": ["\xff\xfe"]}', headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    check_problem(answer, answer.status_code)


def test_very_deep_json_is_refused(client: httpx.Client) -> None:
    answer = client.post("/v1/recommendations", content="[" * 100_000, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    check_problem(answer, answer.status_code)


@pytest.mark.parametrize("content", [b"x" * 300_000, iter([b"x" * 100_000] * 4)], ids=["declared", "chunked"])
def test_a_body_that_is_too_large_is_refused(client: httpx.Client, content: object) -> None:
    answer = client.post("/v1/listens", content=content, headers={"Content-Type": "application/json"})
    assert "MiB" in check_problem(answer, 413)["detail"]


def test_other_methods_are_refused(client: httpx.Client) -> None:
    problem = check_problem(client.delete("/v1/tracks"), 405)
    assert problem["detail"].startswith("DELETE is not possible")


def test_other_sites_cannot_write(client: httpx.Client) -> None:
    answer = client.post("/v1/recommendations", json={}, headers={"Sec-Fetch-Site": "cross-site"})
    check_problem(answer, 403)
    assert client.post("/v1/recommendations", json={}, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/v1/model", "/v1/nothing", "/v1/tracks/low0/audio"])
def test_every_answer_carries_the_security_headers(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    for name, value in SECURITY_HEADERS.items():
        assert headers[name] == value
    assert headers["firstlisten-bundle"] == "with-ears"
    assert "access-control-allow-origin" not in headers


def test_the_page_loads_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/").text
    assert "http://" not in page
    assert "https://" not in page
    assert " style=" not in page
    assert "<script>" not in page


def test_an_unexpected_failure_is_a_problem_too(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret path /home/x")

    monkeypatch.setattr("recommender.serving.routes.tracks.tracks_of", broken)
    with httpx.Client(base_url=client.base_url, trust_env=False) as once:  # the server ends this connection
        answer = once.get("/v1/tracks")
    assert "secret" not in json.dumps(check_problem(answer, 500))
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_openapi_is_complete(client: httpx.Client) -> None:
    schema = client.get("/openapi.json").json()
    assert schema["openapi"].startswith("3.1")
    operations = {
        f"{method.upper()} {path}": route
        for path, methods in schema["paths"].items()
        for method, route in methods.items()
    }
    assert set(operations) == {
        "GET /v1/users",
        "GET /v1/users/{user_id}/recommendations",
        "GET /v1/users/{user_id}/explanations/{track_id}",
        "GET /v1/users/{user_id}/feedback",
        "GET /v1/users/{user_id}/shares",
        "GET /v1/users/{user_id}/export",
        "DELETE /v1/users/{user_id}",
        "PUT /v1/users/{user_id}/feedback/{track_id}",
        "POST /v1/recommendations",
        "GET /v1/tracks",
        "POST /v1/tracks",
        "GET /v1/uploads/{upload_id}",
        "GET /v1/tracks/{track_id}",
        "GET /v1/tracks/{track_id}/similar",
        "GET /v1/tracks/{track_id}/audio",
        "GET /v1/tracks/{track_id}/listeners",
        "POST /v1/listens",
        "GET /v1/session",
        "POST /v1/session",
        "DELETE /v1/session",
        "GET /v1/model",
        "POST /v1/model/reload",
        "GET /v1/map",
        "GET /v1/clusters",
        "GET /v1/clusters/{cluster_id}/playlist",
        "PUT /v1/clusters/{cluster_id}",
        "POST /v1/playlists",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
        "POST /1/submit-listens",
        "POST /1/feedback/recording-feedback",
        "GET /1/validate-token",
        "GET /1/user/{user_id}/listens",
        "GET /1/user/{user_id}/listen-count",
        *(f"{method} /rest/{name}" for name in SUBSONIC_RULES for method in ("GET", "POST")),
    }
    for name, route in operations.items():
        assert route["summary"], name
        assert route["description"], name
        for status, answer in route["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], (name, status)
    for name, shape in schema["components"]["schemas"].items():
        if name.startswith("Body_"):
            continue
        assert shape["description"], name
    assert schema["components"]["schemas"]["Recommendations"]["examples"]


def test_other_sites_pages_are_left_out_unless_they_are_named(serve):
    shop, other = "https://shop.example", "https://other.example"
    asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    sending = {"Sec-Fetch-Site": "cross-site"}
    listen = {"listens": [{"user_id": "u01", "track_id": "low0"}]}
    closed = serve()
    assert "access-control-allow-origin" not in closed.get("/v1/tracks", headers={"Origin": shop}).headers
    assert closed.options("/v1/listens", headers={"Origin": shop, **asking}).status_code == 405
    assert closed.post("/v1/listens", json=listen, headers={"Origin": shop, **sending}).status_code == 403
    named = serve(cors_origins=f"{shop}, http://localhost:5173")
    preflight = named.options("/v1/listens", headers={"Origin": shop, **asking})
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, shop)
    sent = named.post("/v1/listens", json=listen, headers={"Origin": shop, **sending})
    assert (sent.status_code, sent.headers["access-control-allow-origin"]) == (200, shop)
    assert "access-control-allow-credentials" not in sent.headers
    assert named.post("/v1/listens", json=listen, headers={"Origin": other, **sending}).status_code == 403
    assert named.options("/v1/listens", headers={"Origin": other, **asking}).status_code == 400
    for wrong in ("*", "shop.example", "https://shop.example/path"):
        with pytest.raises(ConfigError, match="cors_origins has"):
            serve(cors_origins=wrong)
