from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

CODECS = {
    ".mp3": ("libmp3lame", {}),
    ".flac": ("flac", {}),
    ".ogg": ("vorbis", {"strict": "-2"}),
    ".opus": ("libopus", {}),
    ".m4a": ("aac", {}),
    ".wav": ("pcm_s16le", {}),
}
LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}

Encode = Callable[..., Path]


@pytest.fixture(scope="session")
def encode() -> Encode:
    """Write samples (n,) or (n, channels), full scale 1, in the format that the name's ending says."""

    def write(path: Path, samples: np.ndarray, rate: int, codec: str | None = None, **container: str) -> Path:
        samples = np.asarray(samples, dtype=np.float32).reshape(len(samples), -1)
        name, options = CODECS[path.suffix]
        if path.suffix == ".ogg" and samples.shape[1] == 1:
            samples = np.repeat(samples, 2, axis=1)  # FFmpeg's own Vorbis encoder takes stereo only.
        layout = LAYOUTS[samples.shape[1]]
        with av.open(path, "w", options=container) as file:
            stream = file.add_stream(codec or name, rate=rate, layout=layout)
            stream.options = options
            context = stream.codec_context
            context.open()
            resampler = av.AudioResampler(
                format=context.format.name, layout=layout, rate=rate, frame_size=context.frame_size or 4096
            )
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout=layout)
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
            for part in [*resampler.resample(frame), *resampler.resample(None), None]:
                for packet in stream.encode(part):
                    file.mux(packet)
        return path

    return write


@pytest.fixture(scope="session")
def sine() -> Callable[..., np.ndarray]:
    def make(hz: float, seconds: float, rate: int, amplitude: float = 0.5) -> np.ndarray:
        return amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)

    return make
