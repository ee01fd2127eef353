"""Train the network that comes with the program: render music, hear it and recordings, learn, write the files.

Run from the repository::

    python -m pipelines.pretrain FOLDER [--artists 960] [--music DIR]... [--out recommender/models/shipped]

FOLDER keeps the rendered music, its spectrograms and the training's state: run it again to go on. DIR holds recordings,
of which only the sound is used, no tag and no file name. A GPU is used where there is one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from recommender.audio.changes import through_codec
from recommender.audio.decode import open_audio
from recommender.audio.mel import MelConfig, log_mel_spectrogram, quantise
from recommender.audio.stretch import Waveform
from recommender.data.progress import Progress, silent
from recommender.data.storage import Array, load_arrays, save_arrays
from recommender.errors import AudioError, DataError, FirstListenError
from recommender.evaluation.hearing_tracks import FILE_HZ, to_heard
from recommender.synthetic.corpus.patches import FAMILIES

if TYPE_CHECKING:
    import pandas as pd

    from recommender.models.cnn_config import PretrainConfig
    from recommender.models.lessons import Lessons
    from recommender.models.trained_cnn import TrainedCnn

CODECS = (("libmp3lame", 32_000, 96_000), ("aac", 32_000, 64_000), ("libopus", 24_000, 64_000))
"""Encoders, and the bit rates that are drawn from, of mono: at 22.05 kHz for rendered music, at 44.1 for recordings."""

CODEC_EVERY = 4
"""One rendered clip in so many is also heard through a codec; encoding is slower than all else. Recordings all are."""

CLIP_S, STEP_S, MAX_CLIPS = 10.0, 5.0, 16
"""Clips of a recording: how long, how far apart, and how many at most, evenly spread."""

FORMAT = "1"
MEASURES = ("tempo", "density", "energy")


def hear_corpus(
    folder: Path, mel: MelConfig, progress: Progress = silent
) -> tuple[list[dict[str, Array]], pd.DataFrame]:
    """Return the spectrograms of all rendered clips of a corpus, shard by shard, and what is true of them.

    Spectrograms are kept in the folder.
    """
    from recommender.synthetic.corpus.shards import open_corpus

    corpus = open_corpus(folder)
    shards = []
    for number, waveforms in enumerate(corpus.shards):
        path = folder / f"mels-{number:05d}.safetensors"
        if not path.exists():
            rng = np.random.default_rng([1, number])
            sound = waveforms.astype(np.float32) / np.float32(32_767)
            mels = _spectrograms(sound, mel)
            changed = mels.copy()
            changed[::CODEC_EVERY] = _spectrograms(_through_codecs(sound[::CODEC_EVERY], mel.sample_rate_hz, rng), mel)
            save_arrays(path, "pretrain-mels", FORMAT, {"mels": mels, "changed": changed})
        shards.append(load_arrays(path, "pretrain-mels", FORMAT)[0])
        progress(number + 1, len(corpus.shards))
    return shards, corpus.truth


def hear_recordings(folder: Path, mel: MelConfig, progress: Progress = silent) -> list[dict[str, Array]]:
    """Return the spectrograms of each recording in a folder; what cannot be read is left out.

    Raises
    ------
    DataError
        If the folder holds no recording that can be read.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    heard = []
    for number, path in enumerate(paths):
        progress(number, len(paths))
        try:
            with open_audio(path) as audio:
                sound = audio.decode_windows(_starts(audio.info.duration_s), CLIP_S, FILE_HZ)[0]
        except AudioError:
            continue
        whole = [clip for clip in sound if len(clip) == round(CLIP_S * FILE_HZ) and clip.any()]
        if len(whole) >= 2:
            changed = _through_codecs(np.stack(whole), FILE_HZ, np.random.default_rng([2, number]))
            kinds: dict[str, Iterable[Waveform]] = {"mels": whole, "changed": changed}
            heard.append(
                {
                    kind: _spectrograms(np.stack([to_heard(clip) for clip in clips]), mel)
                    for kind, clips in kinds.items()
                }
            )
    if not heard:
        raise DataError(f"{folder} holds no recording of {CLIP_S + STEP_S:g} s or more; give another --music folder")
    return heard


