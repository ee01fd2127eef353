"""The service under load: a generated bundle, real servers on this machine's loopback, and requests from here.

Run from the repository::

    python benchmarks/serving.py FOLDER [--tracks 100000] [--users 50000] [--factors 128] [--workers 2] [--seconds 10]

FOLDER keeps the bundle. In one run: a plain float32 scan of the catalog (matrix times vector, then the best 200), an
empty FastAPI endpoint that returns the same bytes, and the service: fresh recommendations (each of another user), the
same user again, an anonymous history, similar tracks. Latencies are of one connection, requests a second of 16. Ends
with 1 if an answer is not the one that the exact path gives.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

for thread_variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[thread_variable] = "1"

import httpx
import numpy as np
import psutil
from big_bundle import Size, ensure_bundle

from recommender.serving.bundle import current_bundle, load_bundle
from recommender.serving.settings import SETTINGS_VARIABLE, Settings

EMPTY = """
import sys, uvicorn
from pathlib import Path
from fastapi import FastAPI, Response
body = Path(sys.argv[1]).read_bytes()
app = FastAPI()
@app.get("/")
async def empty() -> Response:
    return Response(body, media_type="application/json")
uvicorn.run(app, port=int(sys.argv[2]), log_level="warning", access_log=False)
"""


def main() -> int:
    """Measure, print, and check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for name in ("tracks", "users", "factors"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Size(), name))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0)
    chosen = parser.parse_args()
    size = Size(chosen.tracks, chosen.users, chosen.factors)
    bundles = ensure_bundle(chosen.folder, size)
    scan = scan_ms(size)
    rows = [("plain float32 scan", *scan)]
    users = [f"/v1/users/u{n:06d}/recommendations" for n in np.random.default_rng(1).permutation(size.users)]
    histories = [[f"t{n:06d}" for n in np.random.default_rng(k).choice(size.tracks, 20)] for k in range(300)]
    with serving(bundles, chosen.folder, chosen.workers) as (address, ready_s, processes):
        at = time.perf_counter()
        body = httpx.get(address + users[0], timeout=60).content
        print(f"first answer after {time.perf_counter() - at:.1f} s more")
        fresh = latencies_ms(address, [("GET", path, None) for path in users[:400]])
        cached = latencies_ms(address, [("GET", users[0], None)] * 600)
        posts = [("POST", "/v1/recommendations", json.dumps({"liked": liked}).encode()) for liked in histories]
        fold_in = latencies_ms(address, posts)
        alike = latencies_ms(
            address, [("GET", f"/v1/tracks/t{n:06d}/similar?top=10", None) for n in range(0, 6000, 20)]
        )
        fresh_rate = requests_a_second(address, users[400:], chosen.seconds)
        cached_rate = requests_a_second(address, [users[0]], chosen.seconds)
        memory = [process.memory_info().rss / 1e6 for process in processes()]
        wrong, recall = check(address, bundles, users[:40])
    (chosen.folder / "body.json").write_bytes(body)
    with started([sys.executable, "-c", EMPTY, str(chosen.folder / "body.json")]) as (address, _, _):
        empty = latencies_ms(address, [("GET", "/", None)] * 600)
        empty_rate = requests_a_second(address, ["/"], chosen.seconds)
    for name, found in (
        ("empty endpoint", empty),
        ("fresh", fresh),
        ("again", cached),
        ("fold-in", fold_in),
        ("similar", alike),
    ):
        rows.append((name, float(np.median(found)), float(np.percentile(found, 99))))
    print(
        f"{size.tracks} tracks, {size.users} users, {size.factors} factors, {chosen.workers} workers, {len(body)} bytes"
    )
    print(f"{'':22}{'p50 ms':>9}{'p99 ms':>9}{'/ scan':>9}{'/ empty':>9}")
    for name, median, worst in rows:
        print(f"{name:22}{median:9.2f}{worst:9.2f}{median / scan[0]:9.2f}{median / rows[1][1]:9.2f}")
    print(
        f"requests/s, 16 connections: fresh {fresh_rate:.0f}, again {cached_rate:.0f}, empty (1 process) {empty_rate:.0f}"
    )
    print(f"start to ready {ready_s:.1f} s; memory of each process, MB: {', '.join(f'{each:.0f}' for each in memory)}")
    print(f"similar tracks recall@10 {recall:.3f}; wrong answers {wrong}")
    return 1 if wrong else 0


def scan_ms(size: Size) -> tuple[float, float]:
    """Time a plain scan of the catalog."""
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(size.tracks, size.factors)).astype(np.float32)
    user, taken = factors[0].copy(), []
    for _ in range(200):
        at = time.perf_counter()
        np.argpartition(-(factors @ user), 200)[:200]
        taken.append(1e3 * (time.perf_counter() - at))
    return float(np.median(taken)), float(np.percentile(taken, 99))


