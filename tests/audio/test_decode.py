import os
import subprocess
import sys
import tracemalloc
import wave
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import recommender.audio.decode as decode
import recommender.audio.stretch as stretch
from recommender.audio.decode import decode_windows, open_audio, probe
from recommender.errors import AudioError

FORMATS = (".mp3", ".flac", ".ogg", ".opus", ".m4a", ".wav")
RATE = 22050
SECONDS = 20.0


def phase(time_s: np.ndarray) -> np.ndarray:
    return 2 * np.pi * (200 * time_s + (5000 - 200) * time_s**2 / (2 * SECONDS))


def chirp(time_s: np.ndarray) -> np.ndarray:
    """Rise from 200 to 5000 Hz in `SECONDS`, so that no two moments sound alike."""
    return 0.5 * np.sin(phase(time_s))


def lag_s(window: np.ndarray, start_s: float, rate: int = RATE) -> float:
    """Return how much later than `start_s` the chirp in `window` is, and fail if it is not within 0.1 s."""
    reach = round(0.1 * rate)
    expected = np.exp(1j * phase(start_s + np.arange(-reach, len(window) + reach) / rate))
    match = np.abs(np.correlate(expected, window, mode="valid"))
    best = int(match.argmax())
    assert match[best] / np.linalg.norm(window) / np.sqrt(len(window) / 2) > 0.97
    return (best - reach) / rate


@pytest.fixture(scope="module")
def chirps(encode: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("chirps")
    files = {}
    for suffix in FORMATS:
        rate = 48000 if suffix == ".opus" else 44100
        wave_ = chirp(np.arange(round(SECONDS * rate)) / rate)
        files[suffix] = encode(folder / f"chirp{suffix}", np.stack([wave_, 0.5 * wave_], axis=1), rate)
    return files


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_window_holds_the_seconds_that_were_asked_for(suffix: str, chirps: dict[str, Path]) -> None:
    starts_s = [13.37, 0.0, 0.3, 7.777, 18.9]
    waveforms, warnings = decode_windows(chirps[suffix], starts_s, 0.6, RATE)
    assert warnings == ()
    for waveform, start_s in zip(waveforms, starts_s, strict=True):
        assert waveform.dtype == np.float32
        assert len(waveform) == round(0.6 * RATE)
        assert abs(lag_s(waveform, start_s)) <= 0.001
    info = probe(chirps[suffix])
    assert info.channels == 2
    assert info.sample_rate_hz == (48000 if suffix == ".opus" else 44100)
    assert info.duration_s == pytest.approx(SECONDS, abs=0.05)
    assert suffix[1:] in info.codec or info.codec in ("vorbis", "aac", "pcm_s16le")


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_last_sample_is_not_lost(suffix: str, chirps: dict[str, Path]) -> None:
    with open_audio(chirps[suffix]) as audio:
        assert audio.measure_s() == pytest.approx(SECONDS, abs=0.05)
        (tail,), _ = audio.decode_windows([SECONDS - 1.0], 2.0, RATE)
    assert len(tail) == pytest.approx(RATE, abs=0.03 * RATE)
    assert np.abs(tail[RATE - 200 :]).max() > 0.2


def test_wav_comes_back_sample_by_sample(encode: Callable[..., Path], tmp_path: Path) -> None:
    rate = 8000
    samples = np.round(np.random.default_rng(0).uniform(-1, 1, rate * 6) * 32767) / 32768
    path = encode(tmp_path / "noise.wav", samples, rate)

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.integers(0, rate * 6), min_size=1, max_size=5), st.integers(1, rate * 2))
    def check(starts: list[int], length: int) -> None:
        waveforms, _ = decode_windows(path, [start / rate for start in starts], length / rate, rate)
        for start, waveform in zip(starts, waveforms, strict=True):
            np.testing.assert_allclose(waveform, samples[start : start + length], atol=1e-6)

    check()


