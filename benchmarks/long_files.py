"""Full-length files out of excerpts: the excerpt's own packets, again and again, in the container that is asked for."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

import av

ENCODERS = {".mp3": "libmp3lame", ".m4a": "aac", ".flac": "flac", ".opus": "libopus"}
BIT_RATES = {".mp3": 192_000, ".m4a": 160_000, ".opus": 128_000}
MUXERS = {".m4a": "mp4", ".opus": "ogg"}


def make_long(excerpt: Path, target: Path, seconds: float) -> None:
    """Write `excerpt` looped to `seconds` at `target`, in the format of its ending.

    Packets are copied where the format is the excerpt's own and encoded once where it is another. FLAC numbers its
    frames, so all of it is encoded.
    """
    suffix = target.suffix
    if suffix == ".flac":
        _encode(excerpt, target, seconds)
        return
    if excerpt.suffix != suffix:
        with tempfile.TemporaryDirectory() as folder:
            once = Path(folder) / f"once{suffix}"
            _encode(excerpt, once, 0.0)
            make_long(once, target, seconds)
        return
    with av.open(target, "w", format=MUXERS.get(suffix)) as out:
        added = None
        offset, last = 0, -1
        while True:
            with av.open(excerpt) as file:
                stream = file.streams.audio[0]
                tick = stream.time_base or Fraction(1)
                rate = round(1 / tick)
                added = added or out.add_stream_from_template(stream)
                for packet in file.demux(stream):
                    if packet.pts is None or packet.size == 0:
                        continue
                    length = packet.duration if 0 < packet.duration < rate else 0  # FFmpeg may say a negative one
                    start = max(packet.pts + offset, last + 1)
                    copy = av.Packet(bytes(packet))  # without side data, at which Ogg would begin a new stream
                    copy.pts = copy.dts = last = start
                    copy.duration, copy.time_base, copy.stream = length, tick, added
                    end = start + length
                    out.mux(copy)
                    if end * tick >= seconds:
                        return
                offset = end


def _encode(excerpt: Path, target: Path, seconds: float) -> None:
    suffix = target.suffix
    with av.open(target, "w", format=MUXERS.get(suffix)) as out:
        with av.open(excerpt) as file:
            rate = 48000 if suffix == ".opus" else file.streams.audio[0].rate
            layout = file.streams.audio[0].layout.name
        stream = out.add_stream(ENCODERS[suffix], rate=rate, layout=layout)
        stream.bit_rate = BIT_RATES.get(suffix, 0)
        context = stream.codec_context
        context.open()
        samples = 0
        while samples == 0 or samples < seconds * rate:
            resampler = av.AudioResampler(context.format, layout, rate, context.frame_size or 4096)
            with av.open(excerpt) as file:
                for frame in [*file.decode(file.streams.audio[0]), None]:
                    for part in resampler.resample(frame):
                        if part is None or (part.samples < (context.frame_size or 1) and frame is None):
                            continue
                        part.pts, part.time_base = samples, Fraction(1, rate)
                        samples += part.samples
                        out.mux(stream.encode(part))
                    if seconds and samples >= seconds * rate:
                        break
        out.mux(stream.encode(None))


def make_library(music: Path, folder: Path, count: int, minutes: tuple[float, float] = (2.0, 5.0)) -> list[Path]:
    """Write `count` files of lengths between `minutes`: MP3, Ogg Vorbis, M4A, FLAC and Opus, from the excerpts in turn.

    Nothing is written that is there already.
    """
    excerpts = [path for path in sorted(music.glob("*/*/*.*")) if path.parent.parent.name != "broken"]
    oggs = [path for path in excerpts if path.suffix == ".ogg"]
    endings = (".mp3", ".ogg", ".mp3", ".m4a", ".mp3", ".flac", ".ogg", ".opus")
    paths = []
    for number in range(count):
        suffix = endings[number % len(endings)]
        pool = oggs if suffix == ".ogg" else excerpts
        excerpt = pool[number * 7 % len(pool)]
        seconds = 60 * (minutes[0] + (minutes[1] - minutes[0]) * (number * 0.618 % 1))
        path = folder / excerpt.parent.parent.name / f"{number:04d} {excerpt.stem}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            part = path.with_name(".part" + suffix)
            make_long(excerpt, part, seconds)
            part.rename(path)
        paths.append(path)
    return paths
