"""A small world that can be heard: tones of two kinds, listeners of two tastes, served over real HTTP."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
import uuid
import wave
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pandas as pd
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import create_engine, make_url

from recommender.data.catalog import Catalog
from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.serving.bundle import use_bundle, write_bundle
from recommender.serving.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

RATE_HZ = 22050
LOW_HZ, HIGH_HZ = 220.0, 1760.0
N_EACH = 8
"""Tracks of each kind; the last of each has no plays."""

RECORDING = "5f1a1d2c-6a0d-4d0c-9d9a-0c5b9b2f7e11"
"""The MusicBrainz id of the first track."""


def tone(base_hz: float, seed: int, seconds: float = 4.0) -> np.ndarray:
    """Notes on a scale over `base_hz`, with a little noise: low and high ones differ to any ear."""
    rng = np.random.default_rng(seed)
    notes = base_hz * 2 ** (rng.choice([0, 2, 4, 7, 9], size=int(seconds * 4)) / 12)
    t = np.arange(RATE_HZ // 4) / RATE_HZ
    music = np.concatenate([np.sin(2 * np.pi * note * t) * np.exp(-3 * t) for note in notes])
    return 0.4 * music + 0.005 * rng.normal(size=len(music))


def write_wav(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@dataclass(frozen=True)
class World:
    """Folders of a served world."""

    bundles: Path
    music: Path


def _catalog(music: Path) -> Catalog:
    rows = []
    for kind, base_hz in (("low", LOW_HZ), ("high", HIGH_HZ)):
        for n in range(N_EACH):
            path = write_wav(music / f"{kind}{n}.wav", tone(base_hz, n + (100 if kind == "high" else 0)))
            rows.append(
                {
                    "item_id": f"{kind}{n}",
                    "title": f"{kind.title()} Tide {n}",
                    "artist": f"{kind.title()} Artist {n % 4}",
                    "album": "Álbum Ñ",
                    "duration_s": 4.0,
                    "path": path.name if n % 2 else str(path),
                    "released": f"20{10 + n}-01-01",
                    "recording_mbid": RECORDING if (kind, n) == ("low", 0) else "",
                }
            )
    rows.append(
        {"item_id": "silent/one ü", "title": "‏أغنية بلا ملف", "artist": "فيروز", "album": "", "duration_s": np.nan}
    )
    return Catalog.from_frame(pd.DataFrame(rows))


def _interactions(catalog: Catalog) -> Interactions:
    rng, rows = np.random.default_rng(7), []
    for user in range(40):
        kind = "low" if user % 2 else "high"
        for n in rng.choice(N_EACH - 1, size=4, replace=False):
            rows.append((f"u{user:02d}", f"{kind}{n}", 1.0))
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "weight"])
    frame["timestamp"] = pd.to_datetime("2025-01-01")
    users = (*sorted(set(frame["user_id"])), "مستمع <b>جديد</b>")
    return Interactions.from_frame(frame, Vocabulary("user", users), catalog.tracks)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two bundles: ``with-ears`` (current), and ``no-ears``, which was fitted without audio."""
    import torch

    from recommender.audio.clips import ClipConfig, Clips, read_clips
    from recommender.audio.signatures import Signatures
    from recommender.models.checkpoint import weights_of
    from recommender.models.cnn import CnnConfig, SpectrogramCNN
    from recommender.models.embed import embed_clips, load_cnn
    from recommender.models.factors import AlsConfig
    from recommender.models.trained_cnn import TrainCnnConfig, TrainedCnn, version_of
    from recommender.ranking.ranker import RankerConfig, fit_hybrid

    folder = tmp_path_factory.mktemp("world")
    music = folder / "music"
    music.mkdir()
    catalog = _catalog(music)
    interactions = _interactions(catalog)
    shape = CnnConfig(dim=16, pitch_channels=4, channels=16, events=16)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = weights_of(SpectrogramCNN(shape))
    trained = TrainedCnn(weights, TrainCnnConfig(cnn=shape), [], 0, (), version_of(weights, shape))
    heard = [f"{kind}{n}" for kind in ("low", "high") for n in range(N_EACH)]
    clips = [read_clips(music / f"{track}.wav", ClipConfig()) for track in heard]
    counts = [len(each.mels) for each in clips]
    embeddings = embed_clips(
        load_cnn(trained),
        Clips(
            Vocabulary("track", tuple(heard)),
            np.concatenate([each.mels for each in clips]),
            np.repeat(np.arange(len(heard), dtype=np.int32), counts),
            np.concatenate([each.starts_s for each in clips]),
        ),
    )
    config = RankerConfig(als=AlsConfig(factors=8, iterations=8))
    for name, cnn, vectors in (("no-ears", None, None), ("with-ears", trained, embeddings)):
        model = fit_hybrid(catalog, interactions, vectors, config)
        signed = {track: each.signature for track, each in zip(heard, clips, strict=True)} if cnn else {}
        write_bundle(
            folder / "bundles" / name,
            model,
            cnn,
            config={},
            data_digest="d" * 16,
            metrics={"ndcg": 0.5},
            signatures=Signatures.in_rows(catalog.tracks, signed) if signed else None,
        )
    use_bundle(folder / "bundles", "with-ears")
    return World(folder / "bundles", music)


