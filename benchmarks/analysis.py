"""Analysis of full-length files: time and memory of each stage and of the whole command, against decoding alone.

Run from the repository::

    FIRSTLISTEN_SHARED=../shared python benchmarks/analysis.py [FOLDER] [--files 48] [--no-long]

FOLDER holds music; without it files of 2 to 5 minutes (MP3, Ogg, M4A, FLAC, Opus) are made of the excerpts in
FIRSTLISTEN_SHARED. Times are processor time, children included, so that other work on the machine counts little. The
*decode floor* is the same windows decoded to arrays by PyAV, one seek each, and thrown away; a second line gives it
without the arrays. Memory of the command is the sum over its processes of the proportional set size, at its peak.
Peers: bliss-audio, and librosa.load of the whole file with MFCCs. The network is the shipped one, or an untrained one of
the default shape. Ends with 1 if a limit is not held or the command stores other clips than a single read gives.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from long_files import make_library, make_long

from recommender.audio.clip_store import ClipStore
from recommender.audio.clips import ClipConfig, TrackClips, clip_starts, read_clips
from recommender.audio.decode import open_audio
from recommender.audio.mel import log_mel_spectrogram, quantise
from recommender.audio.vector_store import ClipVectors, VectorStore
from recommender.data.library import content_hash
from recommender.data.tags import AUDIO_ENDINGS
from recommender.models import shipped
from recommender.models.ears import Ears, load_ears

MIN_TRACKS_A_MINUTE = 600
MAX_RATIO = 1.6
MAX_MEMORY_MB = 700.0
MAX_GROWTH_MB = 60.0
"""A file of three hours may take this much more than one of three minutes."""

CONFIG = ClipConfig()
PEER_FILES = 5
SAMPLE_INTERVAL_S = 0.02


@dataclass(frozen=True)
class Cost:
    """What a command took: wall and processor seconds, and the most memory that its processes held together."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def cpu_s() -> float:
    """Return the processor time of this process and of its ended children."""
    return sum(os.times()[:4])


def floor(path: Path, *, arrays: bool = True) -> None:
    """Decode the windows that an analysis hears, and throw them away."""
    with av.open(path) as file:
        stream = file.streams.audio[0]
        stream.codec_context.thread_type = "NONE"
        tick_s = float(stream.time_base or 1)
        origin_s = (stream.start_time or 0) * tick_s
        duration_s = stream.duration * tick_s if stream.duration else (file.duration or 0) / av.time_base
        for start_s in clip_starts(duration_s, CONFIG):
            file.seek(int((start_s + origin_s) / tick_s), stream=stream)
            for frame in file.decode(stream):
                if arrays:
                    frame.to_ndarray()
                if (frame.pts or 0) * tick_s - origin_s >= start_s + CONFIG.clip_s:
                    break


def windows(path: Path) -> list[np.ndarray]:
    """Decode, mix and resample what an analysis hears."""
    with open_audio(path) as audio:
        starts_s = clip_starts(audio.info.duration_s, CONFIG)
        return audio.decode_windows(starts_s, CONFIG.clip_s, CONFIG.mel.sample_rate_hz)[0]


def whole_bliss(path: Path) -> None:
    """Let bliss-audio analyse a file."""
    import bliss_audio

    bliss_audio.Song(str(path))


def whole_librosa(path: Path) -> None:
    """Load a whole file and compute MFCCs, as notebooks do."""
    import librosa

    waveform, rate = librosa.load(path)
    librosa.feature.mfcc(y=waveform, sr=rate)


PEERS = (("bliss-audio", "bliss_audio", whole_bliss), ("librosa.load, MFCC", "librosa", whole_librosa))


def measured(work: Callable[[Path], object], paths: Iterable[Path]) -> tuple[float, float]:
    """Return processor seconds a file, and the megabytes that Python and NumPy held at most (a file is warm-up)."""
    paths = list(paths)
    tracemalloc.start()
    work(paths[0])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    started = cpu_s()
    for path in paths:
        work(path)
    return (cpu_s() - started) / len(paths), peak / 1e6


