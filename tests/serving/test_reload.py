import shutil
import threading

import httpx
import pytest

from recommender.ranking.prepared import is_prepared
from recommender.serving.app import create_app
from recommender.serving.bundle import current_bundle, use_bundle
from tests.serving.conftest import World, make_settings, running

PATHS = ("/v1/users/u01/recommendations", "/v1/tracks/low0", "/v1/tracks?limit=3", "/v1/model", "/v1/users?limit=2")


@pytest.fixture
def own_world(world, tmp_path):
    shutil.copytree(world.bundles, tmp_path / "bundles")
    return World(tmp_path / "bundles", world.music)


def test_fifty_reloads_under_load_fail_nobody_and_every_answer_is_of_one_bundle(own_world, tmp_path):
    faults, answered, done = [], [0], threading.Event()

    def ask(address: str) -> None:
        with httpx.Client(base_url=address, timeout=30, trust_env=False) as http:
            while not done.is_set():
                for path in PATHS:
                    answer = http.get(path)
                    answered[0] += 1
                    if answer.status_code != 200 or answer.json()["bundle"] != answer.headers["firstlisten-bundle"]:
                        faults.append((path, answer.status_code, answer.headers["firstlisten-bundle"]))

    with running(create_app(make_settings(own_world, tmp_path, answers_s=30.0))) as address:
        threads = [threading.Thread(target=ask, args=(address,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            with httpx.Client(base_url=address, timeout=30, trust_env=False) as http:
                http.post("/v1/listens", json={"listens": [{"user_id": "u01", "track_id": "high7"}]})
                for turn in range(50):
                    version = ("no-ears", "with-ears")[turn % 2]
                    use_bundle(own_world.bundles, version)
                    assert http.post("/v1/model/reload").json()["bundle"] == version
                    assert http.get("/v1/model").json()["listens_since"] == 1
        finally:
            done.set()
            for thread in threads:
                thread.join()
    assert faults == []
    assert answered[0] > 100


def test_a_damaged_bundle_is_refused_and_the_other_goes_on(own_world, tmp_path):
    with (
        running(create_app(make_settings(own_world, tmp_path))) as address,
        httpx.Client(base_url=address, timeout=30, trust_env=False) as http,
    ):
        before = http.get(PATHS[0]).content
        damaged = own_world.bundles / "no-ears" / "hybrid.safetensors"
        damaged.write_bytes(damaged.read_bytes()[:-10])
        use_bundle(own_world.bundles, "no-ears")
        refused = http.post("/v1/model/reload")
        assert refused.status_code == 409
        assert "damaged" in refused.json()["detail"]
        assert http.get(PATHS[0]).content == before
        model = http.get("/v1/model").json()
        assert model["bundle"] == "with-ears"
        assert "damaged" in model["refused"]
        use_bundle(own_world.bundles, "with-ears")
        assert http.post("/v1/model/reload").json()["bundle"] == "with-ears"
        assert http.get("/v1/model").json()["refused"] == ""


def test_every_process_follows_by_itself(own_world, tmp_path):
    with (
        running(create_app(make_settings(own_world, tmp_path))) as address,
        httpx.Client(base_url=address, timeout=30, trust_env=False) as http,
    ):
        use_bundle(own_world.bundles, "no-ears")
        for _ in range(200):
            if http.get("/healthz").json()["bundle"] == "no-ears":
                break
            threading.Event().wait(0.05)
        assert http.get("/healthz").json()["bundle"] == current_bundle(own_world.bundles).name == "no-ears"


def test_what_the_old_ears_are_hearing_is_heard_to_its_end(own_world, tmp_path):
    context = create_app(make_settings(own_world, tmp_path)).state.context
    hearing = context.hearing
    hearing.warm().join()
    use_bundle(own_world.bundles, "no-ears")
    context.reloader.reload()
    assert context.hearing is not hearing
    assert len(hearing.hear(own_world.music / "low0.wav").vector) == 16
    context.store.close()


@pytest.mark.parametrize("warm", [True, False])
def test_a_bundle_answers_once_its_ears_are_ready_where_that_is_wanted(own_world, tmp_path, warm):
    use_bundle(own_world.bundles, "no-ears")
    context = create_app(make_settings(own_world, tmp_path, warm_hearing=warm)).state.context
    use_bundle(own_world.bundles, "with-ears")
    assert context.reloader.reload().version == "with-ears"
    assert context.hearing.ready is warm
    assert is_prepared(context.live.peek().model)
    context.hearing.close()
    context.store.close()
