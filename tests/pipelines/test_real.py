"""From a real music folder, and from a real listening log, to recommendations."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from pipelines import experiment, ingest, recommend, similar, train
from pipelines.config import load_settings
from pipelines.workspace import open_workspace

pytestmark = pytest.mark.real

UNUSABLE = {"empty.mp3", "random bytes.mp3", "not music.ogg", "header only.wav", "blip.ogg", "silence.opus"}
IN_PART = {"truncated.mp3", "damaged.flac"}


@contextmanager
def served(folder: Path) -> Iterator[httpx.Client]:
    """``firstlisten serve`` as a process of its own, asked to end like by Ctrl-C."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "pipelines", "serve", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            for _ in range(300):
                try:
                    if client.get("/readyz").status_code == 200:
                        break
                except httpx.TransportError:
                    assert process.poll() is None, "the server ended"
                time.sleep(0.2)
            yield client
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) in (0, -signal.SIGINT, 130)


@pytest.fixture(scope="module")
def library(shared_dir, tmp_path_factory, quick):
    """A workspace over the real folder, with listeners who each like a few of its artists; and what was said."""
    workspace = open_workspace(tmp_path_factory.mktemp("real") / "w", create=True)
    (workspace.folder / "firstlisten.toml").write_text(quick)
    report = ingest.run(workspace, music=shared_dir / "music")
    catalog = workspace.catalog()
    rng = np.random.default_rng(0)
    artists = sorted(set(catalog.table["artist"]))
    rows = []
    for user in range(60):
        liked = set(rng.choice(artists, 4, replace=False))
        own = np.flatnonzero(catalog.table["artist"].isin(liked))
        for row in rng.choice(own, min(len(own), 12), replace=False):
            rows.append((f"user {user}", catalog.tracks.ids[row], 1.0, pd.Timestamp("2024-01-01")))
    plays = pd.DataFrame(rows, columns=["user_id", "item_id", "weight", "timestamp"])
    ingest.add_plays(workspace, plays)
    return workspace, report


@pytest.fixture(scope="module")
def trained(library):
    workspace, report = library
    said = StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        train.run(workspace, load_settings(workspace.folder))
    return workspace, report, said.getvalue()


def test_every_bad_file_is_named_with_its_reason_and_stops_nothing(trained):
    workspace, report, said = trained
    told = " ".join(report.problems) + said
    for name in UNUSABLE | IN_PART:
        assert name in told
    analysed = workspace.files()
    assert report.n_tracks >= 102
    heard = train.read_library(workspace, load_settings(workspace.folder).clips).clips.tracks
    by_name = {path.rsplit("/", 1)[-1]: item for path, item in zip(analysed["path"], analysed["item_id"], strict=True)}
    assert not {by_name[name] for name in UNUSABLE if name in by_name} & set(heard)
    assert {by_name[name] for name in IN_PART} <= set(heard)
    assert len(heard) >= 102 + len(IN_PART)


def test_recommend_similar_and_serve(trained, tmp_path, shared_dir):
    workspace = trained[0]
    catalog = workspace.catalog()
    out = tmp_path / "r.csv"
    recommend.run(
        workspace, user=None, history=None, top=10, candidates=None, include_heard=False, max_per_artist=2, out=out
    )
    assert pd.read_csv(out).groupby("user_id").size().eq(10).all()
    ogg = next(path for path in catalog.table["path"] if path.endswith(".ogg"))
    moved = tmp_path / "some file.ogg"
    shutil.copy(ogg, moved)
    similar.run(workspace, str(moved), top=3, out=out)
    best = pd.read_csv(out)
    assert best["similarity"].iloc[0] > 0.99
    with served(workspace.folder) as client:
        assert client.get("/v1/users/user 0/recommendations").json()["items"]
        track = catalog.tracks.ids[0]
        assert client.get(f"/v1/tracks/{track}/similar").status_code == 200
        audio = client.get(f"/v1/tracks/{track}/audio", headers={"Range": "bytes=0-99"})
        assert audio.status_code == 206
        assert len(audio.content) == 100


@pytest.mark.slow
def test_cold_artists_are_found_by_their_timbre(shared_dir, tmp_path):
    listens = shared_dir / "listens"
    workspace = open_workspace(tmp_path / "w", create=True)
    ingest.run(
        workspace,
        interactions=listens / "interactions.csv",
        tracks=listens / "tracks.csv",
        embeddings=listens / "timbre.parquet",
    )
    out = tmp_path / "out"
    methods = ("random", "shuffled embeddings", "First Listen")
    settings = load_settings(workspace.folder)
    experiment.cold_start(
        workspace, settings, out, seeds=1, fraction=0.2, min_users=5, tasks=("cold",), methods=methods
    )
    report = json.loads((out / "report.json").read_text())
    recall = {r["method"]: r["mean"] for r in report["table"] if (r["task"], r["metric"]) == ("cold", "recall@10")}
    assert recall["First Listen"] > 0.33
    assert recall["First Listen"] > recall["shuffled embeddings"] + 0.1
    assert recall["random"] < 0.2
    assert (out / "cold_start.png").stat().st_size > 10_000