@pytest.mark.parametrize(
    ("rate", "channels"),
    [
        (8000, 1),
        (11025, 2),
        (16000, 5),
        (22050, 1),
        (32000, 3),
        (44100, 6),
        (48000, 8),
        (88200, 4),
        (96000, 7),
        (192000, 2),
    ],
)
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_any_rate_and_any_channels_become_their_mean(
    rate: int, channels: int, suffix: str, encode: Callable[..., Path], sine: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    samples = np.zeros((round(1.2 * rate), channels))
    samples[:, -1] = sine(440, 1.2, rate, 0.8)
    path = encode(tmp_path / f"x{suffix}", samples, rate)
    (waveform,), warnings = decode_windows(path, [0.1], 1.0, RATE)
    assert warnings == ()
    assert probe(path).channels == channels
    expected = 0.8 / channels * np.sin(2 * np.pi * 440 * (0.1 + np.arange(RATE) / RATE))
    assert np.abs(waveform - expected).max() < 0.01 * 0.8 / channels + 1e-4


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_full_scale_is_one_whatever_the_sample_format(
    codec: str, encode: Callable[..., Path], sine: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    path = encode(tmp_path / "x.wav", sine(100, 1.0, 8000, 0.9), 8000, codec)
    (waveform,), _ = decode_windows(path, [0.0], 1.0, 8000)
    np.testing.assert_allclose(waveform, sine(100, 1.0, 8000, 0.9), atol=0.01 if codec == "pcm_u8" else 1e-4)


def test_what_the_new_rate_cannot_hold_is_gone(
    encode: Callable[..., Path], sine: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    path = encode(tmp_path / "x.wav", sine(15000, 2.0, 44100) + sine(1000, 2.0, 44100, 0.1), 44100)
    (waveform,), _ = decode_windows(path, [0.5], 1.0, RATE)
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)))) / len(waveform) * 4
    assert spectrum[1000] == pytest.approx(0.1, rel=0.02)
    spectrum[990:1010] = 0
    assert spectrum.max() < 0.5e-3


