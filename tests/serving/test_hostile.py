"""Clients that mean no good, or are only slow: everybody else is answered."""

import resource
import selectors
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from recommender.serving.app import create_app
from recommender.serving.patience import PatientProtocol
from tests.serving.conftest import World, make_settings, running

MANY = 1000
TICK_S = 0.4


class Hasty(PatientProtocol):
    EVERY_S = TICK_S


@pytest.fixture(scope="module")
def hasty(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(create_app(make_settings(world, tmp_path_factory.mktemp("hasty"))), http=Hasty) as url:
        yield url


def connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


HEAD = b"POST /v1/listens HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n"


@pytest.mark.parametrize("begin", [b"", b"GET /healthz HTT", HEAD, HEAD + b'\r\n{"listens": ['], ids=len)
def test_a_client_that_drips_is_cut_off_and_others_are_answered(hasty: str, begin: bytes) -> None:
    with connected(hasty) as slow:
        slow.sendall(begin)
        ended, until = False, time.monotonic() + 10 * TICK_S
        while not ended and time.monotonic() < until:
            assert httpx.get(f"{hasty}/v1/users/u01/recommendations?top=3").status_code == 200
            try:
                slow.sendall(b"x")
                slow.settimeout(TICK_S / 4)
                ended = slow.recv(4096) in (b"",) or time.monotonic() > until
            except TimeoutError:
                continue
            except OSError:
                ended = True
        assert ended
        assert time.monotonic() < until


def test_a_client_that_is_slow_but_sends_is_served(hasty: str) -> None:
    body = b'{"listens": [{"user_id": "u01", "track_id": "low0"' + b" " * 40_000 + b"}]}"
    head = HEAD.replace(b"2000000", str(len(body)).encode()) + b"\r\n"
    with connected(hasty) as slow:
        slow.sendall(head)
        for start in range(0, len(body), 8000):
            slow.sendall(body[start : start + 8000])
            time.sleep(0.6 * TICK_S)
        assert slow.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_client_that_waits_for_its_answer_may_wait(hasty: str) -> None:
    with httpx.Client(base_url=hasty) as client:
        for _ in range(2):
            assert client.get("/healthz").status_code == 200
            time.sleep(2.5 * TICK_S)


def test_a_thousand_connections_at_once_are_all_answered(world: World, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 3 * MANY:
        if hard != resource.RLIM_INFINITY and hard < 3 * MANY:
            pytest.skip(f"needs {3 * MANY} open files, the limit is {hard}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (3 * MANY, hard))
    with running(create_app(make_settings(world, tmp_path)), http=PatientProtocol) as url:
        httpx.get(f"{url}/v1/users/u01/recommendations")
        before = psutil.Process().memory_info().rss
        clients = [connected(url) for _ in range(MANY)]
        with selectors.DefaultSelector() as waiting:
            for number, client in enumerate(clients):
                client.sendall(
                    f"GET /v1/users/u{number % 8:02d}/recommendations?top=5 HTTP/1.1\r\nHost: x\r\n\r\n".encode()
                )
                waiting.register(client, selectors.EVENT_READ)
            answers, until = [], time.monotonic() + 60
            while len(answers) < MANY and time.monotonic() < until:
                for key, _ in waiting.select(1):
                    assert isinstance(key.fileobj, socket.socket)
                    answers.append(key.fileobj.recv(15))
                    waiting.unregister(key.fileobj)
        for client in clients:
            client.close()
        assert len(answers) == MANY
        assert set(answers) == {b"HTTP/1.1 200 OK"}
        assert psutil.Process().memory_info().rss - before < 200e6
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
