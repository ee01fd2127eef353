"""An upload that was answered with 202 becomes a track or is said why not, whatever dies meanwhile; and only once."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from recommender.errors import AudioError
from recommender.serving import upload_jobs
from recommender.serving.hearing import Hearing
from recommender.serving.store import Store
from recommender.serving.upload_jobs import LEASE_MS, MAX_ATTEMPTS, UploadJob, UploadJobs
from recommender.serving.uploads import remove_leftovers
from tests.serving.conftest import World, make_settings, tone, write_wav


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = Store.open(store_url)
    yield opened
    opened.close()


def song(folder: Path, seed: int = 5) -> bytes:
    return write_wav(folder / "song.wav", tone(220.0, seed)).read_bytes()


def send(client: httpx.Client, content: bytes, name: str = "song.wav") -> httpx.Response:
    return client.post("/v1/tracks", files={"file": (name, content)}, data={"artist": "Me"})


def outcome(client: httpx.Client, place: str, most_s: float = 30.0) -> dict[str, Any]:
    deadline = time.monotonic() + most_s
    while True:
        answer = client.get(place)
        assert answer.status_code == 200, answer.text
        if answer.json()["status"] in ("done", "failed"):
            assert "retry-after" not in answer.headers
            return dict(answer.json())
        assert answer.headers["retry-after"] == "2"
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)


def job(name: str = "ta", **changes: Any) -> UploadJob:
    return replace(UploadJob(name, name * 8, f"{name}.wav", ".wav"), **changes)


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_long_file_is_heard_after_the_answer(serve: Any, tmp_path: Path) -> None:
    client, content = serve(long_upload_s=2.0), song(tmp_path)
    answer = send(client, content)
    assert answer.status_code == 202, answer.text
    place, track_id = answer.headers["location"], answer.json()["id"]
    assert place == f"/v1/uploads/{track_id}"
    assert (answer.json()["status"], answer.json()["track"]) == ("queued", None)
    done = outcome(client, place)
    assert done["status"] == "done"
    assert (done["track"]["id"], done["track"]["artist"], done["track"]["uploaded"]) == (track_id, "Me", True)
    assert client.get(f"/v1/tracks/{track_id}/audio").content == content
    assert client.get(f"/v1/tracks/{track_id}/similar?top=1").json()["items"][0]["track"]["id"].startswith("low")
    assert kept(tmp_path / "uploads") == [f"{track_id}.wav"]
    assert send(client, content).status_code == 200
    assert client.get("/v1/uploads/t0").status_code == 404


def test_a_queued_file_that_cannot_be_heard_says_why_and_may_come_again(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve(long_upload_s=2.0)
    real, broken = Hearing.hear, [True]

    def hear(self: Hearing, path: Path, *, shown: str = "", long_s: float = np.inf) -> Any:
        if long_s == np.inf and broken[0]:
            raise AudioError(f"{path.name}: the decoder crashed on it (SIGSEGV); expected intact audio")
        return real(self, path, shown=shown, long_s=long_s)

    monkeypatch.setattr(Hearing, "hear", hear)
    place = send(client, song(tmp_path)).headers["location"]
    failed = outcome(client, place)
    assert failed["status"] == "failed"
    assert failed["reason"] == "song.wav: the decoder crashed on it (SIGSEGV); expected intact audio"
    assert failed["track"] is None
    assert kept(tmp_path / "uploads") == []
    broken[0] = False
    assert send(client, song(tmp_path)).status_code == 202
    assert outcome(client, place)["status"] == "done"


def test_what_comes_while_others_wait_is_queued_and_a_full_queue_says_when(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hearing, "waiting", property(lambda self: 2))
    monkeypatch.setattr(UploadJobs, "claim", lambda self, owner: None)
    client = serve(max_queued_uploads=2)
    answers = [send(client, song(tmp_path, seed)) for seed in (1, 2, 3, 1)]
    assert [answer.status_code for answer in answers] == [202, 202, 503, 202]
    assert int(answers[2].headers["retry-after"]) > 0
    assert answers[2].json()["type"].endswith("queue-full")
    assert len(kept(tmp_path / "uploads")) == 2


def test_duplicates_at_one_moment_are_one_track(serve: Any, tmp_path: Path) -> None:
    workers = [serve(), serve()]
    for worker in workers:  # two applications of one process must not build their routes at one moment
        assert worker.get("/healthz").status_code == 200
    content = song(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: send(workers[n % 2], content, f"n.{('wav', 'mp3')[n % 3 > 0]}"), range(8)))
    assert {answer.status_code for answer in answers} <= {200, 201, 202}
    assert [answer.status_code for answer in answers].count(201) <= 1
    ids = {answer.headers["location"].rpartition("/")[2] for answer in answers}
    assert len(ids) == 1
    for answer in answers:
        if answer.status_code == 202:
            assert outcome(workers[0], answer.headers["location"])["status"] == "done"
    track_id = ids.pop()
    assert [worker.get("/v1/model").json()["uploads"] for worker in workers] == [1, 1]
    assert workers[1].get(f"/v1/tracks/{track_id}/audio").content == content
    assert len([name for name in kept(tmp_path / "uploads") if not name.startswith(".")]) == 1


SERVER = """
import json, os, signal, sys
from pathlib import Path
import httpx
from recommender.serving import upload_jobs, upload_worker
from recommender.serving.app import create_app
from recommender.serving.hearing import Hearing
from recommender.serving.settings import Settings
from tests.serving.conftest import running

upload_jobs.LEASE_MS = 1500
real, when = Hearing.hear, sys.argv[3]

