"""What may happen to a recording that leaves it the same music: codecs, level, band limits, tempo, pitch."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import cast

import av
import av.error
import numpy as np
from av.filter import Graph
from scipy.signal import butter, sosfiltfilt

from recommender.audio.stretch import Waveform
from recommender.errors import AudioError

CONTAINERS = {"libmp3lame": "mp3", "aac": "adts", "libopus": "ogg"}
"""Encoders that `through_codec` knows, and the container that each is put into."""

FILTER_ORDER = 8
_BLOCK = 4096


def through_codec(waveform: Waveform, sample_rate_hz: int, codec: str, bit_rate: int) -> Waveform:
    """Encode and decode.

    Parameters
    ----------
    waveform : ndarray, shape (n_samples,) or (2, n_samples), float32
        Mono or stereo, full scale is 1.
    sample_rate_hz : int
        One that the codec knows; Opus is resampled to 48 kHz and back.
    codec : str
        FFmpeg's name of an encoder in `CONTAINERS`.
    bit_rate : int
        Bits a second, of all channels.

    Returns
    -------
    ndarray, same shape, float32
        The codec's delay is taken off as far as the container tells it; the end is cut or filled with zeros.

    Raises
    ------
    AudioError
        If the codec is not known, or takes no such rate.
    """
    if codec not in CONTAINERS:
        raise AudioError(f"codec is {codec!r}, expected one of {', '.join(CONTAINERS)}")
    channels = np.atleast_2d(np.asarray(waveform, dtype=np.float32))
    layout = {1: "mono", 2: "stereo"}[len(channels)]
    if not channels.size:
        return np.array(waveform, dtype=np.float32)
    try:
        packed = _encode(channels, sample_rate_hz, codec, bit_rate, layout)
        decoded = _decode(packed, sample_rate_hz, layout)
    except (av.error.FFmpegError, ValueError) as error:
        raise AudioError(f"{codec} cannot encode {sample_rate_hz} Hz at {bit_rate} bit/s: {error}") from error
    return _of_length(decoded, channels.shape[1]).reshape(np.shape(waveform))


def gain(waveform: Waveform, db: float) -> Waveform:
    """Change the level by `db` decibels; nothing is clipped."""
    return np.asarray(waveform, dtype=np.float32) * np.float32(10 ** (db / 20))


def low_pass(waveform: Waveform, sample_rate_hz: int, hz: float) -> Waveform:
    """Take off what lies above `hz` (-6 dB there): a Butterworth filter forwards and backwards, so nothing is delayed.

    Raises
    ------
    AudioError
        If `hz` is not between 0 and half the sample rate.
    """
    return _filter(waveform, sample_rate_hz, hz, "lowpass")


def high_pass(waveform: Waveform, sample_rate_hz: int, hz: float) -> Waveform:
    """Take off what lies below `hz` (-6 dB there); see `low_pass`."""
    return _filter(waveform, sample_rate_hz, hz, "highpass")


def change_tempo(waveform: Waveform, sample_rate_hz: int, factor: float) -> Waveform:
    """Play `factor` times as fast at the same pitch; the result has ``round(n_samples / factor)`` samples.

    Parameters
    ----------
    waveform : ndarray, shape (n_samples,), float32
    sample_rate_hz : int
    factor : float in [0.5, 2]

    Raises
    ------
    AudioError
        If the factor is out of these bounds.

    Notes
    -----
    FFmpeg's ``atempo``: overlap-add of windows at the offset where they are most alike (WSOLA).
    """
    if not 0.5 <= factor <= 2:
        raise AudioError(f"a tempo is changed by a factor of {factor}, expected 0.5 to 2")
    stretched = _through_filters(waveform, sample_rate_hz, [("atempo", f"{factor:.9f}")])
    return _of_length(stretched, round(len(waveform) / factor))


def change_pitch(waveform: Waveform, sample_rate_hz: int, semitones: float) -> Waveform:
    """Transpose by `semitones` at the same tempo and length: played at another rate, then brought back to its length.

    Parameters
    ----------
    waveform : ndarray, shape (n_samples,), float32
    sample_rate_hz : int
    semitones : float in [-12, 12]

    Raises
    ------
    AudioError
        If the interval is out of these bounds.
    """
    if not -12 <= semitones <= 12:
        raise AudioError(f"a pitch is changed by {semitones} semitones, expected -12 to 12")
    played_hz = round(sample_rate_hz * 2 ** (semitones / 12))
    filters = [
        ("asetrate", str(played_hz)),
        ("aresample", str(sample_rate_hz)),
        ("atempo", f"{sample_rate_hz / played_hz:.9f}"),
    ]
    return _of_length(_through_filters(waveform, sample_rate_hz, filters), len(waveform))


def _filter(waveform: Waveform, sample_rate_hz: int, hz: float, kind: str) -> Waveform:
    if not 0 < hz < sample_rate_hz / 2:
        raise AudioError(f"a {kind} at {hz} Hz needs a frequency between 0 and {sample_rate_hz / 2} Hz")
    sections = butter(FILTER_ORDER, hz, kind, fs=sample_rate_hz, output="sos")
    filtered: Waveform = sosfiltfilt(sections, waveform, axis=-1).astype(np.float32)
    return filtered


def _encode(channels: Waveform, rate: int, codec: str, bit_rate: int, layout: str) -> bytes:
    file = io.BytesIO()
    coded_hz = 48000 if codec == "libopus" else rate
    with av.open(file, "w", format=CONTAINERS[codec]) as container:
        stream = cast("av.AudioStream", container.add_stream(codec, rate=coded_hz, layout=layout))
        context = stream.codec_context
        context.bit_rate = bit_rate
        context.open()
        resampler = av.AudioResampler(context.format.name, layout, coded_hz, context.frame_size or _BLOCK)
        for part in [*resampler.resample(_frame(channels, rate, layout)), *resampler.resample(None), None]:
            container.mux(stream.encode(part))
    return file.getvalue()


def _decode(packed: bytes, rate: int, layout: str) -> Waveform:
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
    with av.open(io.BytesIO(packed), "r") as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return _joined([*frames, *resampler.resample(None)])


def _through_filters(waveform: Waveform, rate: int, filters: list[tuple[str, str]]) -> Waveform:
    graph = Graph()
    source = graph.add_abuffer(sample_rate=rate, format="fltp", layout="mono", time_base=Fraction(1, rate))
    steps = [source, *(graph.add(name, setting) for name, setting in filters), graph.add("abuffersink")]
    for left, right in pairwise(steps):
        left.link_to(right)
    graph.configure()
    graph.push(_frame(np.asarray(waveform, dtype=np.float32)[None], rate, "mono"))
    graph.push(None)
    frames: list[av.AudioFrame | None] = []
    while True:
        try:
            frames.append(cast("av.AudioFrame", graph.pull()))
        except (av.error.EOFError, av.error.BlockingIOError):
            break
    joined: Waveform = _joined(frames)[0]
    return joined


def _frame(channels: Waveform, rate: int, layout: str) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels), format="fltp", layout=layout)
    frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
    return frame


def _joined(frames: Sequence[av.AudioFrame | None]) -> Waveform:
    parts = [frame.to_ndarray() for frame in frames if frame is not None]
    return np.concatenate(parts, axis=1) if parts else np.zeros((1, 0), np.float32)


def _of_length(waveform: Waveform, length: int) -> Waveform:
    missing = [(0, 0)] * (waveform.ndim - 1) + [(0, max(length - waveform.shape[-1], 0))]
    return np.pad(waveform[..., :length], missing).astype(np.float32)
