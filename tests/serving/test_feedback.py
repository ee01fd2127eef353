"""Love, hate and clear: heeded by the next list, told what they do, and taken back without a trace."""

from typing import Any

import httpx
import pytest

from tests.serving.test_listens import listen, recommended

NEW_USER = "nouvelle auditrice/2"


def give(client: httpx.Client, user: str, track: str, value: str) -> dict[str, Any]:
    answer = client.put(f"/v1/users/{user}/feedback/{track}", json={"value": value})
    assert answer.status_code == 200, answer.text
    return answer.json()


def everything(client: httpx.Client, user: str) -> list[tuple[str, float]]:
    answer = client.get(f"/v1/users/{user}/recommendations", params={"top": 20, "max_per_artist": 0})
    return [(item["track"]["id"], item["score"]) for item in answer.json()["items"]]


def verdicts(client: httpx.Client, user: str) -> dict[str, str]:
    answer = client.get(f"/v1/users/{user}/feedback")
    assert answer.status_code == 200, answer.text
    return {item["track"]["id"]: item["verdict"] for item in answer.json()["items"]}


def test_a_hate_leaves_out_and_holds_back_what_is_like_it(serve: Any) -> None:
    client = serve()
    before = dict(everything(client, "u01"))
    answer = give(client, "u01", "high0", "hate")
    assert (answer["user"], answer["track"]["id"], answer["value"]) == ("u01", "high0", "hate")
    after = dict(everything(client, "u01"))
    assert "high0" not in after
    lost = {track: before[track] - after[track] for track in after}
    assert min(lost[track] for track in lost if track.startswith("high")) > 0.3
    assert max(abs(lost[track]) for track in lost if track.startswith("low")) < 0.1
    page = client.get("/v1/users/u01/feedback").json()
    (item,) = page["items"]
    assert (page["total"], item["verdict"], item["track"]["id"]) == (1, "hated", "high0")
    for held in item["holds_back"]:
        assert held["amount"] == pytest.approx(lost[held["track"]["id"]], abs=1e-3)
    assert item["holds_back"][0]["amount"] == pytest.approx(max(lost.values()), abs=1e-3)


def test_an_explanation_tells_what_is_held_against_a_track(serve: Any) -> None:
    client = serve()
    give(client, "u01", "high0", "hate")
    score = dict(everything(client, "u01"))["high1"]
    answer = client.get("/v1/users/u01/explanations/high1").json()
    assert answer["score"] == pytest.approx(score, abs=1e-3)
    assert sum(answer["parts"].values()) == pytest.approx(answer["score"], abs=1e-4)
    assert answer["parts"]["distaste"] < -0.3
    assert answer["held_back_because"].endswith("High Tide 0 by High Artist 0, which you disliked")
    (held,) = answer["held_back_by"]
    assert (held["track"]["id"], held["verdict"]) == ("high0", "hated")
    assert held["amount"] == pytest.approx(-answer["parts"]["distaste"])


@pytest.mark.parametrize("value", ["hate", "love"])
def test_a_verdict_taken_back_leaves_no_trace(serve: Any, value: str) -> None:
    client = serve()
    before = everything(client, "u01")
    give(client, "u01", before[3][0], value)
    assert everything(client, "u01") != before
    give(client, "u01", before[3][0], "clear")
    assert everything(client, "u01") == before
    assert verdicts(client, "u01") == {}


def assert_same(now: list[tuple[str, float]], before: list[tuple[str, float]]) -> None:
    """The same list: a skip solves its listener's factors again, which moves scores by their rounding."""
    assert [track for track, _ in now] == [track for track, _ in before]
    assert [score for _, score in now] == pytest.approx([score for _, score in before], abs=1e-3)


