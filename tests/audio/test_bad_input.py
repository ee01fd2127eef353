"""Files that lie, that hold too much, or that may not be decoded: a reason each, at once, in little memory."""

import struct
import time
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from recommender.audio.clips import ClipConfig, TrackClips, read_clips
from recommender.audio.decode import PROTECTED_ASF
from recommender.errors import AudioError

RATE = 8000
SHORT = ClipConfig(clip_s=2.0, max_clips=3)

Encode = Callable[..., Path]
Sine = Callable[..., np.ndarray]


def hear(path: Path) -> TrackClips:
    """Nothing here may take long or much memory, whatever a file claims."""
    tracemalloc.start()
    started = time.process_time()
    try:
        return read_clips(path, SHORT)
    finally:
        seconds = time.process_time() - started
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert seconds < 5
        assert most < 20e6


def hours_of_flac(path: Path, block: np.ndarray, blocks: int) -> Path:
    with av.open(path, "w") as file:
        stream = file.add_stream("flac", rate=RATE, layout="mono", options={"frame_size": str(len(block))})
        stream.codec_context.open()
        for number in range(blocks):
            frame = av.AudioFrame.from_ndarray(block[None], format="s16", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), number * len(block)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def test_hours_of_silence_in_a_few_kilobytes(tmp_path: Path) -> None:
    path = hours_of_flac(tmp_path / "bomb.flac", np.zeros(65535, np.int16), 1320)
    assert path.stat().st_size < 40_000
    with pytest.raises(AudioError, match="silent, the loudest sample heard has level"):
        hear(path)


def test_hours_of_a_tone_are_a_track_of_three_clips(tmp_path: Path) -> None:
    # 20 samples a period and a block of whole periods: each frame is the same and packs well.
    block = np.tile((8000 * np.sin(2 * np.pi * np.arange(20) / 20)).astype(np.int16), 3276)
    clips = hear(hours_of_flac(tmp_path / "tone.flac", block, 1320))
    assert clips.duration_s == pytest.approx(1320 * len(block) / RATE)
    assert clips.duration_s > 10_000
    assert len(clips.mels) == 3
    assert clips.warnings == ()


def wav(path: Path, claimed_bytes: int | None = None, rate: int = RATE) -> Path:
    data = (np.random.default_rng(0).uniform(-0.5, 0.5, 10 * RATE) * 32767).astype("<i2").tobytes()
    size = len(data) if claimed_bytes is None else claimed_bytes
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, min(2 * rate, 2**32 - 1), 2, 16)
    head = b"RIFF" + struct.pack("<I", min(size + 36, 2**32 - 1)) + b"WAVEfmt " + form
    path.write_bytes(head + b"data" + struct.pack("<I", size) + data)
    return path


@pytest.mark.parametrize("claimed", [2**32 - 1, 2**31, 100_000_000])
def test_a_wav_that_claims_hours_is_what_it_holds(claimed: int, tmp_path: Path) -> None:
    clips = hear(wav(tmp_path / "x.wav", claimed))
    assert clips.duration_s == pytest.approx(10.0, abs=0.2)
    assert clips.starts_s[-1] + 2.0 <= 10.2


def test_a_wav_that_claims_less_than_it_holds_is_what_it_claims(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"holds 0\.062 s of audio, expected at least 1 s"):
        hear(wav(tmp_path / "x.wav", 1000))


@pytest.mark.parametrize("rate", [1, 100, 2**31 - 1])
def test_rates_that_no_audio_has_are_refused(rate: int, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=f"claims {rate} samples a second, expected 2000 to"):
        hear(wav(tmp_path / "x.wav", rate=rate))


@pytest.mark.parametrize(
    ("rate", "channels", "suffix"),
    [(8000, 8, ".wav"), (11025, 2, ".flac"), (96000, 6, ".flac"), (192000, 8, ".wav"), (192000, 1, ".flac")],
)
def test_every_rate_and_number_of_channels_is_heard(
    rate: int, channels: int, suffix: str, encode: Encode, sine: Sine, tmp_path: Path
) -> None:
    samples = np.repeat(sine(440, 3.0, rate)[:, None], channels, axis=1)
    clips = hear(encode(tmp_path / f"x{suffix}", samples, rate))
    assert clips.duration_s == pytest.approx(3.0, abs=0.01)
    assert clips.warnings == ()
    assert loudest_band(clips) == loudest_band(hear(encode(tmp_path / "y.wav", sine(440, 3.0, 22050), 22050)))


def loudest_band(clips: TrackClips) -> int:
    return int(clips.mels.astype(float).mean(axis=(0, 2)).argmax())


