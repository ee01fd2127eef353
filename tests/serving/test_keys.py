"""Keys: what is kept of them, how they end, and that every worker learns of it within seconds."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, text

from recommender.errors import ConfigError, StoreError
from recommender.serving import keys
from recommender.serving.keys import Keyring, id_of
from recommender.serving.store import Store


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = Store.open(store_url)
    yield opened
    opened.close()


def test_a_key_is_shown_once_and_kept_as_a_hash(store: Store, store_url: str) -> None:
    key, shown = Keyring(store).create("app", ["listen", "read"], "ü 1", 30)
    assert id_of(shown) == key.key_id
    assert len(shown.split("_", 2)[2]) * 6 >= 256
    assert Keyring(store).all() == [key]
    assert key.matches(shown)
    assert not key.matches(shown + "x")
    assert key.digest not in repr(key)
    engine = create_engine(store_url)
    with engine.connect() as connection:
        row = tuple(connection.execute(text("SELECT * FROM api_keys")).one())
    engine.dispose()
    assert shown not in row
    assert shown.split("_", 2)[2] not in map(str, row)


def test_two_keys_have_nothing_in_common(store: Store) -> None:
    (one, first), (two, second) = (Keyring(store).create("same", ["read"]) for _ in range(2))
    assert one.key_id != two.key_id
    assert not one.matches(second)
    assert not two.matches(first)


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"scopes": []}, "without a scope"),
        ({"scopes": ["write"]}, "'write' is no scope"),
        ({"scopes": ["admin"], "user_id": "u"}, "cannot be an administrator's"),
        ({"user_id": ""}, "has 0"),
        ({"user_id": "x" * 257}, "has 257"),
        ({"name": ""}, "no name"),
        ({"name": "a\nb"}, "no name"),
        ({"expires_days": 0}, "cannot expire in 0 days"),
        ({"expires_days": float("nan")}, "cannot expire in nan days"),
        ({"expires_days": 1e300}, "cannot expire"),
    ],
)
def test_choices_that_contradict_each_other_are_refused(store: Store, choices: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Keyring(store).create(**{"name": "n", "scopes": ["read"], **choices})
    assert Keyring(store).all() == []


def test_expired_and_revoked_keys_let_nobody_in(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = Keyring(store)
    assert not keyring.any_valid()
    key, _ = keyring.create("short", ["read"], expires_days=1)
    assert keyring.any_valid()
    assert not key.is_valid(key.created_at_ms + 86_400_000)
    assert keyring.revoke(key.key_id)
    assert not keyring.revoke(key.key_id)
    assert not keyring.revoke("nothing")
    assert not keyring.any_valid()


def test_when_a_key_was_used_is_kept_to_the_hour(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = Keyring(store)
    key, _ = keyring.create("app", ["read"])
    assert not key.is_used_lately(key.created_at_ms)
    keyring.note_use(key)
    used = keyring.read(key.key_id)
    assert used is not None
    assert used.used_at_ms is not None
    assert used.is_used_lately(used.used_at_ms + keys.USED_EVERY_MS - 1)
    assert not used.is_used_lately(used.used_at_ms + keys.USED_EVERY_MS)


def test_a_known_key_goes_on_while_the_store_is_away(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = Keyring(store, ttl_s=0.0)
    key, other = keyring.create("app", ["read"])[0], keyring.create("b", ["read"])[0]
    assert keyring.read(key.key_id) == key
    assert keyring.remembered(key.key_id) is None

    def away(_: str) -> None:
        raise StoreError("the listens' database cannot be read: away")

    monkeypatch.setattr(keyring, "_fetch", away)
    assert keyring.read(key.key_id) == key
    with pytest.raises(StoreError):
        keyring.read(other.key_id)


def test_what_nobody_made_is_not_remembered(store: Store) -> None:
    keyring = Keyring(store)
    assert [keyring.read(f"{n:012x}") for n in range(50)] == [None] * 50
    assert keyring._seen == {}


def test_a_revocation_reaches_every_worker_within_seconds(serve: Any, tmp_path: Path) -> None:
    workers = [serve(require_keys=True) for _ in range(2)]
    store = Store.open(f"sqlite:///{tmp_path / 'store.sqlite'}")
    key, shown = Keyring(store).create("app", ["read"])
    headers = {"X-Api-Key": shown}
    assert [worker.get("/v1/model", headers=headers).status_code for worker in workers] == [200, 200]
    Keyring(store).revoke(key.key_id)
    deadline = time.monotonic() + keys.TTL_S + 1
    while [worker.get("/v1/model", headers=headers).status_code for worker in workers] != [401, 401]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    answer = workers[0].get("/v1/model", headers=headers)
    assert "revoked" in answer.json()["detail"]
    used = Keyring(store).all()[0].used_at_ms
    assert used is not None
    assert used >= key.created_at_ms
    store.close()


def test_without_the_store_a_new_key_is_told_to_wait(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client: httpx.Client = serve(require_keys=True)

    def away(*_: object) -> None:
        raise StoreError("the listens' database cannot be read: away")

    monkeypatch.setattr(Keyring, "_fetch", away)
    answer = client.get("/v1/model", headers={"X-Api-Key": "fl_0123456789ab_" + "A" * 43})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
