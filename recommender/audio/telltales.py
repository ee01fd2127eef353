"""What a file gives away about how it was made, and not about its music: codec, cut-off, steady tones, level.

Read at full rate, far above what the network hears: a tell-tale that separates what is liked from what is not is a
fault of the data, whether this network can hear it or the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recommender.audio.clips import SILENCE
from recommender.audio.decode import decode_windows, probe
from recommender.audio.stretch import Waveform
from recommender.errors import AudioError

Floats = npt.NDArray[np.float64]

FULL_HZ = 44100
WINDOW_S, N_WINDOWS = 4.0, 3
N_FFT, HOP = 8192, 4096

TONE_EDGES_HZ = np.arange(10000.0, 22001.0, 500.0)
TONE_DB = 15.0
"""A bin that stands so far above its band all the time is a tone; noise and music with attacks do not."""

FLOOR_DB = -130.0
STEEP_DB = 25.0
"""A fall within 350 Hz by which the end of a band is a filter's work and no music's."""

LOSSY = ("mp3", "aac", "vorbis", "opus", "wma", "ac3", "mpc", "amr")
RATE_STEP = 32


@dataclass(frozen=True, eq=False)
class Telltales:
    """The tell-tales of one file.

    Parameters
    ----------
    codec, encoder : str
        FFmpeg's name of the codec; what the encoder calls itself, ``""`` where it does not.
    sample_rate_hz, channels : int
    bit_rate_k : int
        In steps of `RATE_STEP` kbit/s; 0 for a lossless codec, where it would tell of the music.
    loudness_db, peak_db : float
        RMS and peak re full scale.
    cutoff_hz : float
        Where a steep fall ends the band below nine tenths of what the sample rate allows; infinite without one.
    tones_db : ndarray, shape (len(TONE_EDGES_HZ) - 1,), float64
        How far a steady tone stands out in each band, less `TONE_DB`; 0 without one.
    """

    codec: str
    encoder: str
    sample_rate_hz: int
    channels: int
    bit_rate_k: int
    loudness_db: float
    peak_db: float
    cutoff_hz: float
    tones_db: Floats


@dataclass(frozen=True, eq=False)
class Features:
    """The tell-tales of many files as numbers; only what differs between them.

    Parameters
    ----------
    names, kinds : tuple of str, one a column
        A kind is codec, rate, channels, cut-off, tone or level.
    values : ndarray, shape (n_files, n_columns), float64
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    values: Floats

    def only(self, *kinds: str) -> Features:
        """Return the columns of some kinds."""
        kept = [column for column, kind in enumerate(self.kinds) if kind in kinds]
        names, of = (tuple(each[column] for column in kept) for each in (self.names, self.kinds))
        return Features(names, of, self.values[:, kept])


def read_telltales(path: Path) -> Telltales:
    """Read a file's tell-tales from its headers and three windows of four seconds.

    Raises
    ------
    AudioError
        If it cannot be decoded or is silent there.
    """
    info = probe(path)
    length_s = info.duration_s if info.duration_s > 0 else N_WINDOWS * WINDOW_S
    starts = [max(length_s * (part + 0.5) / N_WINDOWS - WINDOW_S / 2, 0.0) for part in range(N_WINDOWS)]
    windows, _ = decode_windows(path, starts, WINDOW_S, FULL_HZ)
    windows = [np.nan_to_num(window) for window in windows if len(window) >= N_FFT]
    heard = np.concatenate(windows) if windows else np.zeros(0, np.float32)
    peak = float(np.abs(heard).max(initial=0.0))
    if peak < SILENCE:
        raise AudioError(f"{path.name}: silent or too short at full rate, expected music")
    hz, level_db = steady_spectrum(windows)
    kbit = path.stat().st_size * 8 / max(length_s, 1.0) / 1000
    return Telltales(
        info.codec,
        _encoder(path),
        info.sample_rate_hz,
        info.channels,
        round(kbit / RATE_STEP) * RATE_STEP if info.codec.startswith(LOSSY) else 0,
        float(10 * np.log10(np.mean(heard.astype(np.float64) ** 2))),
        20 * float(np.log10(peak)),
        find_cutoff(hz, level_db, min(info.sample_rate_hz, FULL_HZ) / 2),
        find_tones(hz, level_db),
    )