def hear(self, path, *, shown="", long_s=float("inf")):
    heard = real(self, path, shown=shown, long_s=long_s)
    if when == "hearing":
        os.kill(os.getpid(), signal.SIGKILL)
    return heard

Hearing.hear = hear
if when == "moved":
    upload_worker.Store.add_upload = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if when == "stored":
    upload_worker.UploadJobs.finish = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with running(create_app(Settings.from_json(sys.argv[1]))) as address:
    answer = httpx.post(address + "/v1/tracks", files={"file": ("s.wav", Path(sys.argv[2]).read_bytes())})
    print(json.dumps([answer.status_code, answer.headers["location"]]), flush=True)
    if when == "answered":
        os.kill(os.getpid(), signal.SIGKILL)
    __import__("time").sleep(60)
"""


@pytest.mark.parametrize("when", ["answered", "hearing", "moved", "stored"])
def test_what_was_answered_survives_a_kill(serve: Any, world: World, tmp_path: Path, when: str) -> None:
    content = song(tmp_path)
    settings = make_settings(world, tmp_path, long_upload_s=2.0)
    command = [sys.executable, "-c", SERVER, settings.to_json(), str(tmp_path / "song.wav"), when]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert killed.returncode == -9, killed.stderr
    status, place = json.loads(killed.stdout)
    assert status == 202
    client = serve()
    done = outcome(client, place)
    assert done["status"] == "done", done
    assert client.get(f"/v1/tracks/{done['id']}/audio").content == content
    assert client.get("/v1/model").json()["uploads"] == 1
    assert kept(tmp_path / "uploads") == [f"{done['id']}.wav"]


def test_a_job_is_one_workers_until_its_claim_runs_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, now = UploadJobs(store), [10_000_000]
    monkeypatch.setattr(upload_jobs, "_now_ms", lambda: now[0])
    assert jobs.claim("a") is None
    assert jobs.put(job("ta"), 10)
    now[0] += 1
    assert jobs.put(job("tb"), 10)
    first = jobs.claim("a")
    assert first == job("ta", status="analysing", attempts=1)
    assert jobs.claim("b") == job("tb", status="analysing", attempts=1)
    assert jobs.claim("c") is None
    now[0] += LEASE_MS - 1
    jobs.renew("ta", "a")
    jobs.renew("tb", "a")  # not its own
    now[0] += 2
    assert jobs.claim("c") == job("tb", status="analysing", attempts=2)
    jobs.finish("tb", "b", ())  # it comes too late
    assert jobs.get("tb") == job("tb", status="analysing", attempts=2)
    jobs.finish("tb", "c", ("cut",))
    assert jobs.get("tb") == job("tb", status="done", attempts=2, warnings=("cut",))
    jobs.release("ta", "a")
    assert jobs.get("ta") == job("ta")
    assert jobs.count_open() == 1


def test_many_workers_do_each_job_once(store: Store) -> None:
    jobs = UploadJobs(store)
    for n in range(20):
        jobs.put(job(f"t{n:02d}"), 100)
    taken: list[str] = []
    lock = threading.Lock()

    def work(owner: str) -> None:
        while (mine := jobs.claim(owner)) is not None:
            with lock:
                taken.append(mine.track_id)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [f"t{n:02d}" for n in range(20)]


def test_the_same_content_is_queued_once_and_again_only_after_it_failed(store: Store) -> None:
    jobs = UploadJobs(store)
    assert [jobs.put(job(), 1) for _ in range(3)] == [True, True, True]
    assert jobs.count_open() == 1
    assert not jobs.put(job("tb"), 1)
    jobs.claim("a")
    jobs.fail("ta", "a", "broken")
    assert jobs.get("ta") == job(status="failed", reason="broken", attempts=1)
    assert jobs.put(job(shown="other.wav"), 1)
    assert jobs.get("ta") == job(shown="other.wav")


def test_a_file_that_takes_worker_after_worker_down_is_given_up(
    serve: Any, store: Store, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = UploadJobs(store)
    jobs.put(job(), 9)
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / ".queued-ta.wav").write_bytes(song(tmp_path))
    monkeypatch.setattr(upload_jobs, "LEASE_MS", 0)
    for _ in range(MAX_ATTEMPTS):
        time.sleep(0.002)
        assert jobs.claim("crashed") is not None
    monkeypatch.setattr(upload_jobs, "LEASE_MS", LEASE_MS)
    failed = outcome(serve(store_url=store_url), "/v1/uploads/ta")
    assert failed["status"] == "failed"
    assert "3 attempts" in failed["reason"]
    assert kept(tmp_path / "uploads") == []


def test_leftovers_go_and_what_waits_stays(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = UploadJobs(store)
    jobs.put(job("tb"), 9)
    for name in (".part-x.wav", ".queued-ta.wav", ".queued-tb.wav", "tc.wav"):
        (tmp_path / name).write_bytes(b"x")
    remove_leftovers(tmp_path, jobs)
    assert len([name for name in kept(tmp_path) if not name.startswith("store")]) == 4
    monkeypatch.setattr("recommender.serving.uploads._age_s", lambda path: 1e6)
    remove_leftovers(tmp_path, jobs)
    assert [name for name in kept(tmp_path) if not name.startswith("store")] == [".queued-tb.wav", "tc.wav"]
    monkeypatch.setattr(upload_jobs, "KEEP_MS", -1)
    jobs.claim("a")
    jobs.finish("tb", "a", ())
    time.sleep(0.002)
    jobs.forget()
    assert jobs.get("tb") is None
