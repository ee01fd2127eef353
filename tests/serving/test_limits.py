"""Rate limits: how much passes, what the answer says, bounded memory, and that nobody names their own address."""

from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from recommender.serving import limits
from recommender.serving.keys import Keyring
from recommender.serving.limits import RateLimit
from recommender.serving.store import Store


def make_key(folder: Path, *scopes: str) -> dict[str, str]:
    with closing(Store.open(f"sqlite:///{folder / 'store.sqlite'}")) as store:
        return {"X-Api-Key": Keyring(store).create("test", scopes)[1]}


def test_a_minutes_worth_passes_at_once_and_then_as_it_fills() -> None:
    now = [100.0]
    limit = RateLimit("requests", 6, lambda: now[0])
    passed = [limit.take("a") for _ in range(7)]
    assert [one.allowed for one in passed if one] == [True] * 6 + [False]
    assert [one.left for one in passed if one] == [5, 4, 3, 2, 1, 0, 0]
    assert passed[-1] is not None
    assert passed[-1].wait_s == pytest.approx(10)
    assert passed[-1].problem().headers == {
        "RateLimit-Policy": '"requests";q=6;w=60',
        "RateLimit": '"requests";r=0;t=10',
        "Retry-After": "10",
    }
    other = limit.take("b")
    assert other is not None
    assert other.allowed
    now[0] += 9.9
    again = limit.take("a")
    assert again is not None
    assert not again.allowed
    assert again.wait_s == pytest.approx(0.1)
    now[0] += 0.2
    assert [limit.take("a").allowed for _ in range(2)] == [True, False]  # type: ignore[union-attr]
    now[0] += 3600
    assert sum(limit.take("a").allowed for _ in range(20)) == 6  # type: ignore[union-attr]


def test_to_look_takes_nothing_and_no_limit_is_none() -> None:
    limit = RateLimit("requests", 2, lambda: 0.0)
    assert [limit.take("a", 0).left for _ in range(5)] == [2] * 5  # type: ignore[union-attr]
    assert RateLimit("requests", 0).take("a") is None


def test_many_addresses_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_BUCKETS", 100)
    limit = RateLimit("requests", 2)
    for n in range(1000):
        limit.take(f"10.0.{n // 256}.{n % 256}")
        limit.take("busy")
    assert len(limit._buckets) == 100
    assert not limit.take("busy").allowed  # type: ignore[union-attr]


def test_a_key_is_limited_and_the_next_is_not(serve: Any, tmp_path: Path) -> None:
    client: httpx.Client = serve(require_keys=True, requests_per_minute=3)
    one, other = make_key(tmp_path, "read"), make_key(tmp_path, "read")
    answers = [client.get("/v1/model", headers=one) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0", "r=0"]
    last = answers[-1]
    assert last.headers["content-type"] == "application/problem+json"
    assert 1 <= int(last.headers["retry-after"]) <= 20
    assert last.headers["x-content-type-options"] == "nosniff"
    assert "3 requests a minute" in last.json()["detail"]
    assert client.get("/v1/model", headers=other).status_code == 200
    assert client.get("/healthz").status_code == 200


def test_an_address_without_a_key_is_limited_whatever_it_says_of_itself(serve: Any) -> None:
    client: httpx.Client = serve(require_keys=True, requests_per_minute=3)
    answers = [client.get("/", headers={"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert {client.get("/healthz").status_code for _ in range(5)} == {200}


def test_uploads_have_a_stricter_limit(serve: Any, tmp_path: Path) -> None:
    client: httpx.Client = serve(require_keys=True, uploads_per_minute=2)
    key = make_key(tmp_path, "upload", "read")
    files = {"file": ("x.txt", b"no audio")}
    answers = [client.post("/v1/tracks", files=files, headers=key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [422, 422, 429]
    assert 'uploads";q=2' in answers[0].headers["ratelimit-policy"]
    assert client.get("/v1/model", headers=key).status_code == 200


def test_guesses_are_stopped_before_they_reach_the_store(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: httpx.Client = serve(require_keys=True, refused_keys_per_minute=3)
    asked: list[str] = []
    real = Keyring._fetch
    monkeypatch.setattr(Keyring, "_fetch", lambda self, key_id: asked.append(key_id) or real(self, key_id))
    good = make_key(tmp_path, "read")
    assert client.get("/v1/model", headers=good).status_code == 200
    asked.clear()
    guesses = [{"X-Api-Key": f"fl_{n:012x}_" + "A" * 43} for n in range(8)]
    assert [client.get("/v1/model", headers=each).status_code for each in guesses] == [401] * 3 + [429] * 5
    assert len(asked) == 3
    assert client.get("/v1/model", headers=good).status_code == 200, "a key that is known goes on"


def test_nobody_is_counted_on_loopback_without_keys(serve: Any) -> None:
    client: httpx.Client = serve(requests_per_minute=1, uploads_per_minute=1)
    answers = [client.get("/v1/model") for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    assert "ratelimit" not in answers[0].headers