def test_a_skip_is_held_against_what_is_like_it_until_it_is_cleared(serve: Any) -> None:
    client = serve()
    before = everything(client, "u01")
    skip = {"user_id": "u01", "track_id": "high0", "skipped": True}
    listen(client, {**skip, "listened_at": "2024-01-18T20:15:00Z"})
    after = dict(everything(client, "u01"))
    assert verdicts(client, "u01") == {"high0": "skipped"}
    assert dict(before)["high1"] - after["high1"] > 0.1
    assert client.get("/v1/tracks/high0").json()["track"]["listeners"] > 0
    give(client, "u01", "high0", "clear")
    assert_same(everything(client, "u01"), before)
    listen(client, {**skip, "listened_at": "2025-01-18T20:15:00Z"})
    assert_same(everything(client, "u01"), before)
    listen(client, skip)
    assert dict(everything(client, "u01")) == after, "a skip after the clear counts"


def test_a_love_makes_a_user_known_and_a_hate_unlikes_a_play(serve: Any) -> None:
    client = serve()
    assert client.get(f"/v1/users/{NEW_USER}/feedback").status_code == 404
    give(client, NEW_USER, "high0", "love")
    assert verdicts(client, NEW_USER) == {"high0": "loved"}
    assert {track[:4] for track in recommended(client, NEW_USER, 3)} == {"high"}
    give(client, NEW_USER, "high0", "hate")
    answer = client.get(f"/v1/users/{NEW_USER}/recommendations").json()
    assert (answer["basis"], answer["plays_known"]) == ("default", 0)
    assert verdicts(client, NEW_USER) == {"high0": "hated"}


def test_verdicts_survive_a_restart_and_reach_other_processes(serve: Any) -> None:
    first, second = serve(), serve()
    give(first, "u01", "high0", "hate")
    give(first, "u02", "low0", "love")
    listen(first, {"user_id": "u01", "track_id": "low7"})
    third = serve()
    for user in ("u01", "u02"):
        assert everything(first, user) == everything(second, user) == everything(third, user)
        assert verdicts(first, user) == verdicts(third, user)


def test_what_cannot_be_is_a_problem(serve: Any) -> None:
    client = serve()
    for path, body, status, told in (
        ("/v1/users/u01/feedback/nothing", {"value": "hate"}, 404, "unknown track 'nothing'"),
        ("/v1/users/u01/feedback/low0", {"value": "like"}, 422, "love"),
        ("/v1/users/u01/feedback/low0", {}, 422, "value"),
        ("/v1/users/u01/feedback/low0", {"value": "hate", "weight": 3}, 422, "weight"),
        (f"/v1/users/{'u' * 257}/feedback/low0", {"value": "hate"}, 422, "256"),
    ):
        answer = client.put(path, json=body)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert told in answer.json()["detail"]
    assert verdicts(client, "u01") == {}
    answer = client.get("/v1/users/u01/recommendations", params={"diversity": 1.5})
    assert (answer.status_code, "diversity" in answer.json()["detail"]) == (422, True)


def test_anonymous_dislikes_hold_back_what_is_like_them(client: httpx.Client) -> None:
    liked = ["low0", "low1"]

    def scores(disliked: list[str]) -> dict[str, float]:
        body = {"liked": liked, "disliked": disliked, "top": 20, "max_per_artist": None}
        answer = client.post("/v1/recommendations", json=body).json()
        return {item["track"]["id"]: item["score"] for item in answer["items"]}

    before, after = scores([]), scores(["high0"])
    assert "high0" not in after
    assert before["high1"] - after["high1"] > 0.3


def test_the_dials_change_lists(client: httpx.Client) -> None:
    def ids(**dials: float) -> list[str]:
        answer = client.get("/v1/users/u00/recommendations", params={"top": 4, "max_per_artist": 0, **dials})
        return [item["track"]["id"] for item in answer.json()["items"]]

    plain = ids(diversity=0, calibration=0, artist_gap=0)
    assert set(ids(diversity=1)) != set(plain)
    popular, rare = (
        [
            client.get(f"/v1/tracks/{track}").json()["track"]["listeners"]
            for track in ids(diversity=0, calibration=0, popularity=dial)
        ]
        for dial in (1, -1)
    )
    assert sum(popular) > sum(rare)
