"""How a server ends: by request, by accident of one of its processes, or before it began."""

import signal
import threading
import time
from contextlib import closing

import httpx
import psutil
import pytest

from recommender.serving.bundle import use_bundle
from recommender.serving.store import Store
from recommender.serving.upload_jobs import UploadJob, UploadJobs
from recommender.serving.uploads import queued_path
from tests.serving.conftest import tone, write_wav
from tests.serving.processes import Served, await_ready, command, is_ready, workspace_of

PATHS = ("/v1/users/u01/recommendations", "/v1/tracks?limit=3", "/v1/tracks/low0")
workers = pytest.mark.parametrize("workers", ["1", "2"])


@pytest.fixture
def workspace(world, tmp_path):
    return workspace_of(world, tmp_path / "w")


class Clients:
    """Threads that ask as long as the server says that it is ready, on connections that they keep."""

    def __init__(self, served: Served) -> None:
        self.answers: list[int | str] = []
        self._ready, self._address = threading.Event(), served.address
        self._ready.set()
        self._threads = [threading.Thread(target=self._ask) for _ in range(3)]
        self._threads.append(threading.Thread(target=self._look))
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _look(self) -> None:
        while is_ready(self._address):
            time.sleep(0.1)
        self._ready.clear()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._address, timeout=30, trust_env=False) as client:
            while self._ready.is_set():
                for path in PATHS:
                    try:
                        self.answers.append(client.get(path).status_code)
                    except httpx.TransportError as error:
                        self.answers.append(repr(error))


def slow_upload(address: str, content: bytes, begun: threading.Event, told: list[int]) -> None:
    """Send a file in pieces, for longer than the server drains."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="slow.wav"\r\n\r\n'

    def pieces():
        yield head
        for part in range(6):
            begun.set()
            yield content[part * len(content) // 6 : (part + 1) * len(content) // 6]
            time.sleep(0.5)
        yield b"\r\n--b--\r\n"

    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    told.append(
        httpx.post(f"{address}/v1/tracks", content=pieces(), headers=kind, timeout=60, trust_env=False).status_code
    )


@pytest.mark.slow
@workers
def test_a_server_that_is_told_to_end_lets_everybody_finish(workspace, tmp_path, workers):
    new = write_wav(tmp_path / "new.wav", tone(330.0, seed=9)).read_bytes()
    with command(workspace, "--workers", workers, FIRSTLISTEN_DRAIN_S="1.5") as served:
        await_ready(served)
        begun, uploaded = threading.Event(), []
        upload = threading.Thread(target=slow_upload, args=(served.address, new, begun, uploaded))
        upload.start()
        clients = Clients(served)
        begun.wait(10)
        time.sleep(0.5)
        processes = served.children()
        served.process.send_signal(signal.SIGTERM)
        served.process.send_signal(signal.SIGTERM)  # a process manager that tells every process tells some twice
        until = time.monotonic() + 10
        while (ending := httpx.get(f"{served.address}/readyz", trust_env=False)).status_code == 200:
            assert time.monotonic() < until
        assert ending.status_code == 503
        assert ending.json()["detail"] == "this server is ending; ask another one"
        assert httpx.get(f"{served.address}/v1/tracks/low0", trust_env=False).headers["connection"] == "close"
        clients.join()
        upload.join()
        assert served.process.wait(20) == 0
        assert psutil.wait_procs(processes, 5)[1] == []
    assert uploaded == [201]
    assert set(clients.answers) == {200}
    assert len(clients.answers) > 50


@pytest.mark.slow
def test_uploads_that_wait_are_given_back(workspace):
    n_jobs = 40
    workspace.uploads.mkdir()
    with closing(Store.open(workspace.store_url)) as store:
        jobs = UploadJobs(store)
        for n in range(n_jobs):
            job = UploadJob(f"new{n}", f"hash{n}", f"{n}.wav", ".wav")
            write_wav(queued_path(workspace.uploads, job), tone(330.0, seed=n))
            jobs.put(job, most=n_jobs)
        with command(workspace) as served:
            await_ready(served)
            until = time.monotonic() + 30
            while jobs.count_open() == n_jobs:  # the first one is heard, the next one is begun
                assert time.monotonic() < until
                time.sleep(0.01)
            served.process.send_signal(signal.SIGTERM)
            assert served.process.wait(20) == 0
        waiting = jobs.count_open()
        assert 0 < waiting < n_jobs
        assert sum(jobs.claim("another") is not None for _ in range(waiting)) == waiting, "a claim runs out later"


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced_while_the_other_answers(workspace):
    with command(workspace, "--workers", "2") as served:
        await_ready(served)
        until = time.monotonic() + 30
        while len(served.workers()) < 2:
            assert time.monotonic() < until
        victim = served.workers()[0]
        victim.kill()
        while victim in (alive := served.workers()) or len(alive) < 2:
            assert time.monotonic() < until
            time.sleep(0.05)
        for _ in range(20):
            assert is_ready(served.address)
        served.process.terminate()
        assert served.process.wait(20) == 0


def test_a_server_of_one_process_that_dies_is_for_its_manager_to_start_again(workspace):
    with command(workspace) as served:
        await_ready(served)
        helpers = served.children()
        served.process.kill()
        assert served.process.wait(10) == -signal.SIGKILL
        assert psutil.wait_procs(helpers, 10)[1] == []


@pytest.mark.slow
@workers
def test_a_server_that_cannot_start_says_so_by_its_exit_code(workspace, workers):
    damaged = workspace.bundles / "no-ears" / "hybrid.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-10])
    use_bundle(workspace.bundles, "no-ears")
    with command(workspace, "--workers", workers) as served:
        assert served.process.wait(60) == 1
        assert "damaged" in served.said()
        assert "Traceback" not in served.said()
