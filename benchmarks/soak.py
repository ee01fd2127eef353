"""Whether a server's memory stays flat: a mix of requests, right and wrong, for as long as you like.

``python benchmarks/soak.py FOLDER [--requests 100000]`` generates a bundle of 5,000 tracks and 2,000 users into FOLDER and
asks one server process for lists, similar tracks, searches, listens, verdicts, playlists, unknown things and nonsense, with
four connections. Memory is the process's own (anonymous pages). The first fifth fills caches and is left out; of the rest
the slope by least squares is told. 1 is returned if a request is answered otherwise than it should be, or memory grows by
more than `MOST_GROWTH_MB` from the mean of the first quarter of the rest to that of the last.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
from big_bundle import Size, ensure_bundle

from recommender.serving.bundle import current_bundle, load_bundle
from recommender.serving.settings import SETTINGS_VARIABLE, Settings

PORT, THREADS, SAMPLES = 8797, 4, 40
SERVE = f"""
import uvicorn
from recommender.serving.patience import PatientProtocol
uvicorn.run(
    "recommender.serving.app:app_from_environment", factory=True, port={PORT}, access_log=False, http=PatientProtocol
)
"""
KINDS, EXPECTED = 20, {17: 404, 18: 422, 19: 404}
"""Of 20 requests, which are to be refused, and how; all others are to be answered."""
MOST_GROWTH_MB = 16.0
IDLE_S = 3.0
"""uvicorn closes a connection that is not used for five seconds."""


def main() -> int:
    """Run the soak."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--requests", type=int, default=100_000)
    given = parser.parse_args()
    bundles = ensure_bundle(given.folder, Size(tracks=5000, users=2000, factors=32))
    model = load_bundle(current_bundle(bundles)).model
    (given.folder / "soak.sqlite").unlink(missing_ok=True)
    settings = Settings(
        bundles,
        f"sqlite:///{given.folder / 'soak.sqlite'}",
        given.folder / "uploads",
        requests_per_minute=10**8,
        warm_hearing=False,
    )
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        env=os.environ | {SETTINGS_VARIABLE: settings.to_json()},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_ready(server)
        outcome = soak(server.pid, model.users.ids, model.catalog.tracks.ids, given.requests)
        if server.poll() is not None:
            raise SystemExit(f"the server ended with {server.returncode}")
        return outcome
    finally:
        server.terminate()
        server.wait(20)


def soak(pid: int, users: tuple[str, ...], tracks: tuple[str, ...], n_requests: int) -> int:
    """Send the requests, print memory on the way, and judge it."""
    numbers, statuses, wrong, lock, reopened = itertools.count(), Counter[str](), Counter[str](), threading.Lock(), 0
    sampled: list[tuple[int, float]] = []
    every = max(1, n_requests // SAMPLES)
    started = time.perf_counter()

    def work() -> None:
        nonlocal reopened
        connection, answered_at = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60), time.monotonic()
        while (number := next(numbers)) < n_requests:
            (method, path, body), expected = request_of(number, users, tracks), EXPECTED.get(number % KINDS, 200)
            headers = {"Content-Type": "application/json"} if body is not None else {}
            if time.monotonic() - answered_at > IDLE_S:  # this process was kept waiting; the server may have closed it
                connection.close()
                reopened += 1
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                answer.read()
                status: int | str = answer.status
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                status = type(error).__name__
            answered_at = time.monotonic()
            with lock:
                statuses[str(status)] += 1
                if status != expected:
                    wrong[f"{method} {path.split('?')[0]}: {status}"] += 1
                if number % every == 0:
                    sampled.append((number, own_megabytes(pid)))
                    print(f"{number:8d} requests: {sampled[-1][1]:7.1f} MB", flush=True)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers_of, megabytes = np.array(sorted(sampled)).T
    rest = numbers_of >= n_requests / 5
    slope = np.polyfit(numbers_of[rest], megabytes[rest], 1)[0] * 100_000
    quarter = max(1, int(rest.sum()) // 4)
    growth = float(megabytes[rest][-quarter:].mean() - megabytes[rest][:quarter].mean())
    took_s = time.perf_counter() - started
    print(f"{statuses.total()} of {n_requests} requests in {took_s:.0f} s; answers: {dict(sorted(statuses.items()))}")
    print(
        f"after the first fifth: {growth:+.1f} MB ({MOST_GROWTH_MB:g} allowed), slope {slope:+.1f} MB per 100,000 requests"
    )
    print(f"answered otherwise than they should be: {wrong.total()} {dict(wrong.most_common(5)) if wrong else ''}")
    print(f"connections opened anew after this process was kept waiting for {IDLE_S:g} s: {reopened}")
    return int(bool(wrong) or statuses.total() < n_requests or growth > MOST_GROWTH_MB)


def request_of(number: int, users: tuple[str, ...], tracks: tuple[str, ...]) -> tuple[str, str, str | None]:
    """Return the method, path and body of the request of a number."""
    rng = np.random.default_rng(number)
    user, track = users[rng.integers(len(users))], tracks[rng.integers(len(tracks))]
    kind = number % KINDS
    if kind < 8:
        return "GET", f"/v1/users/{user}/recommendations?top=20", None
    if kind < 11:
        return "GET", f"/v1/tracks/{track}/similar", None
    if kind < 13:
        return "GET", f"/v1/tracks?query={track[-3:]}", None
    if kind == 13:
        at = f"20{rng.integers(10, 26)}-0{rng.integers(1, 10)}-11T08:00:{rng.integers(10, 60)}Z"
        listen = {"user_id": user, "track_id": track, "listened_at": at}
        # few users and tracks, so that the state of the model is not what grows
        if number % 100 != 13:
            listen |= {"user_id": users[0], "track_id": tracks[0], "listened_at": "2020-01-01T00:00:00Z"}
        return "POST", "/v1/listens", json.dumps({"listens": [listen]})
    if kind == 14:
        return "POST", "/v1/recommendations", json.dumps({"liked": [track], "top": 10})
    if kind == 15:
        return "PUT", f"/v1/users/{users[1]}/feedback/{tracks[number % 7]}", json.dumps({"value": "love"})
    if kind == 16:
        return "POST", "/v1/playlists", json.dumps({"tracks": [track], "length": 10})
    if kind == 17:
        return "GET", f"/v1/users/nobody-{number}/recommendations", None
    if kind == 18:
        return "POST", "/v1/listens", '{"listens": [' + "[" * int(rng.integers(50))
    return "GET", f"/v1/nothing/{number}", None


def own_megabytes(pid: int) -> float:
    """Return the anonymous memory of a process: what no file stands for."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) / 1024
    return psutil.Process(pid).memory_info().rss / 2**20


def wait_until_ready(server: subprocess.Popen[bytes]) -> None:
    """Wait for a server that answers."""
    while True:
        if server.poll() is not None:
            raise SystemExit("the server ended")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", PORT)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
