"""Runs: decoded frames that follow one another without a hole, resampled as they come."""

from __future__ import annotations

from collections.abc import Sequence

import av
import numpy as np
import numpy.typing as npt

Waveform = npt.NDArray[np.float32]

BLOCK = 16384
"""Samples that are handed to the resampler at a time; frames are too small to be worth a call each."""


class Run:
    """One stretch of audio at one rate, resampled to mono float32 by FFmpeg's swresample.

    Parameters
    ----------
    start_s : float
        Time of the first sample.
    sample_rate_hz : int
        Rate of the result.
    frame : av.AudioFrame
        The first frame, for its rate; `add` takes its samples.
    """

    def __init__(self, start_s: float, sample_rate_hz: int, frame: av.AudioFrame) -> None:
        self.start_s = self.end_s = start_s
        self._rate_hz = frame.sample_rate
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=sample_rate_hz)
        self._waiting: list[Waveform] = []
        self._chunks: list[Waveform] = []

    def goes_on_with(self, frame: av.AudioFrame, start_s: float, jitter_s: float) -> bool:
        """Tell whether a frame that starts at `start_s` belongs to this run."""
        return abs(start_s - self.end_s) <= jitter_s and frame.sample_rate == self._rate_hz

    def add(self, frame: av.AudioFrame) -> None:
        """Append a frame."""
        self.end_s += frame.samples / frame.sample_rate
        self._waiting.append(mean_of_channels(frame))
        if sum(map(len, self._waiting)) >= BLOCK:
            self._resample()

    def finish(self) -> Run:
        """Take out what the resampler still holds; return the run itself."""
        if self._waiting:
            self._resample()
        self._take(self._resampler.resample(None))
        self._chunks = [self.samples]
        return self

    @property
    def samples(self) -> Waveform:
        """The samples so far, shape (n,), float32."""
        return np.concatenate(self._chunks) if self._chunks else np.empty(0, np.float32)

    def _resample(self) -> None:
        block = np.concatenate(self._waiting)[np.newaxis]
        self._waiting.clear()
        mono = av.AudioFrame.from_ndarray(block, format="flt", layout="mono")
        mono.sample_rate = self._rate_hz
        self._take(self._resampler.resample(mono))

    def _take(self, frames: Sequence[av.AudioFrame | None]) -> None:
        # A resampler with nothing to do answers the final None with None.
        self._chunks.extend(np.asarray(f.to_ndarray()[0], dtype=np.float32) for f in frames if f is not None)


def cut(runs: Sequence[Run], start_s: float, length: int, sample_rate_hz: int) -> Waveform:
    """Return the window from `start_s`, shape (at most `length`,), float32; holes between runs are left out."""
    parts = []
    for run in runs:
        offset = round((start_s - run.start_s) * sample_rate_hz)
        parts.append(run.samples[max(offset, 0) : max(offset + length, 0)])
    return np.concatenate(parts)[:length] if parts else np.empty(0, np.float32)


def mean_of_channels(frame: av.AudioFrame) -> Waveform:
    """Return the mean of a frame's channels, shape (samples,), float32; integers are scaled so that full scale is 1.

    FFmpeg's own downmix depends on the names of the channels, and it is 3 dB louder for stereo than for mono.
    """
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(frame.samples, -1).T
    mean: npt.NDArray[np.floating] = samples.sum(axis=0, dtype=np.float64) / len(samples)
    if samples.dtype == np.uint8:
        mean = (mean - 128) / 128
    elif samples.dtype.kind == "i":
        mean = mean / 2.0 ** (8 * samples.dtype.itemsize - 1)
    return mean.astype(np.float32)
