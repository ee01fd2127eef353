"""Clips: the seconds of a track that are heard, as stored log-mel spectrograms."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recommender.audio.decode import AudioFile, open_audio
from recommender.audio.mel import MelConfig, log_mel_spectrogram, quantise
from recommender.audio.signatures import Signature
from recommender.audio.stretch import Waveform
from recommender.data.vocabulary import Vocabulary
from recommender.errors import AudioError, ConfigError, DataError

MIN_AUDIO_S = 1.0
"""Tracks with less audio than this are refused."""

SILENCE = 1e-4
"""A clip whose loudest sample lies below this is silence; the dither of a 16-bit file stays below it."""

OVERLOAD = 8.0
"""Float files with a peak beyond this were written without scaling, and are brought to a peak of 1."""


@dataclass(frozen=True)
class ClipConfig:
    """Which seconds of a track are heard, and how.

    Parameters
    ----------
    clip_s : float
        Length of a clip, >= `MIN_AUDIO_S`.
    max_clips : int
        Most clips of a track.
    mel : MelConfig

    Raises
    ------
    ConfigError
        If a length or number is too small.
    """

    clip_s: float = 10.0
    max_clips: int = 3
    mel: MelConfig = field(default_factory=MelConfig)

    def __post_init__(self) -> None:
        if not MIN_AUDIO_S <= self.clip_s < math.inf:
            raise ConfigError(f"clip_s is {self.clip_s}, expected at least {MIN_AUDIO_S} s")
        if self.max_clips < 1:
            raise ConfigError(f"max_clips is {self.max_clips}, expected at least 1")

    @property
    def n_samples(self) -> int:
        """Samples of a clip."""
        return round(self.clip_s * self.mel.sample_rate_hz)

    @property
    def n_frames(self) -> int:
        """Frames of a clip's spectrogram."""
        return self.mel.n_frames(self.n_samples)


@dataclass(frozen=True, eq=False)
class TrackClips:
    """What was heard of one file.

    Parameters
    ----------
    mels : ndarray, shape (n_clips, n_mels, n_frames), uint8
        Levels as `recommender.audio.mel.quantise` stores them.
    starts_s : ndarray, shape (n_clips,), float32
    duration_s : float
        Of the file: by its headers, or measured where they are wrong.
    warnings : tuple of str
        What could not be decoded.
    signature : Signature or None
        None where the clips were stored before there were signatures.
    """

    mels: npt.NDArray[np.uint8]
    starts_s: npt.NDArray[np.float32]
    duration_s: float
    warnings: tuple[str, ...]
    signature: Signature | None = None


@dataclass(frozen=True, eq=False)
class Clips:
    """The clips of many tracks: what a network is trained on.

    Parameters
    ----------
    tracks : Vocabulary
    mels : ndarray, shape (n_clips, n_mels, n_frames), uint8
    clip_tracks : ndarray, shape (n_clips,), int32
        The row in `tracks` that each clip belongs to.
    starts_s : ndarray, shape (n_clips,), float32

    Raises
    ------
    DataError
        If lengths differ or a clip belongs to no track.
    """

    tracks: Vocabulary
    mels: npt.NDArray[np.uint8]
    clip_tracks: npt.NDArray[np.int32]
    starts_s: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.mels.ndim != 3 or not len(self.mels) == len(self.clip_tracks) == len(self.starts_s):
            raise DataError(
                f"clips of shape {self.mels.shape} do not fit {len(self.clip_tracks)} track rows and "
                f"{len(self.starts_s)} starts"
            )
        if len(self) and not 0 <= self.clip_tracks.min() <= self.clip_tracks.max() < len(self.tracks):
            raise DataError(f"a clip names track row {self.clip_tracks.max()} of {len(self.tracks)}")

    def __len__(self) -> int:
        return len(self.mels)


def clip_starts(duration_s: float, config: ClipConfig) -> list[float]:
    """Return where the clips of a track begin: in the middles of equal parts of it, so not in intro or fade-out.

    A track gets as many clips as fit, up to `max_clips`; half a clip of overlap in all is allowed.

    Examples
    --------
    >>> clip_starts(240.0, ClipConfig(clip_s=10.0, max_clips=3))
    [35.0, 115.0, 195.0]
    >>> clip_starts(16.0, ClipConfig(clip_s=10.0, max_clips=3))
    [0.0, 6.0]
    >>> clip_starts(4.0, ClipConfig(clip_s=10.0, max_clips=3))
    [0.0]
    """
    count = min(config.max_clips, max(1, math.floor(duration_s / config.clip_s + 0.5)))
    last_s = max(duration_s - config.clip_s, 0.0)
    middles = (duration_s * (part + 0.5) / count for part in range(count))
    return [min(max(middle - config.clip_s / 2, 0.0), last_s) for middle in middles]


