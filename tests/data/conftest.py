from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import mutagen
import mutagen.id3
import mutagen.wave
import numpy as np
import pytest

CODECS = {
    ".mp3": "libmp3lame",
    ".flac": "flac",
    ".ogg": "vorbis",
    ".opus": "libopus",
    ".m4a": "aac",
    ".aac": "aac",
    ".wav": "pcm_s16le",
}

MakeAudio = Callable[..., Path]


@pytest.fixture
def make_audio() -> MakeAudio:
    """Write half a second of noise, another one for each seed, with tags where they are given."""

    def make(path: Path, seed: int = 0, **tags: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        rate = 48_000
        noise = (np.random.default_rng(seed).standard_normal((1, rate)) * 3000).astype(np.int16)
        with av.open(path, "w", format="adts" if path.suffix == ".aac" else None) as file:
            stream = file.add_stream(CODECS[path.suffix], rate=rate, layout="stereo")
            if path.suffix == ".ogg":
                stream.options = {"strict": "-2"}  # FFmpeg's own Vorbis encoder
            context = stream.codec_context
            context.open()
            resampler = av.AudioResampler(context.format.name, "stereo", rate, context.frame_size or 4096)
            frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="stereo")
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
            for part in [*resampler.resample(frame), *resampler.resample(None), None]:
                for packet in stream.encode(part):
                    file.mux(packet)
        if tags:
            tag(path, **tags)
        return path

    return make


def tag(path: Path, **tags: str) -> None:
    """Set title, artist, album, albumartist or date."""
    if path.suffix == ".wav":
        wave = mutagen.wave.WAVE(path)
        if wave.tags is None:
            wave.add_tags()
        frames = {"title": "TIT2", "artist": "TPE1", "album": "TALB", "albumartist": "TPE2", "date": "TDRC"}
        for name, value in tags.items():
            wave.tags.add(getattr(mutagen.id3, frames[name])(encoding=3, text=[value]))
        wave.save()
        return
    file = mutagen.File(path, easy=True)
    if file.tags is None:
        file.add_tags()
    for name, value in tags.items():
        file[name] = [value]
    file.save()