def make_settings(world: World, folder: Path, **changes: object) -> Settings:
    values = {
        "bundles_dir": world.bundles,
        "store_url": f"sqlite:///{folder / 'store.sqlite'}",
        "uploads_dir": folder / "uploads",
        "music_roots": (world.music,),
        "max_upload_bytes": 2 * 2**20,
        "max_body_bytes": 256 * 1024,
        "warm_hearing": False,
        "refresh_s": 0.0,
        "answers_s": 0.0,
        "explore": 0.0,
    }
    return Settings(**(values | changes))  # type: ignore[arg-type]


@contextmanager
def running(app: FastAPI, **options: Any) -> Iterator[str]:
    """Serve an application on a free port of this machine, with options of uvicorn; yields its address."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none", proxy_headers=False, **options)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert thread.is_alive(), "the server ended while starting"
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a PostgreSQL server, for `postgres_url`: the one in the environment, or one of this session's own."""
    given = os.environ.get("FIRSTLISTEN_TEST_POSTGRES")
    if given:
        yield given
        return
    with private_postgres(_postgres_programs()) as (url, _):
        yield url


@pytest.fixture
def own_postgres() -> Iterator[tuple[str, Callable[..., None]]]:
    """A server that a test may stop: its address, and a function that takes "start" or "stop"."""
    with private_postgres(_postgres_programs()) as found:
        yield found


def _postgres_programs() -> Path:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        pytest.skip("needs PostgreSQL: install it, or name a server in FIRSTLISTEN_TEST_POSTGRES")
    return programs[-1].parent


@contextmanager
def private_postgres(programs: Path) -> Iterator[tuple[str, Callable[..., None]]]:
    """Run a server on a socket file; yields its address, and a function that takes "start" or "stop"."""
    folder = Path(tempfile.mkdtemp(prefix="fl-pg-", dir="/tmp"))
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if user:
        shutil.chown(folder, "postgres")

    def control(verb: str) -> None:
        options = ["-o", f"-k {folder} -c listen_addresses= -c fsync=off"] if verb == "start" else ["-m", "fast"]
        data = ["-D", str(folder / "data")]
        command = [*user, str(programs / "pg_ctl"), "-s", "-w", *data, "-l", str(folder / "log"), *options, verb]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)

    try:
        initdb = [str(programs / "initdb"), "-D", str(folder / "data"), "-A", "trust", "-U", "fl", "-E", "UTF8"]
        subprocess.run([*user, *initdb, "--no-sync"], check=True, cwd=folder, stdout=subprocess.DEVNULL)
        control("start")
        yield f"postgresql://fl@/postgres?host={folder}", control
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            control("stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """Address of an empty database."""
    server = make_url(postgres).set(drivername="postgresql+psycopg")
    name = f"fl_test_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield server.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.sqlite'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


Serve = Callable[..., httpx.Client]


@pytest.fixture
def serve(world: World, tmp_path: Path) -> Iterator[Serve]:
    """Start servers of the world with a store of this test's own; keyword arguments change their settings."""
    from recommender.serving.app import create_app

    with ExitStack() as stack:

        def start(**changes: object) -> httpx.Client:
            address = stack.enter_context(running(create_app(make_settings(world, tmp_path, **changes))))
            return stack.enter_context(httpx.Client(base_url=address, timeout=30, trust_env=False))

        yield start


@pytest.fixture(scope="module")
def client_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the store and the uploads of `client`."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def client(world: World, client_folder: Path) -> Iterator[httpx.Client]:
    """One server for tests that change nothing."""
    from recommender.serving.app import create_app

    with (
        running(create_app(make_settings(world, client_folder))) as address,
        httpx.Client(base_url=address, timeout=30, trust_env=False) as http,
    ):
        yield http


FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-sync",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
]


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Chromium: no program called chromium is on the path (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()


@contextmanager
def opened(browser: "Browser", address: str, **context_options: Any) -> Iterator["Page"]:
    """The page, loaded; fails if it logs an error or asks another machine for anything."""
    context = browser.new_context(**{"viewport": {"width": 1360, "height": 900}} | context_options)
    page = context.new_page()
    page.set_default_timeout(8000)
    problems: list[str] = []
    refused = (
        "Failed to load resource: the server responded with a status of 4",
        "Failed to load resource: the server responded with a status of 503",
    )  # asked for on purpose by some tests

    def listen(message: "ConsoleMessage") -> None:
        if message.type == "error" and not message.text.startswith(refused):
            problems.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "request", lambda request: None if request.url.startswith((address, "blob:")) else problems.append(request.url)
    )
    page.goto(address)
    page.wait_for_selector("body[data-ready=yes]")
    yield page
    context.close()
    assert problems == []


@pytest.fixture
def page(browser: "Browser", client: httpx.Client) -> Iterator["Page"]:
    """For tests that change nothing."""
    with opened(browser, str(client.base_url)) as page:
        yield page


@pytest.fixture
def own_page(browser: "Browser", serve: Any) -> Iterator["Page"]:
    """With a server of the test's own."""
    with opened(browser, str(serve(warm_hearing=True).base_url)) as page:
        yield page
