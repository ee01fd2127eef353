"""Stretches of decoded audio, resampled to mono as they come, with what is missing in them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import av
import numpy as np
import numpy.typing as npt
import soxr

Waveform = npt.NDArray[np.float32]

BLOCK = 16384
"""Samples that are mixed and resampled at a time; frames are too small to be worth a call each."""

MARGIN_S = 0.05
"""Kept before and after the seconds that are asked for, so that the resampler's filter sees no edge."""

TIME_JITTER_S = 0.03
"""Time stamps may be this far off (containers round them) before something counts as missing."""

MAX_CHANNELS = 8
"""PyAV reads past the end of planar frames with more, and damaged AAC claims to have dozens."""


class Stretch:
    """The decoded audio between two times: one run, or several where audio is missing between them.

    Parameters
    ----------
    sample_rate_hz : int
        Rate of the result.
    first_s, last_s : float
        What is asked for.

    Attributes
    ----------
    landed_s : float
        Time of the earliest frame that was offered; infinite while there was none.
    ended : bool
        Whether the file had no more frames to offer.
    """

    def __init__(self, sample_rate_hz: int, first_s: float, last_s: float) -> None:
        self._sample_rate_hz, self._first_s, self._last_s = sample_rate_hz, first_s, last_s
        self._runs: list[Run] = []
        self._n_errors = 0
        self._added_s = 0.0
        self.landed_s = math.inf
        self.ended = False

    def is_full(self, start_s: float) -> bool:
        """Tell whether a frame that starts at `start_s` comes after the end, or too many came that go back in time."""
        return start_s >= self._last_s + MARGIN_S or self._added_s > 2 * (self._last_s - self._first_s) + 1.0

    def add(self, frame: av.AudioFrame, start_s: float) -> None:
        """Append a frame that starts at `start_s`, if it is among what is asked for."""
        self.landed_s = min(self.landed_s, start_s)
        length_s = frame.samples / frame.sample_rate
        if start_s + length_s <= self._first_s - MARGIN_S:
            return
        if frame.layout.nb_channels > MAX_CHANNELS:
            self._n_errors += 1
            return
        if not self._runs or not self._runs[-1].goes_on_with(frame, start_s):
            self._runs.append(Run(start_s, self._sample_rate_hz, frame))
        self._runs[-1].add(frame)
        self._added_s += max(min(start_s + length_s, self._last_s) - max(start_s, self._first_s), 0.0)

    def miss(self, start_s: float) -> None:
        """Note that a packet at `start_s` could not be decoded; before the beginning it does not matter."""
        self._n_errors += start_s >= self._first_s - MARGIN_S

    def finish(self) -> Stretch:
        """Take out what the resamplers still hold; return the stretch itself."""
        for run in self._runs:
            run.finish()
        return self

    def cut(self, start_s: float, length: int) -> Waveform:
        """Return the samples from `start_s`, shape (at most `length`,), float32; holes between runs are left out."""
        parts = [np.empty(0, np.float32)]
        for run in self._runs:
            offset = round((start_s - run.start_s) * self._sample_rate_hz)
            parts.append(run.samples[max(offset, 0) : max(offset + length, 0)])
        return np.concatenate(parts)[:length]

    def problems(self) -> Iterator[str]:
        """Yield a sentence for each thing that is missing."""
        missing_s, position_s = 0.0, self._first_s
        for run in self._runs:
            missing_s += max(min(run.start_s, self._last_s) - position_s, 0.0)
            position_s = max(position_s, run.end_s)
        tail_s = self._last_s - position_s
        if not self.ended:
            missing_s += max(tail_s, 0.0)
        between = f"between {self._first_s:.1f} and {self._last_s:.1f} s"
        if missing_s > 2 * TIME_JITTER_S:
            yield f"damaged: {missing_s:.2f} s {between} cannot be decoded, left out"
        elif self._n_errors:
            yield f"damaged: {self._n_errors} packets {between} cannot be decoded in full"
        if self.ended and tail_s > 2 * TIME_JITTER_S:
            yield f"nothing to decode after {position_s:.1f} s, expected audio up to {self._last_s:.1f} s"


class Run:
    """Frames of one rate that follow one another without a hole, resampled to mono float32 by soxr.

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
        self._resampler = soxr.ResampleStream(self._rate_hz, sample_rate_hz, 1, dtype="float32")
        self._kind = (frame.format.name, frame.layout.nb_channels)
        self._waiting = av.AudioFifo()
        self._chunks: list[Waveform] = []
        self.samples: Waveform = np.empty(0, np.float32)

    def goes_on_with(self, frame: av.AudioFrame, start_s: float) -> bool:
        """Tell whether a frame that starts at `start_s` belongs to this run."""
        return abs(start_s - self.end_s) <= TIME_JITTER_S and frame.sample_rate == self._rate_hz

    def add(self, frame: av.AudioFrame) -> None:
        """Append a frame."""
        kind = (frame.format.name, frame.layout.nb_channels)
        if kind != self._kind:
            self._mix()
            self._kind, self._waiting = kind, av.AudioFifo()
        self.end_s += frame.samples / self._rate_hz
        frame.pts = None  # What is missing between frames was looked at before.
        self._waiting.write(frame)
        if self._waiting.samples >= BLOCK:
            self._mix()

    def finish(self) -> None:
        """Take out what the resampler still holds: all that was added is in `samples` now, shape (n,), float32."""
        self._mix()
        self._chunks.append(self._resampler.resample_chunk(np.empty(0, np.float32), last=True))
        self.samples = np.concatenate(self._chunks)
        self._chunks.clear()

    def _mix(self) -> None:
        block = self._waiting.read()
        if block is not None:
            self._chunks.append(self._resampler.resample_chunk(mean_of_channels(block)))


def mean_of_channels(frame: av.AudioFrame) -> Waveform:
    """Return the mean of a frame's channels, shape (samples,), float32; integers are scaled so that full scale is 1.

    FFmpeg's own downmix depends on the names of the channels, and it is 3 dB louder for stereo than for mono.
    """
    samples = frame.to_ndarray()
    channels = list(samples) if frame.format.is_planar else list(samples.reshape(frame.samples, -1).T)
    mean: Waveform = np.array(channels[0], dtype=np.float32)
    for channel in channels[1:]:
        mean += np.asarray(channel)
    full_scale = 2.0 ** (8 * samples.dtype.itemsize - 1) if samples.dtype.kind in "iu" else 1.0
    mean *= np.float32(1 / (full_scale * len(channels)))
    return mean - np.float32(1) if samples.dtype == np.uint8 else mean
