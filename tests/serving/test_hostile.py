"""Clients that mean no good, or are only slow: everybody else is answered."""

import contextlib
import json
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

from pipelines.serve import allow_open_files
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


WHOLE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
UNREAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n"
BEGINNINGS = [
    b"",
    b"GET /healthz HTT",
    HEAD,
    HEAD + b'\r\n{"listens": [',
    WHOLE + b"GET /healthz HTT",
    WHOLE + HEAD + b"\r\n{",
    WHOLE + b"\r\n",
    UNREAD,
]


@pytest.mark.parametrize("begin", BEGINNINGS, ids=len)
def test_a_client_that_drips_is_cut_off_and_others_are_answered(hasty: str, begin: bytes) -> None:
    with connected(hasty) as slow:
        slow.sendall(begin)
        ended, until = False, time.monotonic() + 10 * TICK_S
        while not ended and time.monotonic() < until:
            assert httpx.get(f"{hasty}/v1/users/u01/recommendations?top=3").status_code == 200
            try:
                slow.sendall(b"x")
                slow.settimeout(TICK_S / 4)
                ended = slow.recv(4096) == b""
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


def test_a_connection_too_many_is_told_so_and_leaves_files_to_the_server(world: World, tmp_path: Path) -> None:
    class Crowded(PatientProtocol):
        SHARE_OF_FILES = 20 / resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    with running(create_app(make_settings(world, tmp_path)), http=Crowded) as url:
        with contextlib.ExitStack() as held:
            silent = [held.enter_context(connected(url)) for _ in range(20)]
            for _ in range(3):
                refused = httpx.get(f"{url}/healthz")
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
                assert "20 connections" in refused.json()["detail"]
            silent[0].sendall(WHOLE)
            assert silent[0].recv(99).startswith(b"HTTP/1.1 200")
        until = time.monotonic() + 10
        while httpx.get(f"{url}/healthz").status_code != 200:
            assert time.monotonic() < until


def test_a_server_may_open_as_many_files_as_it_may_ask_for() -> None:
    soft, hard = before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
        allow_open_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


CHUNKED = HEAD.replace(b"Content-Length: 2000000", b"Transfer-Encoding: chunked") + b"\r\n"


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: ", b"a"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"a: b\r\n"),
        (b"GET /", b"a"),
        (WHOLE + b"GET / HTTP/1.1\r\nHost: x\r\nA: ", b"a"),
        (CHUNKED + b"2;", b"a"),
        (CHUNKED + b"2\r\n{}\r\n0\r\n", b"a: b\r\n"),
    ],
    ids=["header", "headers", "address", "second", "extension", "trailers"],
)
def test_a_head_without_end_is_cut_off(hasty: str, begin: bytes, more: bytes) -> None:
    sent, piece = 0, more * (65_536 // len(more))
    with connected(hasty) as client, contextlib.suppress(OSError):
        client.sendall(begin)
        while sent < 32 * 2**20:
            client.sendall(piece)
            sent += len(piece)
    assert sent < 16 * 2**20
    assert httpx.get(f"{hasty}/healthz").status_code == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 65_536, 431),
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ],
    ids=["long", "tls", "bytes", "smuggled"],
)
def test_what_cannot_be_read_is_answered_with_a_problem(hasty: str, sent: bytes, status: int) -> None:
    with connected(hasty) as client:
        client.sendall(sent)
        head, body = b"".join(iter(lambda: client.recv(4096), b"")).split(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"application/problem+json" in head
    assert json.loads(body)["status"] == status


def test_a_body_in_many_small_pieces_is_read(hasty: str) -> None:
    body = b'{"liked": ["low0"]}' + b" " * 40_000
    pieces = b"".join(b"1;name=value\r\n%c\r\n" % byte for byte in body)
    head = CHUNKED.replace(b"/v1/listens", b"/v1/recommendations").replace(b"Host: x", b"Host: x\r\nConnection: close")
    with connected(hasty) as client:
        client.sendall(head + pieces + b"0\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")


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
