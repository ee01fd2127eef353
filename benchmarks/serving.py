"""How fast the API answers with 100,000 tracks, 50,000 users and 128 factors, over loopback from another process.

    python benchmarks/serving.py FOLDER [--requests 2000] [--seconds 5] [--listens 2] [--small]

Generates the bundle into FOLDER, once. Beside it stand, measured in the same run, an empty FastAPI endpoint that returns
the same bytes and a plain scan (100,000 x 128 float32 times a vector, and the best 200): the ratios hold on a loaded
machine where the milliseconds do not. Every request but those of "same user" is of another user, so that no answer was
made before. Answers are compared with the exact path: 1 is returned if one is wrong, not if one is slow.
"""

import argparse
import itertools
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from big_bundle import Size, ensure_bundle
from scipy import sparse

from recommender.data.interactions import DISLIKED
from recommender.ranking.ranker import RecommendOptions, query_of_row, recommend_whole, similar_tracks
from recommender.serving.bundle import current_bundle, load_bundle
from recommender.serving.settings import SETTINGS_VARIABLE, Settings

PORT, EMPTY_PORT = 8795, 8796
CONNECTIONS = 16
CHECKED = 60
LEAST_SAME, LEAST_RECALL = 0.99, 0.98
Make = Callable[[int], bytes]

EMPTY = """
import sys
from fastapi import FastAPI, Response
app = FastAPI()
body = b"x" * int(sys.argv[1])
@app.get("/")
async def empty() -> Response:
    return Response(body, media_type="application/json")
import uvicorn
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]))
"""


@dataclass(frozen=True)
class Load:
    """Milliseconds of each request, requests a second, and milliseconds of the server's CPU a request."""

    ms: np.ndarray
    rate: float
    cpu_ms: float


def get(path: str) -> bytes:
    """Return a request."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def post(path: str, body: dict) -> bytes:
    """Return a request with a body."""
    text = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    return head.encode() + text


class Connection:
    """A keep-alive connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.sent_at = b"", 0.0

    def send(self, request: bytes) -> None:
        """Send a request."""
        self.buffer, self.sent_at = b"", time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """Read what has come; return the body once all of it is there."""
        more = self.socket.recv(1 << 18)
        if not more:
            raise SystemExit("the server closed a connection")
        self.buffer += more
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(body) < length:
            return None
        if not head.startswith(b"HTTP/1.1 20"):
            raise SystemExit(f"the server answered {head[:60]!r} {body[:200]!r}")
        return body

    def ask(self, request: bytes) -> bytes:
        """Send a request, wait for its answer."""
        self.send(request)
        while (body := self.receive()) is None:
            pass
        return body


def drive(port: int, make: Make, connections: int, requests: int, seconds: float, server: psutil.Process) -> Load:
    """Send requests over so many connections, each the next as soon as it has its answer."""
    selector, numbers, ms = selectors.DefaultSelector(), itertools.count(), []
    for _ in range(connections):  # one after the other, so that the worker with less to do takes the next
        connection = Connection(port)
        connection.send(make(next(numbers)))
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        time.sleep(0.005)
    cpu, start = cpu_of(server), time.perf_counter()
    while len(ms) < requests and time.perf_counter() - start < seconds:
        for key, _ in selector.select():
            if key.data.receive() is not None:
                ms.append((time.perf_counter() - key.data.sent_at) * 1e3)
                key.data.send(make(next(numbers)))
    took, used = time.perf_counter() - start, cpu_of(server) - cpu
    for key in list(selector.get_map().values()):
        key.data.socket.close()
    return Load(np.array(ms), len(ms) / took, used / len(ms) * 1e3)


def family(server: psutil.Process) -> list[psutil.Process]:
    """Return a server and its workers."""
    return [server, *server.children(recursive=True)]


def cpu_of(server: psutil.Process) -> float:
    """Return the seconds of CPU that a server has used."""
    return sum(sum(process.cpu_times()[:2]) for process in family(server))


def memory_of(server: psutil.Process) -> tuple[float, float]:
    """Return the megabytes that the largest process of a server has allocated, and how many of its files it maps."""
    found = [each.memory_info() for each in family(server) if each.status() != psutil.STATUS_ZOMBIE]
    largest = max(found, key=lambda info: info.rss)
    return (largest.rss - largest.shared) / 1e6, largest.shared / 1e6


