"""What a network has to beat: timbre statistics, a bundle of descriptors, level and bandwidth, random weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from recommender.audio.mel import MelConfig, dequantise, log_mel_spectrogram, quantise
from recommender.audio.stretch import Waveform
from recommender.data.storage import digest_of
from recommender.errors import ConfigError
from recommender.evaluation.hearing import Hearing, Placing, TestClips, evaluate_vectors
from recommender.evaluation.hearing_tracks import HEARD_HZ, Extract, HeardTracks

if TYPE_CHECKING:
    import torch

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.floating]

N_MFCC = 20
CENTRED = (Placing("centred"),)
Z_SCORED = (Placing("standardised", "cosine"), Placing("standardised", "euclid"))
WHITENED = tuple(
    Placing("whitened", likeness, components) for components in (16, 32, 64, 128) for likeness in ("cosine", "euclid")
)


@dataclass(frozen=True)
class Method:
    """A way to turn clips into vectors.

    Parameters
    ----------
    name : str
    extract : Extract
        What is kept of the waveforms.
    embed : callable
        Extracts of clips, (n_clips, ...) -> vectors (n_clips, dim).
    placings : tuple of Placing
        `measure` keeps the one with the highest sum of sibling MRR and artist mAP: baselines get the benefit of the
        choice. A trained network has `CENTRED` alone.
    """

    name: str
    extract: Extract
    embed: Callable[[Array], Floats]
    placings: tuple[Placing, ...] = CENTRED


def measure(method: Method, heard: HeardTracks, *, draws: int = 1000, seed: int = 0) -> tuple[Hearing, Placing]:
    """Embed and evaluate; return the figures and the placing that was kept."""
    vectors = {version: method.embed(array) for version, array in heard.extracts[method.extract.name].items()}
    best = max(method.placings, key=lambda placing: _first_look(vectors, heard.clips, placing))
    return evaluate_vectors(vectors, heard.clips, best, draws=draws, seed=seed), best


def _first_look(vectors: dict[str, Floats], clips: TestClips, placing: Placing) -> float:
    own = {"unchanged": vectors["unchanged"]}
    found = evaluate_vectors(own, clips, placing, draws=1)
    return float(np.nansum([found["sibling MRR"], found["artist mAP"]]))


def baselines(mel: MelConfig, seed: int = 0) -> list[Method]:
    """Return the methods that learn nothing from music but the spread of the evaluated clips themselves."""
    mels = mel_extract(mel)
    untrained, pooled = untrained_network(mel, seed)
    return [
        Method("loudness and bandwidth", LEVEL, _floats, Z_SCORED),
        Method("MFCC mean+std", DESCRIPTORS, lambda array: array[:, : 2 * N_MFCC], Z_SCORED),
        Method("MFCC + librosa bundle", DESCRIPTORS, _floats, Z_SCORED),
        Method("log-mel statistics, whitened", mels, log_mel_statistics, (*WHITENED, *Z_SCORED)),
        Method("untrained network, embedding", mels, untrained, (*CENTRED, *Z_SCORED)),
        Method("untrained network, pooled", mels, pooled, (*CENTRED, *Z_SCORED, *WHITENED)),
    ]


def mel_extract(config: MelConfig) -> Extract:
    """Return log-mel spectrograms, (n, n_mels, n_frames) uint8 as analysis stores them."""
    if config.sample_rate_hz != HEARD_HZ:
        raise ConfigError(
            f"mel sample_rate_hz is {config.sample_rate_hz}, expected {HEARD_HZ}, at which clips are heard"
        )

    def compute(waveforms: Waveform) -> Array:
        return np.concatenate([quantise(log_mel_spectrogram(each[None], config)) for each in waveforms])

    return Extract(f"mel-{digest_of(np.array([repr(config)], dtype=object))}", compute)


def log_mel_statistics(mels: Array) -> Floats:
    """Return mean, deviation and deviation of the change from frame to frame in each band, (n, 3 * n_mels)."""
    found = []
    for each in mels:
        levels = dequantise(each)
        found.append(np.concatenate([levels.mean(axis=1), levels.std(axis=1), np.diff(levels, axis=1).std(axis=1)]))
    return np.stack(found).astype(np.float64)


def _descriptors(waveforms: Waveform) -> Array:
    return np.stack([describe(waveform, HEARD_HZ) for waveform in waveforms])


def describe(waveform: Waveform, sample_rate_hz: int) -> npt.NDArray[np.float32]:
    """Describe a clip as libraries commonly do, by librosa.

    Returns
    -------
    ndarray, shape (89,), float32
        First mean and deviation of 20 MFCCs (40 values); then of 12 chroma and 7 spectral contrast bands, centroid,
        bandwidth, roll-off, flatness and zero crossings; and the logarithm of the tempo.
    """
    import librosa
    from librosa.onset import onset_strength

    magnitude = np.abs(librosa.stft(waveform, n_fft=2048, hop_length=512))
    power = magnitude**2
    mel_db = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=sample_rate_hz), top_db=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of silent frames
        over_time = [
            librosa.feature.mfcc(S=mel_db, n_mfcc=N_MFCC),
            librosa.feature.chroma_stft(S=power, sr=sample_rate_hz, tuning=0.0),
            librosa.feature.spectral_contrast(S=magnitude, sr=sample_rate_hz),
            librosa.feature.spectral_centroid(S=magnitude, sr=sample_rate_hz),
            librosa.feature.spectral_bandwidth(S=magnitude, sr=sample_rate_hz),
            librosa.feature.spectral_rolloff(S=magnitude, sr=sample_rate_hz),
            librosa.feature.spectral_flatness(S=magnitude),
            librosa.feature.zero_crossing_rate(waveform),
        ]
        onsets = onset_strength(S=mel_db, sr=sample_rate_hz)
        tempo = librosa.feature.tempo(onset_envelope=onsets, sr=sample_rate_hz)
    statistics = [each for rows in over_time for each in (rows.mean(axis=1), rows.std(axis=1))]
    return np.concatenate([*statistics, np.log(tempo)]).astype(np.float32)


def _levels(waveforms: Waveform) -> Array:
    return np.stack([describe_level(waveform, HEARD_HZ) for waveform in waveforms])


def describe_level(waveform: Waveform, sample_rate_hz: int) -> npt.NDArray[np.float32]:
    """Describe how loud a clip is and how high it reaches, and nothing else.

    Returns
    -------
    ndarray, shape (7,), float32
        Mean and deviation of the level in dB over half seconds, peak in dB over the mean; the logarithms of the
        frequencies below which 50, 85, 95 and 99 % of the power lie.
    """
    blocks = waveform[: len(waveform) // (sample_rate_hz // 2) * (sample_rate_hz // 2)].reshape(-1, sample_rate_hz // 2)
    levels = 10 * np.log10((blocks.astype(np.float64) ** 2).mean(axis=1) + 1e-10)
    peak = 20 * np.log10(np.abs(waveform).max() + 1e-5)
    power = np.abs(np.fft.rfft(waveform)) ** 2
    below = np.cumsum(power) / max(float(power.sum()), 1e-12)
    edges = [(np.searchsorted(below, share) + 1) / len(below) for share in (0.5, 0.85, 0.95, 0.99)]
    return np.array([levels.mean(), levels.std(), peak - levels.mean(), *np.log(edges)], dtype=np.float32)


DESCRIPTORS = Extract("descriptors-1", _descriptors)
LEVEL = Extract("level-1", _levels)


def untrained_network(mel: MelConfig, seed: int) -> tuple[Callable[[Array], Floats], Callable[[Array], Floats]]:
    """Return what the project's network makes of clips with random weights: its vectors, and what it pools before."""
    import torch

    from recommender.models.cnn import CnnConfig, SpectrogramCNN

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SpectrogramCNN(CnnConfig(mel=mel)).eval().requires_grad_(False)
    last = [module for module in network.modules() if isinstance(module, torch.nn.Linear)][-1]
    return through(network), through(network, last)


def through(network: torch.nn.Module, tap: torch.nn.Module | None = None, batch: int = 16) -> Callable[[Array], Floats]:
    """Return what a network makes of stored spectrograms; with `tap`, what goes into that module of it instead."""
    import torch

    def embed(mels: Array) -> Floats:
        found: list[Array] = []
        taken: list[torch.Tensor] = []
        hook = tap.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0])) if tap is not None else None
        with torch.no_grad():
            for start in range(0, len(mels), batch):
                out = network(torch.from_numpy(dequantise(mels[start : start + batch])))
                found.append((taken.pop() if hook else out).numpy())
        if hook:
            hook.remove()
        return np.concatenate(found)

    return embed


def _floats(array: Array) -> Floats:
    return array.astype(np.float64)