def stages(paths: list[Path], ears: Ears, folder: Path) -> dict[str, tuple[float, float]]:
    """Return processor seconds a file and megabytes of each stage, each on its own."""
    waveforms = {path: np.stack([np.resize(one, CONFIG.n_samples) for one in windows(path)]) for path in paths}
    clips: dict[Path, TrackClips] = {path: read_clips(path, CONFIG) for path in paths}
    vectors = {path: ClipVectors(ears.embed(clips[path].mels), clips[path].starts_s) for path in paths}
    store = ClipStore(folder / "clips", CONFIG)
    vector_store = VectorStore(folder / "vectors", ears.version, store.version)

    def save(_: Path) -> None:
        store.append([(path.name, clips[path]) for path in paths])
        vector_store.append([(path.name, vectors[path]) for path in paths])

    frames = measured(lambda path: floor(path, arrays=False), paths)
    arrays = measured(floor, paths)
    decoded = measured(windows, paths)
    mel = measured(lambda path: quantise(log_mel_spectrogram(waveforms[path], CONFIG.mel)), paths)
    whole = measured(lambda path: read_clips(path, CONFIG), paths)
    stored = measured(save, paths[:1])
    return {
        "decode floor": arrays,
        "  without arrays": frames,
        "decode, mix, resample": decoded,
        "log-mel, quantise": mel,
        "checks, signature": (whole[0] - decoded[0] - mel[0], whole[1]),
        "network": measured(lambda path: ears.embed(clips[path].mels), paths),
        "content hash": measured(content_hash, paths),
        "storing": (stored[0] / len(paths), stored[1]),
    }


def command(ears_folder: Path | None, *arguments: str) -> Cost:
    """Run firstlisten in a process of its own."""
    patch = f"from recommender.models import shipped; from pathlib import Path; shipped.FOLDER = Path({str(ears_folder)!r})\n"
    program = (patch if ears_folder is not None else "") + "from pipelines.cli import main\nmain()"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    before, started, peak = children_s(), time.monotonic(), 0.0
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, sum(map(held_mb, family(process.pid))))
        time.sleep(SAMPLE_INTERVAL_S)
    if process.returncode:
        raise SystemExit(f"firstlisten {' '.join(arguments)} ended with {process.returncode}")
    return Cost(time.monotonic() - started, children_s() - before, peak)


def children_s() -> float:
    """Return the processor time of ended children and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def family(pid: int) -> list[int]:
    """Return a process and all that come from it."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").glob("*/children"))
        return [pid, *(one for task in tasks for child in task.read_text().split() for one in family(int(child)))]
    except OSError:
        return [pid]