def gather(shards: Sequence[dict[str, Array]], truth: pd.DataFrame, recordings: Sequence[dict[str, Array]]) -> Lessons:
    """Put rendered music and recordings together."""
    from recommender.models.lessons import Lessons

    parts = [*shards, *recordings]
    n_rendered, n_recorded = len(truth), [len(recording["mels"]) for recording in recordings]
    tracks = truth["track"].factorize()[0].astype(np.int64)
    artists = truth["artist"].factorize()[0].astype(np.int64)
    first = int(tracks.max()) + 1 if n_rendered else 0
    unknown = np.full((sum(n_recorded), len(FAMILIES) + len(MEASURES)), np.nan, dtype=np.float32)
    return Lessons(
        np.concatenate([part["mels"] for part in parts]),
        np.concatenate([part["changed"] for part in parts]),
        np.concatenate([tracks, first + np.repeat(np.arange(len(recordings)), n_recorded)]),
        np.concatenate([artists, np.full(sum(n_recorded), -1)]),
        np.concatenate([_truth(truth), unknown]),
        len(FAMILIES),
    )


def run(folder: Path, music: Sequence[Path], config: PretrainConfig, progress: Progress = silent) -> TrainedCnn:
    """Hear the corpus in a folder and some recordings, and train on both.

    Parameters
    ----------
    folder : Path
        A corpus as `pipelines.pretrain_data` renders it.
    music : sequence of Path
    config : PretrainConfig
    progress : Progress

    Returns
    -------
    TrainedCnn
    """
    from recommender.models.pretrain import pretrain

    shards, truth = hear_corpus(folder, config.cnn.mel)
    recordings = [one for each in music for one in hear_recordings(each, config.cnn.mel)]
    return pretrain(gather(shards, truth, recordings), config, folder / "pretraining.safetensors", progress)


def _truth(truth: pd.DataFrame) -> npt.NDArray[np.float32]:
    tempo = np.where(truth["steady"], np.log2(truth["tempo_bpm"] / 110), np.nan)
    density = np.log(truth["density"] + 0.3) - 1
    measures = np.stack([tempo, density, truth["energy"] * 2 - 1], axis=1)
    return np.concatenate([np.array(truth["families"].tolist()), measures], axis=1).astype(np.float32)


def _spectrograms(sound: npt.NDArray[np.float32], mel: MelConfig) -> npt.NDArray[np.uint8]:
    return np.concatenate(
        [quantise(log_mel_spectrogram(sound[start : start + 16], mel)) for start in range(0, len(sound), 16)]
    )


def _through_codecs(
    sound: npt.NDArray[np.float32], sample_rate_hz: int, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    changed = np.empty_like(sound)
    for row, clip in enumerate(sound):
        codec, low, high = CODECS[rng.integers(len(CODECS))]
        changed[row] = through_codec(clip, sample_rate_hz, codec, int(rng.integers(low, high + 1) // 8000 * 8000))
    return changed


def _starts(duration_s: float) -> list[float]:
    if not duration_s >= CLIP_S + STEP_S:
        return [0.0]
    count = int((duration_s - CLIP_S) // STEP_S) + 1
    return [float(start) for start in np.linspace(0, duration_s - CLIP_S, min(count, MAX_CLIPS))]


def main() -> None:
    """``python -m pipelines.pretrain FOLDER``."""
    from pipelines import console
    from pipelines.pretrain_data import render_corpus
    from recommender.evaluation.plots import training_curves
    from recommender.models.cnn_config import PretrainConfig
    from recommender.models.onnx_export import export_onnx
    from recommender.models.shipped import EARS_FILE, FOLDER, WEIGHTS_FILE
    from recommender.models.trained_cnn import save_cnn
    from recommender.synthetic.corpus.shards import CorpusConfig

    usual = PretrainConfig()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--artists", type=int, default=960)
    parser.add_argument("--music", type=Path, action="append", default=[])
    parser.add_argument("--soundfont", type=Path, action="append", default=[], help="repeat it for several")
    parser.add_argument("--epochs", type=int, default=usual.epochs)
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--threads", type=int, default=usual.threads)
    parser.add_argument("--out", type=Path, default=FOLDER)
    asked = parser.parse_args()
    config = replace(usual, epochs=asked.epochs, seed=asked.seed, threads=asked.threads)
    try:
        with console.progress("Rendering") as bar:
            render_corpus(
                asked.folder, asked.artists, CorpusConfig(seed=asked.seed), asked.soundfont, asked.threads, bar
            )
        with console.progress("Learning to hear") as bar:
            trained = run(asked.folder, asked.music, config, bar)
        asked.out.mkdir(parents=True, exist_ok=True)
        save_cnn(trained, asked.out / WEIGHTS_FILE)
        export_onnx(trained, asked.out / EARS_FILE)
        training_curves(trained.history, asked.folder / "pretraining.png")
    except FirstListenError as error:
        raise SystemExit(f"error: {error}") from None
    console.out.print(f"network {trained.version} in {asked.out}; its training: {asked.folder / 'pretraining.png'}")


if __name__ == "__main__":
    main()
