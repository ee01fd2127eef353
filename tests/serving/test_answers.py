import time

import httpx
import pytest

from recommender.serving.answers import Answer, Answers
from recommender.serving.app import create_app
from tests.serving.conftest import make_settings, running

PATH = "/v1/users/u01/recommendations"


@pytest.fixture
def keeping(world, tmp_path):
    with (
        running(create_app(make_settings(world, tmp_path, answers_s=300.0))) as address,
        httpx.Client(base_url=address, timeout=30, trust_env=False) as http,
    ):
        yield http


def test_nothing_new_is_answered_alike_and_news_of_the_user_at_once(keeping):
    first = keeping.get(PATH)
    assert keeping.get(PATH).content == first.content
    again = keeping.get(PATH, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["firstlisten-bundle"] == first.json()["bundle"]
    track = first.json()["items"][0]["track"]["id"]
    keeping.post("/v1/listens", json={"listens": [{"user_id": "u01", "track_id": track}]})
    after = keeping.get(PATH, headers={"If-None-Match": first.headers["etag"]})
    assert after.status_code == 200
    assert track not in [item["track"]["id"] for item in after.json()["items"]]
    loved = after.json()["items"][0]["track"]["id"]
    keeping.put(f"/v1/users/u01/feedback/{loved}", json={"value": "hate"})
    assert loved not in [item["track"]["id"] for item in keeping.get(PATH).json()["items"]]


def test_what_others_do_waits_and_other_parameters_are_other_answers(keeping):
    before = keeping.get(PATH)
    items = before.json()["items"]
    keeping.post("/v1/listens", json={"listens": [{"user_id": "u02", "track_id": items[0]["track"]["id"]}]})
    assert keeping.get(PATH).content == before.content
    assert len(keeping.get(PATH, params={"top": 3}).json()["items"]) == 3
    assert keeping.get("/v1/users/nobody/recommendations").status_code == 404


def test_what_is_kept_is_bounded_and_gets_old():
    kept = Answers(most_bytes=1600, keep_s=0.05)
    for n in range(40):
        kept._keep(n, Answer(bytes(100), "e", time.monotonic(), 0))
    assert kept.find(0, 0) is None
    assert kept.find(39, 0) is not None
    assert kept.find(39, 1) is None
    assert kept._bytes <= 1600
    time.sleep(0.06)
    assert kept.find(39, 0) is None
