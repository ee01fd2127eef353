"""An uploaded file is heard, recommendable and playable when it is answered; what cannot be heard is named."""

import errno
import io
import os
import time
import wave
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import create_engine, text


def wav(samples: np.ndarray, rate_hz: int = 22050) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def low_tone(seed: int = 999, seconds: float = 3.0) -> bytes:
    rng = np.random.default_rng(seed)
    t = np.arange(22050 // 4) / 22050
    notes = 220 * 2 ** (rng.choice([0, 2, 4, 7, 9], size=int(seconds * 4)) / 12)
    music = np.concatenate([np.sin(2 * np.pi * note * t) * np.exp(-3 * t) for note in notes])
    return wav(0.4 * music + 0.005 * rng.normal(size=len(music)))


def send(client: httpx.Client, content: bytes, name: str = "New Song.wav", **fields: str) -> httpx.Response:
    return client.post("/v1/tracks", files={"file": (name, content)}, data=fields)


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_an_upload_is_placed_played_and_recommended_at_once(serve: Any, tmp_path: Path) -> None:
    client, content = serve(warm_hearing=True), low_tone()
    deadline = time.monotonic() + 20
    while not client.get("/v1/model").json()["ears_ready"]:
        assert time.monotonic() < deadline, "the audio model is not loaded in the background"
        time.sleep(0.05)
    began = time.perf_counter()
    answer = send(client, content, "Novà ☂ Sœng.wav")
    took_s = time.perf_counter() - began
    assert answer.status_code == 201, answer.text
    assert took_s < 2, f"a short file took {took_s:.1f} s"
    body = answer.json()
    track = body["track"]
    assert answer.headers["location"] == f"/v1/tracks/{track['id']}"
    assert (track["title"], track["artist"], track["uploaded"], track["listeners"]) == ("Novà ☂ Sœng", "", True, 0)
    assert track["duration_s"] == pytest.approx(3, abs=0.05)
    assert body["created"]
    assert track["signature"]["loudness_lufs"] == pytest.approx(-14.5, abs=0.5)
    assert client.get(f"/v1/tracks/{track['id']}").json()["track"]["signature"] == track["signature"]
    assert client.get(f"/v1/tracks/{track['id']}/audio").content == content
    alike = client.get(f"/v1/tracks/{track['id']}/similar?top=5").json()["items"]
    assert {item["track"]["id"][:3] for item in alike} == {"low"}
    assert alike[0]["query_start_s"] == alike[0]["match_start_s"] == 0
    found = (
        client.get("/v1/tracks?query=nova%20soeng").json()["items"]
        or client.get("/v1/tracks?query=nova").json()["items"]
    )
    assert [item["id"] for item in found] == [track["id"]]
    plain = "top=20&max_per_artist=0&artist_gap=0&diversity=0&calibration=0&explore=0"
    low, high = (client.get(f"/v1/users/{user}/recommendations?{plain}").json()["items"] for user in ("u01", "u00"))
    for items, before in ((low, False), (high, True)):
        ids = [i["track"]["id"] for i in items]
        of_the_other_kind = [one for one in ids if one.startswith("high")]
        assert of_the_other_kind
        assert all((ids.index(one) < ids.index(track["id"])) is before for one in of_the_other_kind), ids
    item = next(i for i in low if i["track"]["id"] == track["id"])
    assert (item["source"], item["evidence"]) == ("content", {"listeners": 0, "sound_known": True})
    assert kept(tmp_path / "uploads") == [f"{track['id']}.wav"]


def test_an_upload_survives_a_restart_and_gathers_plays(serve: Any) -> None:
    first = serve()
    track = send(first, low_tone(), title="Mine", artist="Me", album="Ours").json()["track"]
    assert (track["title"], track["artist"], track["album"]) == ("Mine", "Me", "Ours")
    first.post("/v1/listens", json={"listens": [{"user_id": "u01", "track_id": track["id"]}]})
    similar = first.get(f"/v1/tracks/{track['id']}/similar").json()
    second = serve()
    assert second.get(f"/v1/tracks/{track['id']}").json()["track"] == {**track, "listeners": 1}
    assert second.get(f"/v1/tracks/{track['id']}/similar").json() == similar
    assert second.get(f"/v1/tracks/{track['id']}/audio").status_code == 200


def test_the_same_file_is_the_same_track(serve: Any, world: Any, tmp_path: Path) -> None:
    client, content = serve(), low_tone()
    first, second = send(client, content), send(client, content, "other name.wav", title="Another")
    assert (first.status_code, second.status_code) == (201, 200)
    assert not second.json()["created"]
    assert second.json()["track"] == first.json()["track"]
    assert len(kept(tmp_path / "uploads")) == 1
    assert client.get("/v1/model").json()["uploads"] == 1


def test_another_ear_hears_old_uploads_again(serve: Any, tmp_path: Path) -> None:
    track = send(serve(), low_tone()).json()["track"]
    engine = create_engine(f"sqlite:///{tmp_path / 'store.sqlite'}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE uploads SET embedding_version = 'cnn-of-old', vector = x'0000803f0000803f'"))
    client = serve()
    assert client.get(f"/v1/tracks/{track['id']}/similar?top=1").json()["items"][0]["track"]["id"].startswith("low")
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT embedding_version FROM uploads")) != "cnn-of-old"
    engine.dispose()


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (b"", "empty.wav", "empty.wav is empty"),
        (b"this is no audio at all" * 100, "corrupt.mp3", "corrupt.mp3"),
        (wav(np.zeros(22050 * 3)), "silence.wav", "silence.wav: silent"),
        (wav(np.sin(np.arange(6615))), "short.wav", "short.wav: holds 0.3"),
        (low_tone()[:60], "header only.wav", "header only.wav"),
        (low_tone(), "song.exe", "song.exe has no ending of audio"),
        (low_tone(), "../../etc/no-ending", "no-ending has no ending of audio"),
        (low_tone(), "", "file"),
    ],
    ids=["empty", "corrupt", "silent", "short", "header", "ending", "folders", "nameless"],
)
def test_what_cannot_be_heard_is_named_and_not_kept(
    client: httpx.Client, client_folder: Path, content: bytes, name: str, reason: str
) -> None:
    answer = send(client, content, name)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert reason in answer.json()["detail"]
    assert ".part-" not in answer.text
    assert str(client_folder) not in answer.text
    assert kept(client_folder / "uploads") == []
    assert client.get("/v1/model").json()["uploads"] == 0


