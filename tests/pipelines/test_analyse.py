import hashlib
import importlib
import os
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pipelines.analyse
import pipelines.analysis_workers as analysis_workers
from pipelines.analyse import analyse_files
from pipelines.analysis_workers import JOBS_IN_FLIGHT
from recommender.audio.clip_store import ClipStore
from recommender.audio.clips import ClipConfig, read_clips
from recommender.audio.mel import MelConfig
from recommender.audio.vector_store import VectorStore

CONFIG = ClipConfig(clip_s=1.0, max_clips=2, mel=MelConfig(n_mels=16))

Job = tuple[str, str, Path]


def song(path: Path, seed: int, seconds: float = 3.0) -> Job:
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * 8000))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((noise * 32767).astype("<i2").tobytes())
    return job(path)


def job(path: Path) -> Job:
    key = hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
    return f"t-{path.name}", key, path


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    return ClipStore(tmp_path / "store", CONFIG)


@pytest.fixture
def songs(tmp_path: Path) -> list[Job]:
    return [song(tmp_path / f"{n}.wav", n) for n in range(5)]


@pytest.mark.parametrize("workers", [0, 2])
def test_every_file_reaches_the_store_and_bad_ones_are_named(
    workers: int, tmp_path: Path, store: ClipStore, songs: list[Job]
) -> None:
    (tmp_path / "empty.mp3").write_bytes(b"")
    (tmp_path / "text.ogg").write_bytes(b"no music\n" * 50)
    files = [*songs, job(tmp_path / "empty.mp3"), job(tmp_path / "text.ogg")]
    told: list[tuple[int, int]] = []
    report = analyse_files(files, store, workers=workers, progress=lambda done, total: told.append((done, total)))
    assert report.done == 5
    assert report.skipped == 0
    assert report.warned == ()
    assert [path.name for path, _ in report.failed] == ["empty.mp3", "text.ogg"]
    assert report.failed[0][1] == "0 bytes, expected an audio file"
    assert told == [(n, 7) for n in range(8)]
    for _, key, path in songs:
        np.testing.assert_array_equal(store.get(key).mels, read_clips(path, CONFIG).mels)
    assert set(store.failures()) == {files[5][1], files[6][1]}


def test_nothing_is_done_twice(
    tmp_path: Path, store: ClipStore, songs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty.mp3").write_bytes(b"")
    files = [*songs, job(tmp_path / "empty.mp3")]
    analyse_files(files[:3] + files[5:], store, workers=0)
    read: list[str] = []
    monkeypatch.setattr(
        analysis_workers, "read_clips", lambda path, config: read.append(path.name) or read_clips(path, config)
    )
    moved = tmp_path / "moved.wav"
    songs[0][2].rename(moved)
    report = analyse_files([("t-0.wav", songs[0][1], moved), *files[1:]], store, workers=0)
    assert read == ["3.wav", "4.wav"]
    assert (report.done, report.skipped) == (2, 3)
    assert [path.name for path, _ in report.failed] == ["empty.mp3"]
    retried = analyse_files(files[1:], store, workers=0, retry=True)
    assert read == ["3.wav", "4.wav", "empty.mp3"]
    assert (retried.done, retried.skipped, len(retried.failed)) == (0, 4, 1)


def test_equal_files_are_decoded_once(tmp_path: Path, store: ClipStore, songs: list[Job]) -> None:
    copy = tmp_path / "copy.wav"
    copy.write_bytes(songs[0][2].read_bytes())
    report = analyse_files([songs[0], job(copy)], store, workers=0)
    assert report.done == 2
    assert len(store.keys()) == 1


def test_what_is_not_the_contents_fault_is_tried_again(tmp_path: Path, store: ClipStore) -> None:
    report = analyse_files([("t", "00", tmp_path / "gone.wav")], store, workers=0)
    assert report.failed[0][1].startswith("no such file")
    assert store.failures() == {}


def test_files_used_in_part_are_named(tmp_path: Path, store: ClipStore) -> None:
    path = song(tmp_path / "x.wav", 1)[2]
    samples = np.full(24000, 0.1, dtype="<f4")
    samples[12000] = np.nan
    header = bytearray(path.read_bytes()[:44])
    header[4:8] = (36 + 96000).to_bytes(4, "little")
    header[20:22], header[34:36] = (3).to_bytes(2, "little"), (32).to_bytes(2, "little")
    header[28:32], header[32:34] = (32000).to_bytes(4, "little"), (4).to_bytes(2, "little")
    header[40:44] = (96000).to_bytes(4, "little")
    path.write_bytes(bytes(header) + samples.tobytes())
    files = [job(path)]
    config = ClipConfig(clip_s=3.0, mel=CONFIG.mel)
    report = analyse_files(files, ClipStore(tmp_path / "store", config), workers=0)
    assert report.done == 1
    assert [p.name for p, _ in report.warned] == ["x.wav"]
    assert "samples are not finite numbers" in report.warned[0][1]


SABOTAGED = """
import os, signal, time
import numpy as np
import pipelines.analysis_workers as workers
from recommender.audio.clips import TrackClips

def read(path, config):
    what = {faults!r}.get(path.name, "")
    if what.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, what))
    if what == "raise":
        raise RuntimeError("a bug")
    if what == "hang":
        time.sleep(60)
    if what == "greedy":
        np.ones(1 << 30)
    return TrackClips(np.zeros((1, 16, config.n_frames), np.uint8), np.zeros(1, np.float32), 3.0, ())

def work(pipe, config, ears):
    workers.read_clips = read
    workers.limit_memory(workers.FILE_MEMORY_BYTES)
    workers._serve(pipe, config, ears)
"""


@pytest.fixture
def sabotage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[dict[str, str]], None]:
    """Let the processes of an analysis misbehave on some files, and start faster than real ones."""

    def prepare(faults: dict[str, str]) -> None:
        (tmp_path / "sabotaged.py").write_text(SABOTAGED.format(faults=faults))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "sabotaged", raising=False)
        monkeypatch.setattr(analysis_workers, "_work", importlib.import_module("sabotaged").work)

    return prepare