def held_mb(pid: int) -> float:
    """Return a process's proportional set size in megabytes; 0 where it is gone, or the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def analyse(music: Path, folder: Path, ears_folder: Path | None) -> tuple[Cost, Cost]:
    """Analyse a folder by the command; return its cost, and that of a second run, which finds nothing to do."""
    command(ears_folder, "ingest", str(folder), "--music", str(music))
    first = command(ears_folder, "analyse", str(folder))
    return first, command(ears_folder, "analyse", str(folder))


def differences(paths: list[Path], ears: Ears, workspace: Path) -> list[str]:
    """Compare what the command stored with a single read of each file."""
    store = ClipStore(workspace / "clips", CONFIG)
    vector_store = VectorStore(workspace / "embeddings", ears.version, store.version)
    found = []
    for path in paths:
        key, expected = content_hash(path), read_clips(path, CONFIG)
        if not np.array_equal(store.get(key).mels, expected.mels):
            found.append(f"{path.name}: other clips")
        if not np.allclose(vector_store.load({"x": key}).clip_vectors, ears.embed(expected.mels), atol=1e-5):
            found.append(f"{path.name}: other vectors")
    return found


def untrained(folder: Path) -> Path:
    """Write a network of the default shape."""
    import torch

    from recommender.models.checkpoint import weights_of
    from recommender.models.cnn import SpectrogramCNN
    from recommender.models.cnn_config import CnnConfig, TrainCnnConfig
    from recommender.models.onnx_export import export_onnx
    from recommender.models.trained_cnn import TrainedCnn, version_of

    torch.manual_seed(0)
    torch.set_num_threads(1)
    shape = CnnConfig()
    weights = weights_of(SpectrogramCNN(shape))
    folder.mkdir()
    trained = TrainedCnn(weights, TrainCnnConfig(cnn=shape), [], 0, (), version_of(weights, shape))
    export_onnx(trained, folder / shipped.EARS_FILE, CONFIG)
    return folder


def print_stages(table: dict[str, tuple[float, float]]) -> None:
    """Print a line a stage, in ratio to the decode floor."""
    print(f"{'one file, one thread':28}{'CPU ms':>10}{'x floor':>10}{'Python MB':>12}")
    for name, (seconds, megabytes) in table.items():
        print(f"{name:28}{1000 * seconds:>10.1f}{seconds / table['decode floor'][0]:>10.2f}{megabytes:>12.1f}")


def main() -> int:
    """Print the tables; return 1 if a limit is not held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="music; by default made of the excerpts")
    parser.add_argument("--files", type=int, default=48, help="how many are made, or used by stages")
    parser.add_argument("--no-long", action="store_true", help="leave out the file of three hours")
    given = parser.parse_args()
    excerpts = Path(os.environ.get("FIRSTLISTEN_SHARED", Path(__file__).parents[2] / "shared")) / "music"
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        music = given.folder or scratch / "music"
        paths = sorted(path for path in music.rglob("*") if path.suffix in AUDIO_ENDINGS) if given.folder else []
        paths = paths[:: max(len(paths) // given.files, 1)] or make_library(excerpts, music, given.files)
        ears_folder = None if (shipped.FOLDER / shipped.EARS_FILE).is_file() else untrained(scratch / "network")
        ears = load_ears((ears_folder or shipped.FOLDER) / shipped.EARS_FILE)
        failed = whole(paths, music, scratch, ears, ears_folder)
        if not given.no_long:
            failed += long_and_short(excerpts, scratch, ears_folder)
    print("\n".join(failed) or "All limits are held.")
    return 1 if failed else 0


def whole(paths: list[Path], music: Path, scratch: Path, ears: Ears, ears_folder: Path | None) -> list[str]:
    """Measure stages, peers and the command on a library; return which limits are not held."""
    table = stages(paths, ears, scratch / "stages")
    read_by_all = [path for path in paths if path.suffix in (".mp3", ".flac", ".ogg")][:PEER_FILES]
    for name, module, peer in PEERS:
        if find_spec(module) is None:
            print(f"{name} is left out: {module} is not installed")
        else:
            table[name] = measured(peer, read_by_all)
    print_stages(table)
    first, nothing = analyse(music, scratch / "w", ears_folder)
    n_files = count(music)
    each_s, floor_s = (first.cpu_s - nothing.cpu_s) / n_files, table["decode floor"][0]
    minute = 60 / each_s * cores()
    print(
        f"\nfirstlisten analyse, {n_files} files: {first.wall_s:.1f} s, {60 * n_files / first.wall_s:.0f} tracks a minute, "
        f"CPU {1000 * first.cpu_s / n_files:.0f} ms a track, peak {first.peak_mb:.0f} MB\n"
        f"without the start ({nothing.cpu_s:.1f} s CPU): {1000 * each_s:.0f} ms CPU a track, {each_s / floor_s:.2f} x floor: "
        f"{minute:.0f} tracks a minute on {cores()} cores"
    )
    failed = differences(paths[:8], ears, scratch / "w")
    limits = {
        f"{minute:.0f} tracks a minute": minute >= MIN_TRACKS_A_MINUTE,
        f"{each_s / floor_s:.2f} x floor": each_s <= MAX_RATIO * floor_s,
        f"{first.peak_mb:.0f} MB": first.peak_mb <= MAX_MEMORY_MB,
    }
    return failed + [f"limit not held: {text}" for text, held in limits.items() if not held]


def long_and_short(excerpts: Path, scratch: Path, ears_folder: Path | None) -> list[str]:
    """Compare a file of three minutes with one of three hours."""
    excerpt = next(path for path in sorted(excerpts.glob("*/*/*.mp3")) if path.parent.parent.name != "broken")
    costs = []
    for name, seconds in (("three minutes", 180.0), ("three hours", 10800.0)):
        path = scratch / name / f"{name}.mp3"
        path.parent.mkdir()
        make_long(excerpt, path, seconds)
        cost, _ = analyse(path.parent, scratch / f"w {name}", ears_folder)
        costs.append(cost)
        print(f"one file of {name}: {cost.wall_s:.1f} s, CPU {cost.cpu_s:.2f} s, peak {cost.peak_mb:.0f} MB")
    growth = [later.peak_mb - earlier.peak_mb for earlier, later in pairwise(costs)]
    return [f"limit not held: {most:.0f} MB more for three hours" for most in growth if most > MAX_GROWTH_MB]


def count(music: Path) -> int:
    """Return how many files an analysis of a folder hears."""
    return len({content_hash(path) for path in music.rglob("*") if path.suffix in AUDIO_ENDINGS})


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main())