def test_a_mislabelled_file_is_heard_for_what_it_holds(serve: Any) -> None:
    answer = send(serve(), low_tone(), "really a wav.mp3")
    assert answer.status_code == 201, answer.text


def test_a_full_disk_is_named_and_leaves_nothing(
    client: httpx.Client, client_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("recommender.serving.uploads.shutil.copyfileobj", full)
    answer = send(client, low_tone())
    assert answer.status_code == 507
    assert "the disk is full" in answer.json()["detail"]
    assert kept(client_folder / "uploads") == []


def test_what_a_crash_left_is_cleared_away(serve: Any, tmp_path: Path) -> None:
    (tmp_path / "uploads").mkdir()
    old, running = tmp_path / "uploads" / ".part-old.wav", tmp_path / "uploads" / ".part-new.wav"
    for part in (old, running):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))
    serve()
    assert kept(tmp_path / "uploads") == [running.name]


def test_a_name_cannot_lead_out_of_the_uploads(serve: Any, tmp_path: Path) -> None:
    answer = send(serve(), low_tone(), "..\\..\\evil/../../x.wav")
    assert answer.status_code == 201
    assert answer.json()["track"]["title"] == "x"
    assert kept(tmp_path / "uploads") == [f"{answer.json()['track']['id']}.wav"]


def test_a_file_that_is_too_large_is_refused(serve: Any, tmp_path: Path) -> None:
    client = serve(max_upload_bytes=100_000)
    answer = send(client, b"x" * 400_000, "large.wav")
    assert answer.status_code == 413
    assert "at most 0.2 MiB" in answer.json()["detail"]
    boundary = b'--b\r\nContent-Disposition: form-data; name="file"; filename="large.wav"\r\n\r\n'
    chunks = iter([boundary, *[b"x" * 50_000] * 8, b"\r\n--b--\r\n"])
    answer = client.post("/v1/tracks", content=chunks, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.status_code == 413
    assert kept(tmp_path / "uploads") == []
    assert client.get("/v1/model").status_code == 200


def test_a_form_without_a_file_is_refused(client: httpx.Client) -> None:
    assert client.post("/v1/tracks", data={"title": "x"}).status_code == 422
    answer = client.post("/v1/tracks", content=b"junk", headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_model_without_ears_says_what_to_do(serve: Any, world: Any, tmp_path: Path) -> None:
    deaf = tmp_path / "bundles"
    deaf.mkdir()
    (deaf / "no-ears").symlink_to(world.bundles / "no-ears")
    (deaf / "current").write_text("no-ears\n")
    client = serve(bundles_dir=deaf)
    answer = send(client, low_tone())
    assert answer.status_code == 409
    assert "no audio model" in answer.json()["detail"]
    assert "train" in answer.json()["detail"]
    assert answer.json()["bundle"] == "no-ears"
    assert not client.get("/v1/model").json()["can_hear_uploads"]
    assert client.get("/v1/users/u01/recommendations").status_code == 200