@pytest.mark.parametrize(("name", "remembered"), [("SIGSEGV", True), ("SIGKILL", False)])
def test_a_crash_names_its_file_and_the_rest_goes_on(
    name: str, remembered: bool, sabotage: Callable[[dict[str, str]], None], store: ClipStore, songs: list[Job]
) -> None:
    sabotage({"1.wav": name})
    report = analyse_files(songs, store, workers=2)
    assert report.done == 4
    assert [path.name for path, _ in report.failed] == ["1.wav"]
    assert name in report.failed[0][1]
    assert (songs[1][1] in store.failures()) == remembered
    assert store.keys() == {key for _, key, path in songs if path.name != "1.wav"}


def test_a_bug_of_ours_and_a_file_that_hangs_stop_nobody(
    sabotage: Callable[[dict[str, str]], None],
    store: ClipStore,
    songs: list[Job],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    sabotage({"0.wav": "raise", "3.wav": "hang"})
    monkeypatch.setattr(analysis_workers, "FILE_TIMEOUT_S", 4.0)
    report = analyse_files(songs, store, workers=2)
    assert report.done == 3
    assert [path.name for path, _ in report.failed] == ["0.wav", "3.wav"]
    assert "exit code 1" in report.failed[0][1]
    assert "not decoded within 4 s" in report.failed[1][1]
    assert set(store.failures()) == {songs[3][1]}
    assert "RuntimeError: a bug" in capfd.readouterr().err


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux says how large a process is")
def test_a_file_that_takes_all_memory_is_named(
    sabotage: Callable[[dict[str, str]], None], store: ClipStore, songs: list[Job]
) -> None:
    sabotage({"2.wav": "greedy"})
    report = analyse_files(songs, store, workers=1)
    assert report.done == 4
    assert [path.name for path, _ in report.failed] == ["2.wav"]
    assert report.failed[0][1].startswith("needs more than 512 MB of memory")
    assert set(store.failures()) == {songs[2][1]}


def test_processes_that_cannot_start_blame_no_file(
    store: ClipStore, songs: list[Job], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "stillborn.py").write_text("def work(pipe, config, ears):\n    raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(analysis_workers, "_work", importlib.import_module("stillborn").work)
    with pytest.raises(RuntimeError, match="ended while it started, with exit code 3"):
        analyse_files(songs, store, workers=1)
    assert store.failures() == {}


def test_an_interruption_keeps_what_is_done(
    store: ClipStore, songs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analyse_files(songs, store, workers=0, progress=interrupt)
    assert len(store.keys()) == 2
    report = analyse_files(songs, store, workers=0)
    assert (report.done, report.skipped) == (3, 2)


KILLED = """
import sys, time
from pathlib import Path
import pipelines.analyse as analyse
import pipelines.analysis_workers as workers
import sabotaged
from recommender.audio.clip_store import ClipStore
from recommender.audio.clips import ClipConfig
from recommender.audio.mel import MelConfig

analyse.SHARD_TRACKS = 2
workers._work = sabotaged.work

def progress(done, total):
    print(done, flush=True)
    if done == 3:
        time.sleep(60)

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    files = [("t" + p.stem, p.stem, p) for p in sorted(folder.glob("*.wav"))]
    config = ClipConfig(clip_s=1.0, max_clips=2, mel=MelConfig(n_mels=16))
    analyse.analyse_files(files, ClipStore(folder / "store", config), workers=1, progress=progress)
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_killed_in_the_middle_it_resumes(
    sent: signal.Signals, tmp_path: Path, store: ClipStore, songs: list[Job]
) -> None:
    (tmp_path / "sabotaged.py").write_text(SABOTAGED.format(faults={}))
    script = tmp_path / "script.py"
    script.write_text(KILLED)
    environment = {**os.environ, "PYTHONPATH": str(Path(pipelines.analyse.__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # whoever runs the tests in the background ignores SIGINT, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    while process.stdout.readline().strip() != "3":
        assert process.poll() is None
    if sent == signal.SIGINT:
        os.killpg(process.pid, sent)  # As a terminal does: every process of the group gets it.
    else:
        process.kill()
    process.communicate(timeout=30)
    assert len(store.keys()) == (2 if sent == signal.SIGKILL else 3)
    report = analyse_files([(f"t{p.stem}", p.stem, p) for _, _, p in songs], store, workers=0)
    assert report.done + report.skipped == 5
    assert report.failed == ()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        left = subprocess.run(["pgrep", "-s", str(process.pid)], capture_output=True, text=True, check=False).stdout
        if not left.strip():
            break
        time.sleep(0.1)
    assert not left.strip(), "processes outlived their parent"


RESTLESS = """
import os, sys, time
from pathlib import Path
import numpy as np
import pipelines.analyse as analyse
import pipelines.analysis_workers as workers
from recommender.audio.clip_store import ClipStore
from recommender.audio.clips import ClipConfig, TrackClips
from recommender.audio.mel import MelConfig
from recommender.audio.vector_store import VectorStore

analyse.SHARD_TRACKS = 4
FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else None

class Fake:
    version = "fake"
    log: str

    def __init__(self, log):
        self.log = log

    def embed(self, mels):
        return np.ones((len(mels), 2), np.float32)

def work(pipe, config, ears):
    def read(path, config):
        with open(ears.log, "a") as file:
            file.write(path.name + "\\n")
        time.sleep(0.05)
        return TrackClips(np.zeros((1, 16, config.n_frames), np.uint8), np.zeros(1, np.float32), 3.0, ())

    workers.read_clips = read
    workers._serve(pipe, config, ears)

workers._work = work

if __name__ == "__main__":
    files = [("t" + p.stem, p.stem, p) for p in sorted(FOLDER.glob("*.wav"))]
    store = ClipStore(FOLDER / "store", ClipConfig(clip_s=1.0, max_clips=2, mel=MelConfig(n_mels=16)))
    vectors = VectorStore(FOLDER / "vectors", "fake", store.version)
    report = analyse.analyse_files(files, store, ears=Fake(str(FOLDER / "log")), vectors=vectors, workers=2)
    print(*(path.name + ": " + reason for path, reason in report.failed), sep="\\n", flush=True)
"""


def test_killed_at_any_moment_again_and_again_it_ends_with_everything_and_little_twice(tmp_path: Path) -> None:
    names = {f"{n:02d}.wav" for n in range(40)}
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "script.py").write_text(RESTLESS)
    log = tmp_path / "log"
    log.touch()
    rng = np.random.default_rng(3)
    for _ in range(3):
        process = begin(tmp_path, int(rng.integers(1, 9)))
        time.sleep(rng.uniform(0, 0.06))
        process.kill()
        process.communicate(timeout=60)
    process = begin(tmp_path, 1)
    workers = subprocess.run(["pgrep", "-P", str(process.pid), "-f", "spawn_main"], capture_output=True, text=True)
    os.kill(int(workers.stdout.split()[0]), signal.SIGKILL)
    told, _ = process.communicate(timeout=120)
    assert told.count("its process was killed (SIGKILL)") <= 1, "the other files of its process go on"
    process = begin(tmp_path, 1)
    told, _ = process.communicate(timeout=120)
    assert told.strip() == ""
    store = ClipStore(tmp_path / "store", CONFIG)
    assert store.keys() == {Path(name).stem for name in names}
    assert VectorStore(tmp_path / "vectors", "fake", store.version).keys() == store.keys()
    assert store.failures() == {}
    begun = log.read_text().split()
    assert set(begun) == names
    # What a killed parent loses: one shard that was not full, and what its two processes had in hand.
    assert len(begun) <= len(names) + 3 * (4 + 2 * JOBS_IN_FLIGHT) + 1
    assert not list(tmp_path.glob("*/*/.part-*"))


def begin(folder: Path, files: int) -> "subprocess.Popen[str]":
    """Start an analysis; return when so many more files are begun: in the middle of a file, or of a shard."""
    log = folder / "log"
    enough = len(log.read_text().split()) + files
    process = subprocess.Popen(
        [sys.executable, str(folder / "script.py"), str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path(pipelines.analyse.__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(log.read_text().split()) < enough and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


@pytest.mark.real
def test_real_music_with_its_broken_files(shared_dir: Path, tmp_path: Path) -> None:
    paths = sorted((shared_dir / "music" / "broken").iterdir())
    paths += sorted((shared_dir / "music").glob("*/*/*.*"))[::12]
    files = [job(path) for path in paths if path.suffix != ".md"]
    store = ClipStore(tmp_path / "store", ClipConfig())
    report = analyse_files(files, store, workers=2)
    assert {path.name for path, _ in report.failed} == {
        "empty.mp3", "random bytes.mp3", "not music.ogg", "header only.wav", "blip.ogg", "silence.opus",
    }  # fmt: skip
    assert {path.name for path, _ in report.warned} == {"truncated.mp3", "damaged.flac"}
    assert report.done == len(files) - 6
    stored = store.keys()
    clips = store.load({item: key for item, key, _ in files if key in stored})
    assert len(clips.tracks) == report.done
    assert (np.bincount(clips.clip_tracks) >= 1).all()