def steady_spectrum(windows: list[Waveform]) -> tuple[Floats, Floats]:
    """Return frequencies in Hz and, for each, the level in dB re full scale in the median frame: what sounds always."""
    shape = np.hanning(N_FFT)
    frames = np.concatenate([np.lib.stride_tricks.sliding_window_view(each, N_FFT)[::HOP] for each in windows])
    loud = np.abs(frames).max(axis=1) >= SILENCE
    frames = frames[loud] if loud.any() else frames
    amplitude = np.abs(np.fft.rfft(frames * shape, axis=1)) / (N_FFT / 4)
    level_db = 20 * np.log10(np.median(amplitude, axis=0) + 10 ** (FLOOR_DB / 20))
    hz = np.arange(N_FFT // 2 + 1, dtype=np.float64) * (FULL_HZ / N_FFT)
    return np.asarray(hz, dtype=np.float64), np.asarray(level_db, dtype=np.float64)


def find_cutoff(hz: Floats, level_db: Floats, limit_hz: float) -> float:
    """Return where the spectrum falls by `STEEP_DB` or more within 350 Hz, infinite if nowhere below .9 `limit_hz`."""
    step = hz[1]
    sums = np.concatenate([[0.0], np.cumsum(level_db)])
    places = np.arange(int(3000 / step), int(0.9 * limit_hz / step))
    if not len(places):
        return float("inf")

    def mean(first_hz: float, last_hz: float) -> Floats:
        first, last = places + int(first_hz / step), np.minimum(places + int(last_hz / step), len(hz))
        mean_db: Floats = (sums[last] - sums[first]) / (last - first)
        return mean_db

    fall = mean(-500, -50) - mean(300, 800)
    steepest = int(np.argmax(fall))
    return float(hz[places[steepest]]) if fall[steepest] >= STEEP_DB else float("inf")


def find_tones(hz: Floats, level_db: Floats) -> Floats:
    """Return by how much more than `TONE_DB` the highest bin of each band stands above the band's median."""
    found = np.zeros(len(TONE_EDGES_HZ) - 1)
    for band, (low, high) in enumerate(pairwise(TONE_EDGES_HZ)):
        inside = level_db[(hz >= low) & (hz < high)]
        around = level_db[(hz >= low - 250) & (hz < high + 250)]
        found[band] = max(float(inside.max() - np.median(around)) - TONE_DB, 0.0) if inside.max() > -115 else 0.0
    return found


def feature_table(files: list[Telltales], least: int = 3) -> Features:
    """Lay tell-tales out as numbers; a name that fewer than `least` files have, or all but so few, is left out."""
    columns: list[tuple[str, str, Floats]] = []
    for kind, label, told in (
        ("codec", "codec", [each.codec for each in files]),
        ("codec", "encoder", [each.encoder for each in files]),
        ("rate", "sample rate", [str(each.sample_rate_hz) for each in files]),
        ("channels", "channels", [str(each.channels) for each in files]),
    ):
        for value in sorted(set(told)):
            columns.append((f"{label} {value or 'unnamed'}", kind, np.array([each == value for each in told], float)))
    full = FULL_HZ / 2
    columns.append(("bit rate", "codec", np.array([float(each.bit_rate_k) for each in files])))
    columns.append(("cut-off frequency", "cut-off", np.array([min(each.cutoff_hz, full) for each in files])))
    for band, low in enumerate(TONE_EDGES_HZ[:-1]):
        name = f"tone at {low / 1000:g} to {TONE_EDGES_HZ[band + 1] / 1000:g} kHz"
        columns.append((name, "tone", np.array([each.tones_db[band] for each in files])))
    columns.append(("loudness", "level", np.array([each.loudness_db for each in files])))
    columns.append(("peak", "level", np.array([each.peak_db for each in files])))
    kept = []
    for name, kind, column in columns:
        _, counts = np.unique(column, return_counts=True)
        if len(column) - counts.max(initial=0) >= least:
            kept.append((name, kind, column))
    table = np.stack([column for _, _, column in kept], axis=1) if kept else np.zeros((len(files), 0))
    return Features(tuple(name for name, _, _ in kept), tuple(kind for _, kind, _ in kept), table)


def _encoder(path: Path) -> str:
    """Return the name and first number of the encoder's version, as the file tells it."""
    import mutagen

    try:
        tags = mutagen.File(path)
    except (mutagen.MutagenError, ValueError, EOFError):
        return ""
    told = getattr(getattr(tags, "info", None), "encoder_info", "") or getattr(
        getattr(tags, "tags", None), "vendor", ""
    )
    words = str(told or "").split()
    return " ".join(words[:2])[:40]