def test_an_mp3_whose_header_promises_hours(encode: Encode, sine: Sine, tmp_path: Path) -> None:
    path = encode(tmp_path / "x.mp3", sine(440, 10.0, 44100), 44100)
    data = bytearray(path.read_bytes())
    at = max(data.find(b"Xing"), data.find(b"Info"))
    assert at > 0
    assert data[at + 7] & 1
    data[at + 8 : at + 12] = (10_000_000).to_bytes(4, "big")
    path.write_bytes(data)
    clips = hear(path)
    assert clips.duration_s == pytest.approx(10.0, abs=0.2)
    assert clips.warnings[0].startswith("truncated: holds 10.")


def test_an_ogg_whose_last_page_promises_days(encode: Encode, sine: Sine, tmp_path: Path) -> None:
    path = encode(tmp_path / "x.opus", sine(440, 10.0, 48000), 48000)
    data = bytearray(path.read_bytes())
    at = data.rfind(b"OggS") + 6
    data[at : at + 8] = (48000 * 86400 * 9).to_bytes(8, "little")
    path.write_bytes(data)
    try:
        clips = hear(path)
    except AudioError as error:
        assert "expected" in str(error)  # noqa: PT017
    else:
        assert len(clips.mels) >= 1
        assert clips.duration_s < 11


@pytest.mark.parametrize("count", [2**27, 2**31 - 1])
def test_an_mp4_whose_table_promises_millions_of_packets(
    count: int, encode: Encode, sine: Sine, tmp_path: Path
) -> None:
    path = encode(tmp_path / "x.m4a", sine(440, 5.0, 44100), 44100)
    data = bytearray(path.read_bytes())
    at = data.rindex(b"stsz")
    data[at + 8 : at + 16] = struct.pack(">II", 1, count)
    path.write_bytes(data)
    with pytest.raises(AudioError, match=r"x\.m4a: .*expected"):
        hear(path)


@pytest.mark.parametrize("tag", [b"drms", b"enca", b"aavd"])
def test_copy_protection_is_named(tag: bytes, encode: Encode, sine: Sine, tmp_path: Path) -> None:
    path = encode(tmp_path / "x.m4a", sine(440, 5.0, 44100), 44100)
    data = bytearray(path.read_bytes())
    at = data.rindex(b"mp4a", 0, data.rindex(b"esds"))
    data[at : at + 4] = tag
    path.write_bytes(data)
    with pytest.raises(AudioError, match=r"^x\.m4a: copy protected \(DRM\).*expected an unprotected file"):
        hear(path)


def test_copy_protection_of_wma_is_named(sine: Sine, tmp_path: Path) -> None:
    path = tmp_path / "x.wma"
    write(path, "wmav2", sine(440, 5.0, 44100))
    assert len(hear(path).mels) == 3
    data = bytearray(path.read_bytes())
    at = data.index(bytes.fromhex("40a4d0d207e3d21197f000a0c95ea850"))  # the extended content description
    data[at : at + 16] = PROTECTED_ASF[0]
    path.write_bytes(data)
    with pytest.raises(AudioError, match=r"^x\.wma: copy protected \(DRM\)"):
        hear(path)


@pytest.mark.parametrize(
    ("suffix", "codec", "film"), [(".mp4", "aac", "mpeg4"), (".mkv", "flac", "mpeg4"), (".webm", "libopus", "libvpx")]
)
def test_films_are_heard_by_their_sound(suffix: str, codec: str, film: str, sine: Sine, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    write(path, codec, sine(440, 5.0, 48000), rate=48000, film=film)
    clips = hear(path)
    assert clips.duration_s == pytest.approx(5.0, abs=0.1)
    assert len(clips.mels) == 3
    assert clips.warnings == ()


def write(path: Path, codec: str, samples: np.ndarray, rate: int = 44100, film: str | None = None) -> None:
    with av.open(path, "w") as file:
        if film is not None:
            pictures = file.add_stream(film, rate=5, width=64, height=64, pix_fmt="yuv420p")
        stream = file.add_stream(codec, rate=rate, layout="stereo")
        context = stream.codec_context
        context.bit_rate = 128_000
        context.open()
        if film is not None:
            for n in range(int(5 * len(samples) / rate)):
                picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 9 * n % 255, np.uint8))
                file.mux(pictures.encode(picture))
            file.mux(pictures.encode(None))
        resampler = av.AudioResampler(context.format, "stereo", rate, context.frame_size or 4096)
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32)[None], format="flt", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            file.mux(stream.encode(part))
