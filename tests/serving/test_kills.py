"""What was answered with 2xx is there, once and whole, however often which process is killed at whatever moment."""

import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from wave import open as open_wave

import httpx
import numpy as np
import psutil
import pytest
from sqlalchemy import select

from recommender.serving.settings import SETTINGS_VARIABLE, Settings
from recommender.serving.store import Store
from recommender.serving.tables import FeedbackRow, ListenRow, UploadRow
from recommender.serving.upload_jobs import UploadJobs
from tests.serving.conftest import World, make_settings

WORKERS = 2
FORKING = """
import multiprocessing, socket, sys, time
import onnxruntime, uvicorn
from recommender.models import ears
from recommender.serving import app

def serve():
    config = uvicorn.Config(app.app_from_environment(), log_level="error", ws="none", proxy_headers=False)
    uvicorn.Server(config).run(sockets=[listening])

listening = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=512)
workers = []
while True:
    workers = [each for each in workers if each.is_alive()]
    while len(workers) < 2:
        workers.append(multiprocessing.get_context("fork").Process(target=serve))
        workers[-1].start()
    time.sleep(0.01)
"""
"""Replaces dead workers as uvicorn's supervisor does, without importing everything anew for each."""

UVICORN = """
import sys
import uvicorn
uvicorn.run("recommender.serving.app:app_from_environment", factory=True, host="127.0.0.1", port=int(sys.argv[1]),
            workers=2, log_level="error", ws="none", proxy_headers=False)
"""


class Fleet:
    """A server of two workers that is started again whenever it was killed as a whole."""

    def __init__(self, settings: Settings, program: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._environment = {**os.environ, SETTINGS_VARIABLE: settings.to_json(), "OMP_NUM_THREADS": "1"}
        self._program = program
        self.start()

    def start(self) -> None:
        """Start it; its workers may take a while."""
        command = [sys.executable, "-c", self._program, str(self.port)]
        self._main = subprocess.Popen(command, env=self._environment, stderr=subprocess.DEVNULL)

    def workers(self) -> list[psutil.Process]:
        """Return the processes that answer."""
        try:
            children = psutil.Process(self._main.pid).children()
            return [each for each in children if "resource_tracker" not in " ".join(each.cmdline())]
        except psutil.Error:
            return []

    def kill(self, rng: random.Random, what: str) -> bool:
        """Kill a worker, a helper of a worker, the parent of the workers, or all; False if none is there."""
        try:
            workers = self.workers()
            helpers = [helper for worker in workers for helper in worker.children()]
            victims = {"worker": workers, "helper": helpers}.get(what)
            if victims is not None:
                if victims:
                    rng.choice(victims).kill()
                return bool(victims)
            everything = [psutil.Process(self._main.pid), *(workers + helpers if what == "all" else [])]
            for process in everything:
                process.kill()
        except psutil.NoSuchProcess:
            return False
        self._main.wait()
        self.wait_until_free(workers)
        self.start()
        return True

    def wait_until_free(self, workers: list[psutil.Process]) -> None:
        """Workers end when their parent did: the port is free then."""
        _, alive = psutil.wait_procs(workers, 20)
        assert not alive, "workers outlive their parent"

    def stop(self) -> None:
        """End it as an operator would."""
        workers = self.workers()
        self._main.terminate()
        self._main.wait(20)
        self.wait_until_free(workers)


@dataclass
class Acknowledged:
    """What was sent and answered with 2xx."""

    listens: dict[str, tuple[str, str]] = field(default_factory=dict)
    verdicts: dict[tuple[str, str], int] = field(default_factory=dict)
    uploads: list[bytes] = field(default_factory=list)
    again: Counter[str] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)

    def size(self, *, uploads_only: bool = False) -> int:
        """Return how much that is."""
        return len(self.uploads) + (0 if uploads_only else len(self.listens) + len(self.verdicts))