@contextmanager
def serving(
    bundles: Path, folder: Path, workers: int
) -> Iterator[tuple[str, float, Callable[[], list[psutil.Process]]]]:
    """Start the service with a store of its own."""
    state = folder / "state"
    shutil.rmtree(state, ignore_errors=True)
    (state / "uploads").mkdir(parents=True)
    settings = Settings(
        bundles_dir=bundles.resolve(),
        store_url=f"sqlite:///{state.resolve() / 'store.sqlite'}",
        uploads_dir=state / "uploads",
    )
    program = (
        "import sys, uvicorn; uvicorn.run('recommender.serving.app:app_from_environment', factory=True, "
        f"port=int(sys.argv[1]), workers={workers}, log_level='warning', access_log=False)"
    )
    with started([sys.executable, "-c", program], {SETTINGS_VARIABLE: settings.to_json()}, "/readyz") as found:
        yield found


@contextmanager
def started(
    command: list[str], environment: dict[str, str] | None = None, path: str = "/"
) -> Iterator[tuple[str, float, Callable[[], list[psutil.Process]]]]:
    """Run a server on a free port until the block ends; yields its address, the seconds to its first answer, processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    at = time.perf_counter()
    with (Path(tempfile.gettempdir()) / f"serving-{port}.log").open("wb") as errors:
        process = subprocess.Popen([*command, str(port)], env=os.environ | (environment or {}), stderr=errors)
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                if httpx.get(address + path).status_code == 200:
                    break
            except httpx.TransportError:
                if process.poll() is not None or time.perf_counter() - at > 120:
                    raise
                time.sleep(0.02)
        parent = psutil.Process(process.pid)
        yield address, time.perf_counter() - at, lambda: [parent, *parent.children(recursive=True)]
    finally:
        process.terminate()
        process.wait(timeout=30)


Call = tuple[str, str, bytes | None]


def request_bytes(call: Call) -> bytes:
    """Write a request down."""
    method, path, body = call
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + (body or b"")


async def answer(reader: asyncio.StreamReader) -> None:
    """Read an answer to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the service answered {head.splitlines()[0].decode()}")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))


def latencies_ms(address: str, calls: list[Call]) -> np.ndarray:
    """Send requests one after the other over one connection, the first tenth for warming up."""

    async def run() -> list[float]:
        reader, writer = await asyncio.open_connection(*address.removeprefix("http://").split(":"))
        taken = []
        for call in calls:
            at = time.perf_counter()
            writer.write(request_bytes(call))
            await answer(reader)
            taken.append(1e3 * (time.perf_counter() - at))
        writer.close()
        return taken

    return np.array(asyncio.run(run())[len(calls) // 10 :])


def requests_a_second(address: str, paths: list[str], seconds: float, connections: int = 16) -> float:
    """Send requests over 16 connections at once."""

    async def run() -> float:
        done, stop = 0, time.perf_counter() + seconds

        async def client(start: int) -> None:
            nonlocal done
            reader, writer = await asyncio.open_connection(*address.removeprefix("http://").split(":"))
            place = start
            while time.perf_counter() < stop:
                writer.write(request_bytes(("GET", paths[place % len(paths)], None)))
                await answer(reader)
                done, place = done + 1, place + connections
            writer.close()

        at = time.perf_counter()
        await asyncio.gather(*(client(start) for start in range(connections)))
        return done / (time.perf_counter() - at)

    return asyncio.run(run())


def check(address: str, bundles: Path, paths: list[str]) -> tuple[int, float]:
    """Count lists that are not those of the whole catalog scored exactly, and measure similar tracks against all."""
    from recommender.ranking import ranker
    from recommender.ranking.ranker import RecommendOptions, recommend

    model = load_bundle(current_bundle(bundles)).model
    ranker.NARROW_FROM = len(model.catalog) + 1
    wrong = 0
    for path in paths:
        user = model.users.row(path.split("/")[3])
        expected = recommend(model, model.plays[user], model.heard[user], RecommendOptions())[0]
        found = [
            item["track"]["id"] for item in httpx.get(address + path, params={"explore": 0}, timeout=60).json()["items"]
        ]
        wrong += found != model.catalog.tracks.ids_of(expected.track_rows)
    assert model.sound is not None
    shares = []
    for row in range(7, 4000, 200):
        likeness = model.sound.vectors @ model.sound.vectors[row]
        likeness[row] = -np.inf
        nearest = set(model.catalog.tracks.ids_of(np.argsort(-likeness)[:10]))
        items = httpx.get(f"{address}/v1/tracks/{model.catalog.tracks.ids[row]}/similar", params={"top": 10}).json()[
            "items"
        ]
        shares.append(len(nearest & {item["track"]["id"] for item in items}) / 10)
    return wrong, float(np.mean(shares))


if __name__ == "__main__":
    sys.exit(main())