@contextmanager
def serve_empty(size: int) -> Iterator[psutil.Process]:
    """Serve an empty endpoint."""
    command = [sys.executable, "-c", EMPTY, str(size), str(EMPTY_PORT)]
    with started(command, dict(os.environ), EMPTY_PORT, "/") as (server, _):
        yield server


@contextmanager
def serve(bundles: Path, folder: Path, workers: int) -> Iterator[tuple[psutil.Process, float]]:
    """Serve the bundle with a fresh store."""
    settings = Settings(bundles, f"sqlite:///{folder / f'{workers}.sqlite'}", folder / "uploads")
    command = [sys.executable, "-m", "uvicorn", "--factory", "recommender.serving.app:app_from_environment"]
    command += ["--port", str(PORT), "--workers", str(workers)]
    with started(command, {**os.environ, SETTINGS_VARIABLE: settings.to_json()}, PORT, "/readyz") as found:
        yield found


@contextmanager
def started(command: list[str], environment: dict, port: int, ready: str) -> Iterator[tuple[psutil.Process, float]]:
    """Start a server; yield it and the seconds until it was ready."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                Connection(port).ask(get(ready))
                break
            except OSError:
                if process.poll() is not None or time.perf_counter() - start > 120:
                    raise SystemExit(f"{command[:4]} did not start") from None
                time.sleep(0.02)
        yield psutil.Process(process.pid), time.perf_counter() - start
    finally:
        process.terminate()
        process.wait(30)


def plain_scans(count: int = 200) -> np.ndarray:
    """Return the milliseconds of plain scans."""
    vectors = np.random.default_rng(0).normal(size=(100_000, 128)).astype(np.float32)
    ms = []
    for n in range(count):
        start = time.perf_counter()
        np.argpartition(-(vectors @ vectors[n]), 200)
        ms.append((time.perf_counter() - start) * 1e3)
    return np.array(ms)


def row_of(model, rows, value: float = 1.0) -> sparse.csr_matrix:
    """Return a history of one user."""
    values = np.full(len(rows), value, dtype=np.float32)
    return sparse.csr_matrix((values, (np.zeros(len(rows), int), rows)), shape=(1, len(model.catalog)))


def check(port: int, model, rng: np.random.Generator) -> tuple[float, float, float]:
    """Compare answers with the exact path: share of the same tracks in lists, in fold-ins, and recall@10 of similar."""
    connection, same, folded, recall = Connection(port), [], [], []
    ids, options = model.catalog.tracks.ids, RecommendOptions()
    for user in rng.choice(len(model.users), CHECKED, replace=False).tolist():
        exact = recommend_whole(model, model.plays[user], model.heard[user], options)[0]
        answer = json.loads(connection.ask(get(f"/v1/users/{model.users.ids[user]}/recommendations?explore=0")))
        same.append(np.isin([item["track"]["id"] for item in answer["items"]], np.array(ids)[exact.track_rows]).mean())
        liked, disliked = anonymous(model, rng)
        plays = row_of(model, liked)
        exact = recommend_whole(model, plays, sparse.csr_matrix(plays + row_of(model, disliked, DISLIKED)), options)[0]
        answer = json.loads(connection.ask(anonymous_request(model, liked, disliked)))
        folded.append(
            np.isin([item["track"]["id"] for item in answer["items"]], np.array(ids)[exact.track_rows]).mean()
        )
        row = int(rng.integers(len(ids)))
        near = {ids[one.track_row] for one in similar_tracks(model.sound, query_of_row(model.sound, row), 10, [row])}
        answer = json.loads(connection.ask(get(f"/v1/tracks/{ids[row]}/similar?top=10")))
        recall.append(np.mean([item["track"]["id"] in near for item in answer["items"]]))
    return float(np.mean(same)), float(np.mean(folded)), float(np.mean(recall))


def anonymous(model, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return what somebody likes, a part of a user's history, and two tracks that they do not."""
    played = model.plays[int(rng.integers(len(model.users)))].indices
    liked = np.sort(rng.choice(played, min(len(played), 20), replace=False))
    return liked, np.setdiff1d(rng.integers(len(model.catalog), size=2), liked)


def anonymous_request(model, liked: np.ndarray, disliked: np.ndarray) -> bytes:
    """Return the request that asks for them."""
    ids = model.catalog.tracks.ids
    return post("/v1/recommendations", {"liked": [ids[n] for n in liked], "disliked": [ids[n] for n in disliked]})


