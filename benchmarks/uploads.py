"""How long an upload takes until it can be recommended, over loopback from another process.

    python benchmarks/uploads.py WORKSPACE [--seconds 180] [--files 20]

The files are MP3s of noise bursts and tones, each another; the workspace's own store and uploads are left alone.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import httpx
import numpy as np
import psutil

from pipelines.serve import server_settings
from pipelines.workspace import open_workspace
from recommender.serving.settings import SETTINGS_VARIABLE, Settings

RATE_HZ = 44100
PORT = 8791


def write_mp3(path: Path, seconds: float, seed: int) -> None:
    """Write a stereo MP3 of chords that change every second."""
    rng = np.random.default_rng(seed)
    t = np.arange(RATE_HZ) / RATE_HZ
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mp3", rate=RATE_HZ, layout="stereo")
        stream.bit_rate = 192_000
        for second in range(int(seconds)):
            notes = 110 * 2 ** (rng.integers(0, 48, 3) / 12)
            music = sum(np.sin(2 * np.pi * note * t) for note in notes) / 6 + 0.05 * rng.normal(size=RATE_HZ)
            both = np.stack([music, music * 0.8]).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(both, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = RATE_HZ, second * RATE_HZ
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main() -> None:
    """Make the files, serve, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--files", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [folder / f"{n}.mp3" for n in range(given.files)]
        for n, path in enumerate(files):
            write_mp3(path, given.seconds, n)
        own = server_settings(open_workspace(given.workspace), explore=0.0)
        settings = Settings(own.bundles_dir, f"sqlite:///{folder / 's.sqlite'}", folder / "uploads", own.music_roots)
        command = [sys.executable, "-m", "uvicorn", "--factory", "recommender.serving.app:app_from_environment"]
        environment = {**os.environ, SETTINGS_VARIABLE: settings.to_json()}
        began = time.perf_counter()
        with subprocess.Popen(
            [*command, "--port", str(PORT), "--log-level", "warning"], env=environment, stdout=subprocess.DEVNULL
        ) as server:
            try:
                measure(files, server, began)
            finally:
                server.terminate()


def measure(files: list[Path], server: subprocess.Popen[bytes], began: float) -> None:
    """Upload every file and ask for what is like it."""
    with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=60, trust_env=False) as client:
        up_s = None
        while server.poll() is None and time.perf_counter() < began + 60:
            try:
                up_s = up_s or (client.get("/readyz").is_success and time.perf_counter() - began)
                if client.get("/v1/model").json()["ears_ready"]:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.01)
        print(f"ready after {up_s:.2f} s, ears after {time.perf_counter() - began:.2f} s")
        answered, usable = [], []
        for path in files:
            content = path.read_bytes()
            start = time.perf_counter()
            answer = client.post("/v1/tracks", files={"file": (path.name, content)})
            answered.append(time.perf_counter() - start)
            assert answer.status_code == 201, answer.text
            track = answer.json()["track"]["id"]
            liked = client.post("/v1/recommendations", json={"liked": [track]}).json()
            assert liked["unknown_tracks"] == [], liked
            usable.append(time.perf_counter() - start)
        size = len(content) / 2**20
        for what, times in (("answered (201)", answered), ("and recommended from", usable)):
            p50, p95, worst = np.percentile(times, [50, 95, 100])
            print(f"{what}: p50 {p50:.2f} s, p95 {p95:.2f} s, slowest {worst:.2f} s ({len(times)} of {size:.1f} MiB)")
        process = psutil.Process(server.pid)
        ears = [child for child in process.children() if "recommender.serving.ear" in " ".join(child.cmdline())]
        memory = [one.memory_info().rss / 2**20 for one in (process, *ears)]
        print(f"memory: server {memory[0]:.0f} MiB, ears {memory[1]:.0f} MiB")


if __name__ == "__main__":
    main()
