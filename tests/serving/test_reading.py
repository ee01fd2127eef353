"""What can be asked without changing anything."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

LOW_LISTENER, HIGH_LISTENER, SILENT_LISTENER = "u01", "u00", "مستمع <b>جديد</b>"
NO_FILE = "silent/one ü"


def get(client: httpx.Client, path: str, status: int = 200) -> dict:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["bundle"] == answer.headers["firstlisten-bundle"] == "with-ears"
    return body


def test_recommendations_follow_taste_and_say_why(client: httpx.Client) -> None:
    answer = get(client, f"/v1/users/{LOW_LISTENER}/recommendations?top=3")
    assert (answer["user"], answer["basis"], answer["plays_known"]) == (LOW_LISTENER, "few plays", 4)
    assert [item["rank"] for item in answer["items"]] == [1, 2, 3]
    for item in answer["items"]:
        assert item["track"]["id"].startswith("low")
        assert item["source"] in ("cf", "content", "mixed")
        assert item["reason"]
        assert 0 < item["confidence"] < 1
        assert item["evidence"] == {"listeners": item["track"]["listeners"], "sound_known": True}
    scores = [item["score"] for item in answer["items"]]
    assert scores == sorted(scores, reverse=True)


def test_heard_tracks_come_back_only_when_asked_for(client: httpx.Client) -> None:
    path = f"/v1/users/{LOW_LISTENER}/recommendations?top=500&max_per_artist=0"
    fresh = {item["track"]["id"] for item in get(client, path)["items"]}
    everything = {item["track"]["id"] for item in get(client, path + "&include_heard=true")["items"]}
    assert len(everything - fresh) == 4
    assert fresh < everything


def test_only_new_tracks_can_be_asked_for(client: httpx.Client) -> None:
    path = f"/v1/users/{LOW_LISTENER}/recommendations?max_listeners=0"
    answer = get(client, path)
    ids = [item["track"]["id"] for item in answer["items"]]
    assert ids[0] == "low7"
    assert sorted(ids) == sorted(["low7", "high7", NO_FILE])
    assert answer["items"][0]["source"] == "content"
    assert (
        get(client, path.replace("=0", "=1000&top=3"))["items"]
        == get(client, path.replace("max_listeners=0", "top=3"))["items"]
    )


def test_a_user_without_plays_gets_the_default_and_is_told_so(client: httpx.Client) -> None:
    answer = get(client, f"/v1/users/{quote(SILENT_LISTENER)}/recommendations?top=5")
    assert (answer["basis"], answer["plays_known"], answer["user"]) == ("default", 0, SILENT_LISTENER)
    assert "no plays" in answer["note"]
    sources = [item["source"] for item in answer["items"]]
    assert sources == ["popularity", "popularity", "new", "popularity", "popularity"]
    assert {item["confidence"] for item in answer["items"]} == {0}
    reasons = [item["reason"] for item in answer["items"]]
    assert reasons[0].startswith("popular here: ")
    assert reasons[2] == "new release of 2017-01-01"


def test_anyone_can_ask_with_liked_and_disliked_tracks(client: httpx.Client) -> None:
    body = {"liked": ["high0", "high1", "nobody-knows"], "disliked": ["high2"], "top": 3}
    answer = client.post("/v1/recommendations", json=body).json()
    found = [item["track"]["id"] for item in answer["items"]]
    assert sum(track.startswith("high") for track in found) >= 2, found
    assert not {"high0", "high1", "high2"} & set(found)
    assert answer["unknown_tracks"] == ["nobody-knows"]
    assert answer["user"] is None
    assert client.post("/v1/recommendations", json={}).json()["basis"] == "default"


def test_an_anonymous_history_equals_the_users_own(client: httpx.Client) -> None:
    path = f"/v1/users/{LOW_LISTENER}/recommendations"
    everything = get(client, path + "?top=500&max_per_artist=0&include_heard=true")["items"]
    fresh = {item["track"]["id"] for item in get(client, path + "?top=500&max_per_artist=0")["items"]}
    liked = [item["track"]["id"] for item in everything if item["track"]["id"] not in fresh]
    anonymous = client.post("/v1/recommendations", json={"liked": liked, "top": 5}).json()["items"]
    assert anonymous == get(client, path + "?top=5")["items"]


def test_only_unknown_tracks_are_an_error_not_a_guess(client: httpx.Client) -> None:
    answer = client.post("/v1/recommendations", json={"liked": ["x", "y"]})
    assert answer.status_code == 422
    assert "none of the 2 tracks" in answer.json()["detail"]


def test_tracks_are_found_by_words_and_paged(client: httpx.Client) -> None:
    page = get(client, "/v1/tracks?query=ALBUM%20low&limit=3")
    assert (page["total"], page["offset"], len(page["items"])) == (8, 0, 3)
    seen = [item["id"] for item in page["items"]]
    while page["next"]:
        page = get(client, page["next"])
        seen += [item["id"] for item in page["items"]]
    assert sorted(seen) == [f"low{n}" for n in range(8)]
    assert get(client, "/v1/tracks?query=zzz")["items"] == []
    assert get(client, f"/v1/tracks?query={quote('أغنية')}")["items"][0]["id"] == NO_FILE
    assert get(client, "/v1/tracks?offset=1000")["items"] == []


def test_tracks_can_be_ordered(client: httpx.Client) -> None:
    new = get(client, "/v1/tracks?order=new&limit=3")["items"]
    assert [item["id"] for item in new] == ["high7", "low7", NO_FILE]
    assert {item["listeners"] for item in new} == {0}
    popular = [item["listeners"] for item in get(client, "/v1/tracks?order=popular")["items"]]
    assert popular == sorted(popular, reverse=True)
    assert popular[0] > popular[-1]


def test_a_track_shows_what_is_known(client: httpx.Client) -> None:
    track = get(client, "/v1/tracks/low7")["track"]
    signature = track.pop("signature")
    assert track == {
        "id": "low7",
        "title": "Low Tide 7",
        "artist": "Low Artist 3",
        "album": "Álbum Ñ",
        "duration_s": 4.0,
        "released": "2017-01-01",
        "listeners": 0,
        "playable": True,
        "heard_by_model": True,
        "uploaded": False,
    }
    assert signature["camelot"][-1] == {"major": "B", "minor": "A"}[signature["key"].split()[1]]
    assert 40 <= signature["tempo_bpm"] <= 240
    assert -30 < signature["loudness_lufs"] < -5
    high = get(client, "/v1/tracks/high6")["track"]["signature"]
    assert high["brightness_hz"] > signature["brightness_hz"]
    assert all(0 <= value <= 1 for name, value in signature.items() if name.endswith("_confidence"))
    odd = get(client, f"/v1/tracks/{quote(NO_FILE, safe='')}")["track"]
    assert odd["signature"] is None
    assert (odd["artist"], odd["duration_s"], odd["playable"], odd["heard_by_model"]) == ("فيروز", None, False, False)


def test_similar_tracks_sound_alike_and_name_the_seconds(client: httpx.Client) -> None:
    answer = get(client, "/v1/tracks/low7/similar?top=5")
    assert answer["track"]["id"] == "low7"
    assert [item["track"]["id"][:3] for item in answer["items"]] == ["low"] * 5
    similarities = [item["similarity"] for item in answer["items"]]
    assert similarities == sorted(similarities, reverse=True)
    assert all((item["query_start_s"], item["match_start_s"]) == (0, 0) for item in answer["items"])
    assert all(item["source"] == "content" and item["reason"] and item["evidence"] for item in answer["items"])


def test_a_track_that_was_not_heard_has_no_similar_ones(client: httpx.Client) -> None:
    problem = get(client, f"/v1/tracks/{quote(NO_FILE, safe='')}/similar", 409)
    assert "is not known to this model" in problem["detail"]


def test_an_explanation_adds_up(client: httpx.Client) -> None:
    first = get(client, f"/v1/users/{LOW_LISTENER}/recommendations?top=1")["items"][0]
    answer = get(client, f"/v1/users/{LOW_LISTENER}/explanations/{first['track']['id']}")
    assert sum(answer["parts"].values()) == pytest.approx(answer["score"], abs=1e-4)
    assert answer["score"] == pytest.approx(first["score"], abs=1e-3)
    assert (answer["source"], answer["reason"], answer["evidence"]) == (
        first["source"],
        first["reason"],
        first["evidence"],
    )
    assert not answer["heard"]
    assert answer["user_plays"] == 4
    assert 1 <= len(answer["from_plays"]) <= 4
    assert answer["sounds_like"][0]["track"]["id"].startswith("low")


def test_users_are_listed_most_active_first_and_found(client: httpx.Client) -> None:
    page = get(client, "/v1/users?limit=500")
    assert page["total"] == 41
    assert page["items"][0]["tracks_played"] == 4
    assert page["items"][-1] == {"id": SILENT_LISTENER, "tracks_played": 0}
    assert [user["id"] for user in get(client, "/v1/users?query=U03")["items"]] == ["u03"]


def test_the_model_describes_itself(client: httpx.Client) -> None:
    answer = get(client, "/v1/model")
    assert (answer["tracks"], answer["tracks_with_sound"], answer["tracks_without_listeners"]) == (17, 16, 3)
    assert (answer["users"], answer["uploads"], answer["listens_since"]) == (41, 0, 0)
    assert answer["can_hear_uploads"]
    assert answer["metrics"] == {"ndcg": 0.5}


def test_health_and_readiness(client: httpx.Client) -> None:
    assert get(client, "/healthz")["status"] == "ok"
    assert get(client, "/readyz")["status"] == "ready"


def test_audio_is_sent_whole_and_in_parts(client: httpx.Client, world: Any) -> None:
    content = (world.music / "low0.wav").read_bytes()
    whole = client.get("/v1/tracks/low0/audio")
    assert (whole.status_code, whole.headers["content-type"]) == (200, "audio/wav")
    assert whole.content == content
    assert whole.headers["accept-ranges"] == "bytes"
    part = client.get("/v1/tracks/low1/audio", headers={"Range": "bytes=10-19"})
    assert part.status_code == 206
    assert part.content == (world.music / "low1.wav").read_bytes()[10:20]
    assert part.headers["content-range"].startswith("bytes 10-19/")
    head = client.head("/v1/tracks/low0/audio")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(content)), b"")
    beyond = client.get("/v1/tracks/low0/audio", headers={"Range": "bytes=999999999-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-type"] == "application/problem+json"
    assert beyond.json()["status"] == 416


def test_a_track_without_a_file_cannot_be_played(client: httpx.Client) -> None:
    assert "no file to play" in get(client, f"/v1/tracks/{quote(NO_FILE, safe='')}/audio", 404)["detail"]