def test_no_second_is_decoded_twice(chirps: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = 0

    class Counting(stretch.Run):
        def add(self, frame: av.AudioFrame) -> None:
            nonlocal decoded
            decoded += frame.samples
            super().add(frame)

    monkeypatch.setattr(stretch, "Run", Counting)
    starts_s = [4.0, 2.0, 3.0, 2.0, 6.2, 15.0]
    waveforms, _ = decode_windows(chirps[".flac"], starts_s, 2.0, 44100)
    assert decoded / 44100 == pytest.approx(8.2 - 2.0 + 2.0, abs=0.5)
    np.testing.assert_array_equal(waveforms[1], waveforms[3])
    np.testing.assert_array_equal(waveforms[1][44100:], waveforms[2][:44100])
    alone, _ = decode_windows(chirps[".flac"], [6.2], 2.0, 44100)
    np.testing.assert_array_equal(alone[0], waveforms[4])


def long_mp3(encode: Callable[..., Path], folder: Path, minutes: int) -> Path:
    rng = np.random.default_rng(2)
    part = encode(folder / "part.mp3", rng.uniform(-0.5, 0.5, 44100 * 10), 44100, write_xing="0", id3v2_version="0")
    path = folder / f"{minutes} minutes.mp3"
    path.write_bytes(part.read_bytes() * (6 * minutes))
    return path


def sparse_wav(folder: Path, minutes: int) -> Path:
    path = folder / f"{minutes} minutes.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.setnframes(44100 * 60 * minutes)
        file.writeframesraw(b"")
        file._patchheader = lambda: None  # type: ignore[attr-defined]
    os.truncate(path, path.stat().st_size + 4 * 44100 * 60 * minutes)
    return path


@pytest.mark.parametrize("kind", ["mp3", "wav"])
def test_memory_is_flat_whatever_the_length(kind: str, encode: Callable[..., Path], tmp_path: Path) -> None:
    def peak(path: Path, starts_s: list[float]) -> int:
        tracemalloc.start()
        with open_audio(path) as audio:
            waveforms, _ = audio.decode_windows(starts_s, 5.0, RATE)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert [len(waveform) for waveform in waveforms] == [5 * RATE] * len(starts_s)
        return most

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    make = (
        (lambda minutes: long_mp3(encode, tmp_path, minutes))
        if kind == "mp3"
        else (lambda minutes: sparse_wav(tmp_path, minutes))
    )
    short, long = make(1), make(120)
    peak(short, [5.0, 25.0, 45.0])
    expected = peak(short, [5.0, 25.0, 45.0])
    before = resident()
    assert peak(long, [600.0, 3600.0, 6600.0]) < 1.2 * expected + 100_000
    assert resident() - before < 40e6


def test_a_file_that_lost_its_end_says_where(
    chirps: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered_s = 0.0

    class Counting(stretch.Stretch):
        def add(self, frame: av.AudioFrame, start_s: float) -> None:
            nonlocal offered_s
            offered_s += frame.samples / frame.sample_rate
            super().add(frame, start_s)

    monkeypatch.setattr(decode, "Stretch", Counting)
    for suffix in (".mp3", ".flac", ".wav"):
        offered_s = 0.0
        whole = chirps[suffix].read_bytes()
        path = tmp_path / f"cut{suffix}"
        path.write_bytes(whole[: len(whole) // 2])
        with open_audio(path) as audio:
            assert audio.info.duration_s == pytest.approx(20, abs=0.1) or suffix == ".wav"
            end_s = audio.measure_s()
            (early, late), warnings = audio.decode_windows([1.0, 17.0], 2.0, RATE)
        assert end_s < 15
        assert len(early) == 2 * RATE
        assert abs(lag_s(early, 1.0)) <= 0.001
        assert len(late) == 0
        assert "nothing to decode after 17.0 s, expected audio up to 19.0 s" in warnings
        assert offered_s < 4, "it was decoded from its start in search of what is not there"


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".ogg", ".opus"])
def test_damage_in_the_middle_costs_the_middle_only(suffix: str, chirps: dict[str, Path], tmp_path: Path) -> None:
    data = bytearray(chirps[suffix].read_bytes())
    first, last = int(len(data) * 0.45), int(len(data) * 0.55)
    data[first:last] = np.random.default_rng(5).bytes(last - first)
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(data)
    with open_audio(path) as audio:
        (early, middle, late), warnings = audio.decode_windows([2.0, 8.0, 16.0], 2.0, RATE)
        # An MP3 has no time stamps: what was lost moves the rest forward.
        lost_s = SECONDS - audio.measure_s() if suffix == ".mp3" else 0.0
    for waveform, start_s in ((early, 2.0), (late, 16.0 + lost_s)):
        assert len(waveform) == 2 * RATE
        assert abs(lag_s(waveform, start_s)) <= 0.03
    assert len(middle) <= 2 * RATE
    assert len(warnings) == 1
    assert warnings[0].startswith("damaged: ")


def test_pictures_and_films_in_a_file_are_passed_over(
    encode: Callable[..., Path], sine: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    from mutagen.id3 import APIC, ID3

    song = encode(tmp_path / "song.mp3", sine(300, 3.0, 44100), 44100)
    plain, _ = decode_windows(song, [1.0], 1.0, 44100)
    with av.open(tmp_path / "cover.png", "w", format="image2") as file:
        stream = file.add_stream("png", rate=1, width=64, height=64, pix_fmt="rgb24")
        for packet in [*stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))), *stream.encode()]:
            file.mux(packet)
    tags = ID3()
    tags.add(APIC(mime="image/png", type=3, data=(tmp_path / "cover.png").read_bytes()))
    tags.save(song)
    with av.open(song) as file:
        assert len(file.streams.video) == 1
    pictured, warnings = decode_windows(song, [1.0], 1.0, 44100)
    assert warnings == ()
    np.testing.assert_array_equal(pictured[0], plain[0])

    film = tmp_path / "film.mkv"
    with av.open(film, "w") as file:
        video = file.add_stream("mpeg4", rate=25, width=64, height=64)
        for n in range(25):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), n, np.uint8))
            for packet in video.encode(frame):
                file.mux(packet)
        for packet in video.encode():
            file.mux(packet)
    with pytest.raises(AudioError, match=r"film\.mkv: holds video, expected an audio stream"):
        probe(film)