def song(seed: int) -> bytes:
    """A second of noise that nobody else sends."""
    file = BytesIO()
    with open_wave(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(np.random.default_rng(seed).integers(-9000, 9000, 8000).astype("<i2").tobytes())
    return file.getvalue()


class Senders:
    """Threads that send until told to stop, each thing until it is acknowledged."""

    def __init__(self, port: int, rng: random.Random) -> None:
        self.told, self._url = Acknowledged(), f"http://127.0.0.1:{port}"
        self._stopped = threading.Event()
        jobs = [(self._listen, n) for n in range(3)] + [(self._judge, n) for n in range(2)] + [(self._upload, 0)]
        self._threads = [threading.Thread(target=self._run, args=(job, n, rng.random())) for job, n in jobs]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send what was begun, and end."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self, job: Callable[[int, random.Random, httpx.Client], None], n: int, seed: float) -> None:
        with httpx.Client(base_url=self._url, timeout=20, trust_env=False) as client:
            job(n, random.Random(seed), client)

    def _send(self, client: httpx.Client, kind: str, method: str, path: str, **content: Any) -> Any:
        """Send until there is an answer of 2xx."""
        for attempt in range(10_000):
            try:
                answer = client.request(method, path, **content)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.is_success:
                self.told.again[kind] += attempt > 0
                return answer.json(), attempt
            if answer is not None and answer.status_code != 503 and "while it started" not in answer.text:
                self.told.surprises.append(f"{path}: {answer.status_code} {answer.text[:300]}")
            time.sleep(0.02)
        raise AssertionError(f"{path} is not answered")

    def _listen(self, n: int, rng: random.Random, client: httpx.Client) -> None:
        count = 0
        while not self._stopped.is_set():
            user = f"listener{n}-{rng.randrange(20)}"
            batch = []
            for _ in range(rng.choice([1, 1, 3, 20])):
                count += 1
                track = f"{rng.choice(['low', 'high'])}{rng.randrange(8)}"
                batch.append({"user_id": user, "track_id": track, "listened_at": 1.7e9 + count, "id": f"{n}-{count}"})
            report, _ = self._send(client, "listens", "POST", "/v1/listens", json={"listens": batch})
            for listen, item in zip(batch, report["items"], strict=True):
                if item["status"] not in ("stored", "duplicate"):
                    self.told.surprises.append(str(item))
                self.told.listens[listen["id"]] = user, listen["track_id"]

    def _judge(self, n: int, rng: random.Random, client: httpx.Client) -> None:
        count = 0
        while not self._stopped.is_set():
            count += 1
            user, track = f"judge{n}-{count // 16}", f"{('low', 'high')[count % 2]}{count // 2 % 8}"
            path = f"/v1/users/{user}/feedback/{track}"
            _, attempt = self._send(client, "verdicts", "PUT", path, json={"value": "love"})
            self.told.verdicts[user, track] = attempt

    def _upload(self, n: int, rng: random.Random, client: httpx.Client) -> None:
        while not self._stopped.is_set():
            content = song(rng.randrange(10**9))
            self._send(client, "uploads", "POST", "/v1/tracks", files={"file": ("noise.wav", content)})
            self.told.uploads.append(content)
            time.sleep(rng.uniform(0, 0.3))


def kill_at_random(fleet: Fleet, told: Acknowledged, kills: int, rng: random.Random) -> Counter[str]:
    """Kill so often, at random moments soon after something was acknowledged; returns what was killed how often."""
    killed: Counter[str] = Counter()
    for n in range(kills):
        what = ("parent", "all")[n // 20 % 2] if n % 20 == 3 else "helper" if n % 20 == 9 else "worker"
        before, until = told.size(uploads_only=what == "helper"), time.monotonic() + 20
        while told.size(uploads_only=what == "helper") == before and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.15))
        while not fleet.kill(rng, what):
            assert time.monotonic() < until, f"there is no {what} to kill"
            what = "worker"
            time.sleep(0.02)
        killed[what] += 1
    return killed


def count(settings: Settings, told: Acknowledged, uploads_dir: Path) -> dict[str, int]:
    """Compare what is there with what was acknowledged: how many, how many of them are missing, twice, or not whole."""
    with closing(Store.open(settings.store_url)) as store:
        jobs = UploadJobs(store)
        until = time.monotonic() + 60
        while jobs.count_open() and time.monotonic() < until:
            time.sleep(0.1)
        with store.session("read") as session:
            listens = Counter(session.execute(select(ListenRow.user_id, ListenRow.track_id, ListenRow.client_id)).all())
            verdicts = Counter(session.execute(select(FeedbackRow.user_id, FeedbackRow.track_id)).all())
            files = list(session.scalars(select(UploadRow.file_name)))
    sent = {(user, track, client) for client, (user, track) in told.listens.items()}
    there = {path.name: path.read_bytes() for path in uploads_dir.iterdir() if not path.name.startswith(".")}
    whole = {there.get(name) for name in files}
    return {
        "listens": len(sent),
        "listens missing": sum(each not in listens for each in sent),
        "listens twice": sum(times > 1 for times in listens.values()),
        "listens nobody was told of": len(set(listens) - sent),
        "verdicts": len(told.verdicts),
        "verdicts missing": sum(pair not in verdicts for pair in told.verdicts),
        "verdicts twice": sum(verdicts[pair] > 1 for pair, attempt in told.verdicts.items() if attempt == 0),
        "uploads": len(told.uploads),
        "uploads missing": sum(content not in whole for content in told.uploads),
        "upload rows without their file": sum(name not in there for name in files),
        "files without a row": len(set(there) - set(files)),
    }


@pytest.mark.slow
@pytest.mark.parametrize(("program", "kills"), [(FORKING, 100), (UVICORN, 6)], ids=["forking", "uvicorn"])
def test_nothing_that_was_answered_is_lost(
    world: World, tmp_path: Path, store_url: str, program: str, kills: int
) -> None:
    settings = make_settings(world, tmp_path, store_url=store_url, refresh_s=0.2)
    (tmp_path / "uploads").mkdir()
    rng = random.Random(11)
    began = time.monotonic()
    fleet = Fleet(settings, program)
    senders = Senders(fleet.port, rng)
    try:
        killed = kill_at_random(fleet, senders.told, kills, rng)
    finally:
        senders.stop()
        told = senders.told
        with httpx.Client(base_url=f"http://127.0.0.1:{fleet.port}", timeout=30, trust_env=False) as client:
            until = time.monotonic() + 30
            while client.get("/readyz").status_code != 200:
                assert time.monotonic() < until
            since = client.get("/v1/model").json()["listens_since"]
        found = count(settings, told, tmp_path / "uploads")
        fleet.stop()
    print(f"\n{kills} kills in {time.monotonic() - began:.0f} s {dict(killed)}, sent again {dict(told.again)}")
    print(found)
    assert told.surprises == []
    assert sum(killed.values()) == kills
    assert found["listens"] > kills
    assert found["verdicts"] > kills / 4
    assert found["uploads"] >= kills // 20
    assert {name: number for name, number in found.items() if " " in name and number} == {}
    assert since == found["listens"]
