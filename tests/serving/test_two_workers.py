"""Two processes over one store: what one is told, the other answers by, and both follow the current bundle."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from recommender.serving.bundle import use_bundle
from tests.serving.conftest import LOW_HZ, World, make_settings, tone, write_wav
from tests.serving.processes import await_ready, worker
from tests.serving.test_feedback import everything, give
from tests.serving.test_listens import listen

REFRESH_S = 1.0
"""The default: what the other process is promised to know after."""

SLACK_S = 1.5
"""For a machine that does other things."""

pytestmark = pytest.mark.slow
Pair = tuple[httpx.Client, httpx.Client]


@pytest.fixture(scope="module")
def own_world(world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("pair")
    shutil.copytree(world.bundles, folder / "bundles")
    return World(folder / "bundles", world.music)


@pytest.fixture(scope="module")
def pair(own_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two servers, and none of their own threads to look at the store sooner than is promised."""
    settings = make_settings(
        own_world, tmp_path_factory.mktemp("store"), refresh_s=REFRESH_S, answers_s=30.0, warm_hearing=True
    )
    with ExitStack() as stack:
        both = [stack.enter_context(worker(settings)) for _ in range(2)]
        for served in both:
            await_ready(served)
        a, b = (
            stack.enter_context(httpx.Client(base_url=served.address, timeout=60, trust_env=False)) for served in both
        )
        for client in (a, b):
            _until(lambda client=client: client.get("/v1/model").json()["ears_ready"], 30)
        yield a, b


def _until(holds: Callable[[], object], timeout_s: float) -> float:
    """Return after how many seconds something held."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < timeout_s, f"not within {timeout_s} s"
        time.sleep(0.02)
    return time.monotonic() - began


def test_a_listen_here_changes_the_next_list_there(pair: Pair) -> None:
    a, b = pair
    before = everything(b, "u01")
    assert everything(b, "u01") == before
    listen(a, {"user_id": "u01", "track_id": before[0][0]})
    waited = _until(lambda: before[0][0] not in dict(everything(b, "u01")), REFRESH_S + SLACK_S)
    assert everything(a, "u01") == everything(b, "u01")
    print(f"a listen: {waited:.2f} s")


def test_a_love_and_a_skip_do_so_more(pair: Pair) -> None:
    a, b = pair
    for user in ("listener", "lover", "skipper"):
        listen(a, *({"user_id": user, "track_id": track} for track in [f"low{n}" for n in range(6)]))
    _until(lambda: b.get("/v1/users/skipper/recommendations").status_code == 200, REFRESH_S + SLACK_S)
    before = dict(everything(b, "listener"))
    assert dict(everything(b, "lover")) == dict(everything(b, "skipper")) == before
    first = next(iter(before))  # what is listened to, loved or skipped
    listen(a, {"user_id": "listener", "track_id": first})
    give(a, "lover", first, "love")
    listen(a, {"user_id": "skipper", "track_id": first, "skipped": True})
    moved = {}
    for user in ("listener", "lover", "skipper"):
        _until(lambda user=user: first not in dict(everything(b, user)), REFRESH_S + SLACK_S)
        moved[user] = sum(abs(score - before[track]) for track, score in everything(b, user))
    print(moved)
    assert moved["lover"] > 1.1 * moved["listener"] > 0
    assert moved["skipper"] > 1.1 * moved["listener"]


def test_an_upload_here_can_be_recommended_there_and_warms_up(pair: Pair, tmp_path: Path) -> None:
    a, b = pair
    content = write_wav(tmp_path / "new.wav", tone(LOW_HZ, seed=77)).read_bytes()
    for client in pair:
        everything(client, "u03")  # an answer that is kept hides no upload
    began = time.monotonic()
    sent = a.post("/v1/tracks", files={"file": ("new.wav", content)})
    assert sent.status_code == 201, sent.text
    track = sent.json()["track"]["id"]
    _until(lambda: track in dict(everything(b, "u03")), 10)
    took = time.monotonic() - began
    print(f"an upload: {took:.2f} s")
    assert took < 2 + SLACK_S
    weights, listeners = [], []
    for user in ("u05", "u07", "u09", "u11"):
        told = b.get(f"/v1/users/u03/explanations/{track}").json()
        weights.append(told["play_weight"])
        listeners.append(told["evidence"]["listeners"])
        listen(a, {"user_id": user, "track_id": track})
        known = len(listeners)
        _until(
            lambda known=known: b.get(f"/v1/tracks/{track}").json()["track"]["listeners"] == known,
            REFRESH_S + SLACK_S,
        )
    assert listeners == [0, 1, 2, 3]
    assert weights[0] == 0
    assert weights == sorted(set(weights))


def test_fifty_reloads_fail_nobody_and_every_answer_is_of_one_bundle(own_world: World, tmp_path: Path) -> None:
    paths = ("/v1/users/u01/recommendations", "/v1/tracks/low0", "/v1/tracks?limit=3", "/v1/model")
    faults, answered, done = [], [0], threading.Event()

    def ask(address: str) -> None:
        with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
            while not done.is_set():
                for path in paths:
                    answer = client.get(path)
                    answered[0] += 1
                    if answer.status_code != 200 or answer.json()["bundle"] != answer.headers["firstlisten-bundle"]:
                        faults.append((path, answer.status_code, answer.text[:200]))

    settings = make_settings(own_world, tmp_path, refresh_s=0.2, answers_s=30.0)
    with ExitStack() as stack:
        both = [stack.enter_context(worker(settings)) for _ in range(2)]
        for served in both:
            await_ready(served)
        threads = [threading.Thread(target=ask, args=(served.address,)) for served in both for _ in range(2)]
        for thread in threads:
            thread.start()
        stack.callback(done.set)
        with httpx.Client(timeout=60, trust_env=False) as client:
            for turn in range(50):
                version = ("no-ears", "with-ears")[turn % 2]
                use_bundle(own_world.bundles, version)
                if turn % 5 == 0:  # the other one is never told
                    assert client.post(f"{both[0].address}/v1/model/reload").json()["bundle"] == version
                for served in both:
                    _until(lambda s=served, v=version: client.get(f"{s.address}/healthz").json()["bundle"] == v, 20)
            damaged = own_world.bundles / "no-ears" / "hybrid.safetensors"
            content = damaged.read_bytes()
            damaged.unlink()  # a process may still have the old one mapped
            damaged.write_bytes(content[:-10])
            use_bundle(own_world.bundles, "no-ears")
            for served in both:
                _until(lambda s=served: "damaged" in client.get(f"{s.address}/v1/model").json()["refused"], 20)
                assert client.get(f"{served.address}/healthz").json()["bundle"] == "with-ears"
            use_bundle(own_world.bundles, "with-ears")
        done.set()
        for thread in threads:
            thread.join()
        assert [served.process.poll() for served in both] == [None, None]
    assert faults == []
    assert answered[0] > 400
    print(f"{answered[0]} answers over 50 reloads of two processes")