BAD_FILES = {
    "empty.mp3": (b"", "0 bytes"),
    "text.ogg": (b"These are the words of a song, not its sound.\n" * 99, "no audio file"),
    "random.mp3": (np.random.default_rng(4).bytes(65536), "no audio file"),
    "half a header.flac": (b"fLaC\x00\x00\x00\x22\x10", "no audio file|no sample rate"),
    "page.m4a": (b"<!doctype html><title>404</title>" * 50, "no audio file"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_what_is_no_audio_is_refused_with_a_reason(name: str, tmp_path: Path) -> None:
    content, reason = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioError, match=f"^{name}: .*({reason}).*expected"):
        probe(tmp_path / name)


def test_an_unknown_codec_is_refused(
    encode: Callable[..., Path], sine: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    path = encode(tmp_path / "x.wav", sine(300, 1.0, 8000), 8000)
    data = bytearray(path.read_bytes())
    data[20:22] = b"\x34\x12"
    path.write_bytes(data)
    with pytest.raises(AudioError, match=r"x\.wav: FFmpeg has no decoder"):
        probe(path)


def test_more_channels_than_can_be_read_safely_are_refused(
    chirps: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_audio(chirps[".m4a"]) as audio:
        monkeypatch.setattr(stretch, "MAX_CHANNELS", 1)  # As if damage in the stream had made it two.
        (waveform,), warnings = audio.decode_windows([5.0], 1.0, RATE)
    assert len(waveform) == 0
    assert warnings[0].startswith("damaged: 1.00 s between 5.0 and 6.0 s")
    monkeypatch.setattr(decode, "MAX_CHANNELS", 1)
    with pytest.raises(AudioError, match="has 2 channels, expected 1 to 1"):
        probe(chirps[".m4a"])


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"gone\.mp3: no such file"):
        probe(tmp_path / "gone.mp3")
    with pytest.raises(AudioError, match="no audio file"):
        probe(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile '{}'\n"],
)
def test_a_file_cannot_point_at_another_one(
    content: str, encode: Callable[..., Path], sine: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    secret = encode(tmp_path / "secret.wav", sine(300, 2.0, 8000), 8000)
    for name in ("upload.mp3", "upload.m3u8"):
        (tmp_path / name).write_text(content.format(secret.name))
        with pytest.raises(AudioError, match="no audio file"):
            probe(tmp_path / name)


@pytest.mark.parametrize(
    "name", ["10:15 Saturday.wav", "http:x.wav", "50%d.wav", "Été – 夏.wav", os.fsdecode(b"caf\xe9.wav")]
)
def test_any_file_name_will_do(
    name: str,
    encode: Callable[..., Path],
    sine: Callable[..., np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = encode(tmp_path / "plain.wav", sine(300, 1.0, 8000), 8000)
    plain.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / name, Path(name)):
        assert probe(path).duration_s == 1.0


def test_windows_that_cannot_be_are_refused(chirps: dict[str, Path]) -> None:
    for starts_s, window_s, rate in (([-1.0], 1.0, RATE), ([0.0], 0.0, RATE), ([0.0], 1.0, 0), ([np.nan], 1.0, RATE)):
        with pytest.raises(ValueError, match="cannot decode"):
            decode_windows(chirps[".wav"], starts_s, window_s, rate)
    assert decode_windows(chirps[".wav"], [], 1.0, RATE) == ([], ())


def test_decoding_needs_no_torch() -> None:
    code = "import sys, recommender.audio.decode, recommender.audio.clips; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