def send_listens(model, rate: float, stop: threading.Event) -> None:
    """Send listens of random users and tracks, so many a second."""
    rng, connection = np.random.default_rng(9), Connection(PORT)
    while not stop.wait(1 / rate):
        user, track = (
            model.users.ids[rng.integers(len(model.users))],
            model.catalog.tracks.ids[rng.integers(len(model.catalog))],
        )
        listen = {"user_id": user, "track_id": track}
        connection.ask(post("/v1/listens", {"listens": [listen]}))


def main() -> None:
    """Generate, serve, check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--requests", type=int, default=2000, help="At most so many for each line.")
    parser.add_argument("--seconds", type=float, default=5.0, help="At most so many for each line.")
    parser.add_argument("--listens", type=float, default=0.0, help="So many listens a second for one more line.")
    parser.add_argument("--small", action="store_true", help="A bundle of a fiftieth the size, to try this out.")
    given = parser.parse_args()
    bundles = ensure_bundle(given.folder, Size(tracks=2000, users=1000, factors=32) if given.small else Size())
    model = load_bundle(current_bundle(bundles)).model
    _ = model.track_index
    rng = np.random.default_rng(1)
    users = rng.permutation(len(model.users))
    fresh = itertools.count()

    def of_next_user(_: int) -> bytes:
        return get(f"/v1/users/{model.users.ids[users[next(fresh) % len(users)]]}/recommendations")

    histories = [anonymous_request(model, *anonymous(model, rng)) for _ in range(2000)]
    tracks, same_user = rng.permutation(len(model.catalog)), of_next_user(0)
    alone: dict[str, Make] = {
        "same user again": lambda _: same_user,
        "not exploring": lambda n: of_next_user(n).replace(b"tions ", b"tions?explore=0 ", 1),
        "fold-in": lambda n: histories[n % len(histories)],
        "similar": lambda n: get(f"/v1/tracks/{model.catalog.tracks.ids[tracks[n]]}/similar"),
    }
    scans, rows, wrong = [plain_scans()], [], False

    def measure(name: str, port: int, make: Make, connections: int, server: psutil.Process) -> None:
        rows.append((name, connections, drive(port, make, connections, given.requests, given.seconds, server)))

    with tempfile.TemporaryDirectory() as name:
        for workers in (1, 2):
            with serve(bundles, Path(name), workers) as (server, ready_s):
                size = len(Connection(PORT).ask(of_next_user(0)))
                if workers == 1:
                    print(f"ready after {ready_s:.2f} s")
                    same, folded, recall = check(PORT, model, rng)
                    print(f"as the exact path: lists {same:.4f}, fold-ins {folded:.4f}, similar recall@10 {recall:.4f}")
                    wrong = min(same, folded) < LEAST_SAME or recall < LEAST_RECALL
                    with serve_empty(size) as empty:
                        for connections in (1, CONNECTIONS):
                            measure("empty endpoint", EMPTY_PORT, lambda _: get("/"), connections, empty)
                own = f"{workers} worker{'s' if workers > 1 else ''}"
                for connections in (1, CONNECTIONS):
                    measure(f"fresh, {own}", PORT, of_next_user, connections, server)
                if workers == 1:
                    for line, make in alone.items():
                        measure(line, PORT, make, 1, server)
                elif given.listens:
                    stop = threading.Event()
                    sender = threading.Thread(target=send_listens, args=(model, given.listens, stop))
                    sender.start()
                    measure(f"with {given.listens:g} listens/s", PORT, of_next_user, 4, server)
                    stop.set()
                    sender.join()
                own_mb, mapped_mb = memory_of(server)
                print(f"{own}: an API process has {own_mb:.0f} MB of its own, and {mapped_mb:.0f} MB of files mapped")
            scans.append(plain_scans())
    scan, empty_ms = float(np.median(np.concatenate(scans))), float(np.median(rows[0][2].ms))
    print(f"plain scan {scan:.2f} ms (p99 {np.percentile(np.concatenate(scans), 99):.2f})")
    print(
        f"{'':22}{'conn.':>6}{'p50 ms':>9}{'p99 ms':>9}{'req/s':>8}{'CPU ms':>8}{'p50/scan':>10}{'p99/scan':>10}{'p50/empty':>11}"
    )
    for name, connections, load in rows:
        p50, p99 = np.percentile(load.ms, [50, 99])
        print(
            f"{name:22}{connections:6}{p50:9.2f}{p99:9.2f}{load.rate:8.0f}{load.cpu_ms:8.2f}"
            f"{p50 / scan:10.2f}{p99 / scan:10.2f}{p50 / empty_ms:11.1f}"
        )
    sys.exit(int(wrong))


if __name__ == "__main__":
    main()