def read_clips(path: Path, config: ClipConfig) -> TrackClips:
    """Decode a file's clips and compute their spectrograms and signature.

    Clips that are silent are left out, as are those of which less than half can be decoded, where others remain. What
    is shorter than `clip_s` is made whole by repeating it.

    Parameters
    ----------
    path : Path
    config : ClipConfig

    Returns
    -------
    TrackClips
        At least one clip.

    Raises
    ------
    AudioError
        If the file holds no audio, less than `MIN_AUDIO_S` of it, or only silence.
    """
    from recommender.audio.descriptors import describe  # takes a second; who only reads spectrograms need not wait

    with open_audio(path) as audio:
        duration_s, starts_s, waveforms, warnings = _heard(path, audio, config)
    longest = max(map(len, waveforms))
    if longest < MIN_AUDIO_S * config.mel.sample_rate_hz:
        raise AudioError(
            f"{path.name}: {longest / config.mel.sample_rate_hz:.3f} s of audio can be decoded, "
            f"expected at least {MIN_AUDIO_S:g} s"
        )
    kept = [index for index, waveform in enumerate(waveforms) if len(waveform) >= min(longest, config.n_samples / 2)]
    waveforms, peak, problems = _checked([waveforms[index] for index in kept])
    loud = [index for index, waveform in enumerate(waveforms) if _peak(waveform) >= SILENCE]
    if not loud:
        raise AudioError(
            f"{path.name}: silent, the loudest sample heard has level {peak:.1e}, expected {SILENCE:.0e} "
            "or more of full scale 1"
        )
    clips = np.stack([np.resize(waveforms[index], config.n_samples) for index in loud])
    mels = quantise(log_mel_spectrogram(clips, config.mel))
    starts = np.array([starts_s[kept[index]] for index in loud], dtype=np.float32)
    signature = describe([waveforms[index] for index in loud], config.mel.sample_rate_hz)
    return TrackClips(mels, starts, duration_s, warnings + problems, signature)


def _heard(
    path: Path, audio: AudioFile, config: ClipConfig
) -> tuple[float, list[float], list[Waveform], tuple[str, ...]]:
    """Decode where the headers say; where the audio ends before that, measure it and decode anew."""
    promised_s = audio.info.duration_s
    trusted = promised_s >= config.clip_s
    duration_s = promised_s if trusted else audio.measure_s()
    if duration_s < MIN_AUDIO_S:
        raise AudioError(f"{path.name}: holds {duration_s:.3f} s of audio, expected at least {MIN_AUDIO_S:g} s")
    starts_s, waveforms, warnings = _decode(audio, duration_s, config)
    if trusted and min(map(len, waveforms)) < config.n_samples * 0.99:
        measured_s = audio.measure_s()
        if measured_s < starts_s[-1] + config.clip_s - 0.1:
            if measured_s < MIN_AUDIO_S:
                raise AudioError(
                    f"{path.name}: holds {measured_s:.3f} s of the {promised_s:.1f} s that its header promises, "
                    f"expected at least {MIN_AUDIO_S:g} s of audio"
                )
            duration_s = measured_s
            starts_s, waveforms, warnings = _decode(audio, duration_s, config)
            truncated = f"truncated: holds {measured_s:.1f} s of the {promised_s:.1f} s that its header promises"
            warnings = (truncated, *warnings)
    return duration_s, starts_s, waveforms, warnings


def _decode(
    audio: AudioFile, duration_s: float, config: ClipConfig
) -> tuple[list[float], list[Waveform], tuple[str, ...]]:
    starts_s = clip_starts(duration_s, config)
    window_s = min(config.clip_s, duration_s)
    return starts_s, *audio.decode_windows(starts_s, window_s, config.mel.sample_rate_hz)


def _checked(waveforms: list[Waveform]) -> tuple[list[Waveform], float, tuple[str, ...]]:
    problems: tuple[str, ...] = ()
    peak = float(np.max([_peak(waveform) for waveform in waveforms]))
    if not math.isfinite(peak):
        n_bad = sum(int(np.count_nonzero(~np.isfinite(waveform))) for waveform in waveforms)
        waveforms = [np.nan_to_num(waveform, nan=0.0, posinf=0.0, neginf=0.0) for waveform in waveforms]
        problems = (f"{n_bad} samples are not finite numbers, taken as 0",)
        peak = max(_peak(waveform) for waveform in waveforms)
    if peak > OVERLOAD:
        waveforms = [waveform / np.float32(peak) for waveform in waveforms]
        problems = (*problems, f"samples reach {peak:g} times full scale, scaled down to it")
    return waveforms, peak, problems


def _peak(waveform: Waveform) -> float:
    """Return the largest magnitude; NaN or infinite if a sample is."""
    return float(max(waveform.max(), -waveform.min()))
