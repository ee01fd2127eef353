"""Hearing by onnxruntime against hearing by torch: what a process needs to start, to hear, and to hold.

Run from the repository::

    python benchmarks/ears.py [--tracks 100] [--workspace W]

Each figure is of a process of its own, on one thread: processor time from its start until the first track is embedded,
processor time a track after that (3 clips of 10 s as stored levels: no decoding), and the most memory it ever held.
*API* loads the application's modules first, as the server's process does. The network is untrained and of the default
shape, or that of a workspace's current bundle. Ends with 1 if the two hear differently or onnxruntime is no better.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

MAX_DIFFERENCE = 1e-4
ROUNDS = 3
MEASURES = (("start_s", "start, CPU s"), ("track_ms", "a track, CPU ms"), ("peak_mb", "memory, MB"))


def cpu_s() -> float:
    """Return the processor time of this process so far."""
    return sum(os.times()[:2])


def peak_mb() -> float:
    """Return the most memory that this process held; what its parent held is not counted where Linux tells."""
    status = Path("/proc/self/status")
    if status.exists():
        found = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(found.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(way: str, folder: Path, tracks: int, *, api: bool) -> None:
    """Load a network one way, embed tracks, and print what it took."""
    if api:
        import recommender.serving.app  # noqa: F401
    from recommender.audio.clips import TrackClips

    if way == "torch":
        import torch

        from recommender.models.embed import embed_track, load_cnn
        from recommender.models.trained_cnn import load_trained

        torch.set_num_threads(1)
        network = load_cnn(load_trained(folder / "hearing.safetensors"))

        def hear(clips: TrackClips) -> np.ndarray:
            return embed_track(network, clips)[0]
    else:
        from recommender.models.ears import load_ears

        ears = load_ears(folder / "hearing.onnx")

        def hear(clips: TrackClips) -> np.ndarray:
            return ears.embed_track(clips)[0]

    levels = np.load(folder / "levels.npy", mmap_mode="r")
    clips = [TrackClips(np.array(one), np.zeros(len(one), np.float32), 30.0, ()) for one in levels]
    first = hear(clips[0])
    start_s = cpu_s()
    for n in range(tracks):
        hear(clips[n % len(clips)])
    track_ms = (cpu_s() - start_s) / tracks * 1000
    print(json.dumps({"start_s": start_s, "track_ms": track_ms, "peak_mb": peak_mb(), "vector": first.tolist()}))


def write_network(folder: Path, workspace: Path | None) -> None:
    """Write a network both ways, and clips for it."""
    from recommender.models.checkpoint import weights_of
    from recommender.models.cnn import SpectrogramCNN
    from recommender.models.cnn_config import TrainCnnConfig
    from recommender.models.onnx_export import export_onnx
    from recommender.models.trained_cnn import TrainedCnn, load_trained, save_cnn, version_of
    from recommender.serving.bundle import CNN_FILE, current_bundle

    if workspace is None:
        config = TrainCnnConfig()
        weights = weights_of(SpectrogramCNN(config.cnn))
        trained = TrainedCnn(weights, config, [], 0, (), version_of(weights, config.cnn))
    else:
        trained = load_trained(current_bundle(workspace / "bundles") / CNN_FILE)
    save_cnn(trained, folder / "hearing.safetensors")
    export_onnx(trained, folder / "hearing.onnx")
    size = sum(weights.size for weights in trained.weights.values())
    print(f"{size / 1e6:.2f} M numbers, hearing.onnx {(folder / 'hearing.onnx').stat().st_size / 1e6:.2f} MB")
    mel = trained.config.cnn.mel
    rng = np.random.default_rng(0)
    slope = np.linspace(170, 60, mel.n_mels)[:, None]
    levels = slope + rng.normal(0, 20, (8, 3, mel.n_mels, mel.n_frames(10 * mel.sample_rate_hz)))
    np.save(folder / "levels.npy", np.clip(levels, 0, 255).astype(np.uint8))


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=100)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--child", nargs=3, metavar=("WAY", "FOLDER", "API"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        way, folder, api = arguments.child
        child(way, Path(folder), arguments.tracks, api=api == "api")
        return 0
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        write_network(Path(folder), arguments.workspace)
        print(f"{'':22}{'torch':>10}{'onnxruntime':>14}{'ratio':>8}")
        for place in ("alone", "api"):
            runs: dict[str, list[dict[str, object]]] = {"torch": [], "onnxruntime": []}
            for _ in range(ROUNDS):
                for way, found in runs.items():
                    command = [
                        sys.executable,
                        __file__,
                        "--tracks",
                        str(arguments.tracks),
                        "--child",
                        way,
                        folder,
                        place,
                    ]
                    answer = subprocess.run(
                        command, capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
                    )
                    found.append(json.loads(answer.stdout))
            for name, label in MEASURES:
                old, new = (min(float(run[name]) for run in found) for found in runs.values())  # type: ignore[arg-type]
                print(f"{place + ': ' + label:22}{old:10.2f}{new:14.2f}{new / old:8.2f}")
                failed |= new > old
            difference = np.abs(np.subtract(runs["torch"][0]["vector"], runs["onnxruntime"][0]["vector"])).max()
            failed |= bool(difference > MAX_DIFFERENCE)
    print(f"largest difference of a vector's numbers: {difference:.1e}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
