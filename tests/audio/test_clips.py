import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.audio.clips import ClipConfig, Clips, clip_starts, read_clips
from recommender.audio.mel import MelConfig, log_mel_spectrogram, quantise
from recommender.data.vocabulary import Vocabulary
from recommender.errors import AudioError, ConfigError, DataError

RATE = 22050
SHORT = ClipConfig(clip_s=2.0, max_clips=3)

Encode = Callable[..., Path]
Sine = Callable[..., np.ndarray]


@pytest.fixture
def noise() -> np.ndarray:
    """Eight seconds at 22050 Hz, a level of its own in each."""
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, 8 * RATE) * np.repeat(np.linspace(0.1, 0.8, 8), RATE)


@pytest.mark.parametrize(
    ("duration_s", "expected"),
    [
        (240.0, [35.0, 115.0, 195.0]),
        (30.0, [0.0, 10.0, 20.0]),
        (25.0, [0.0, 7.5, 15.0]),
        (20.0, [0.0, 10.0]),
        (16.0, [0.0, 6.0]),
        (14.0, [2.0]),
        (10.0, [0.0]),
        (3.0, [0.0]),
    ],
)
def test_clips_lie_in_the_middles_of_equal_parts(duration_s: float, expected: list[float]) -> None:
    assert clip_starts(duration_s, ClipConfig(clip_s=10.0, max_clips=3)) == pytest.approx(expected)


@given(st.floats(0.1, 1e5), st.floats(1.0, 60.0), st.integers(1, 9))
def test_clips_lie_inside_the_track_in_order(duration_s: float, clip_s: float, max_clips: int) -> None:
    starts = clip_starts(duration_s, ClipConfig(clip_s=clip_s, max_clips=max_clips))
    assert 1 <= len(starts) <= max_clips
    assert starts == sorted(set(starts))
    assert starts[0] >= 0
    assert starts[-1] + clip_s <= max(duration_s, clip_s) * (1 + 1e-12)


def test_clips_are_the_spectrograms_of_their_seconds(encode: Encode, tmp_path: Path, noise: np.ndarray) -> None:
    clips = read_clips(encode(tmp_path / "x.wav", noise, RATE), SHORT)
    assert clips.warnings == ()
    assert clips.duration_s == 8.0
    assert clips.starts_s.dtype == np.float32
    np.testing.assert_allclose(clips.starts_s, [1 / 3, 3.0, 17 / 3], rtol=1e-6)
    assert clips.mels.shape == (3, 96, SHORT.n_frames) == (3, 96, 87)
    assert clips.mels.dtype == np.uint8
    stored = np.round(noise * 32767) / 32768
    for start_s, mels in zip(clips.starts_s, clips.mels, strict=True):
        first = round(float(start_s) * RATE)
        wave = stored[first : first + 2 * RATE].astype(np.float32)
        expected = quantise(log_mel_spectrogram(wave, SHORT.mel))
        assert np.abs(mels.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".ogg", ".opus", ".m4a", ".wav"])
def test_formats_sound_alike(suffix: str, encode: Encode, sine: Sine, tmp_path: Path) -> None:
    rate = 48000
    tones = sum(sine(hz, 7.0, rate, 0.15) for hz in (220, 554, 1661)) + 0.01 * np.random.default_rng(1).normal(
        size=7 * rate
    )
    expected = read_clips(encode(tmp_path / "reference.wav", tones, rate), SHORT)
    tones = np.stack([tones, tones], axis=1)
    found = read_clips(encode(tmp_path / f"x{suffix}", tones, rate), SHORT)
    assert found.mels.shape == expected.mels.shape
    loud = expected.mels > 120  # -40 dB: what a codec keeps
    difference = found.mels[loud].astype(int) - expected.mels[loud].astype(int)
    assert np.median(np.abs(difference)) <= 4
    np.testing.assert_allclose(found.starts_s, expected.starts_s, atol=0.01)


def test_same_file_same_clips(encode: Encode, tmp_path: Path, noise: np.ndarray) -> None:
    path = encode(tmp_path / "x.mp3", noise, RATE)
    first, second = read_clips(path, SHORT), read_clips(path, SHORT)
    np.testing.assert_array_equal(first.mels, second.mels)


def test_a_short_track_is_made_whole_by_repeating(encode: Encode, tmp_path: Path, noise: np.ndarray) -> None:
    clips = read_clips(encode(tmp_path / "x.wav", noise[: round(1.5 * RATE)], RATE), ClipConfig(clip_s=6.0))
    assert clips.mels.shape == (1, 96, ClipConfig(clip_s=6.0).n_frames)
    assert clips.starts_s.tolist() == [0.0]
    assert clips.warnings == ()
    period = 1.5 * RATE / 512
    levels = clips.mels[0].astype(float).mean(axis=0)
    steps = levels[: round(2 * period)] - levels[round(period) : round(period) + round(2 * period)]
    assert np.abs(steps).mean() < 2


@pytest.mark.parametrize("seconds", [0.3, 0.99])
@pytest.mark.parametrize("suffix", [".wav", ".mp3", ".ogg"])
def test_less_than_a_second_is_refused(
    seconds: float, suffix: str, encode: Encode, tmp_path: Path, noise: np.ndarray
) -> None:
    path = encode(tmp_path / f"blip{suffix}", noise[: round(seconds * RATE)], RATE)
    with pytest.raises(AudioError, match=r"^blip\.\w+: holds 0\.\d\d\d s of audio, expected at least 1 s"):
        read_clips(path, SHORT)


def test_a_header_without_audio_is_refused(encode: Encode, tmp_path: Path, noise: np.ndarray) -> None:
    path = encode(tmp_path / "x.wav", noise, RATE)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(AudioError, match=r"^x\.wav: holds 0\.00\d s of audio, expected at least 1 s"):
        read_clips(path, SHORT)


@pytest.mark.parametrize("suffix", [".wav", ".opus", ".mp3"])
def test_silence_is_refused(suffix: str, encode: Encode, tmp_path: Path) -> None:
    rate = 48000
    path = encode(tmp_path / f"mute{suffix}", np.zeros(5 * rate), rate)
    with pytest.raises(AudioError, match=r"^mute\.\w+: silent, the loudest sample .* expected 1e-04 or more"):
        read_clips(path, SHORT)


def test_silent_parts_of_a_track_are_not_heard(encode: Encode, tmp_path: Path, noise: np.ndarray) -> None:
    noise[: 3 * RATE] = 0
    clips = read_clips(encode(tmp_path / "x.flac", noise, RATE), SHORT)
    np.testing.assert_allclose(clips.starts_s, [3.0, 17 / 3], rtol=1e-6)
    assert len(clips.mels) == 2


def test_a_truncated_track_is_heard_over_what_is_left(encode: Encode, tmp_path: Path, noise: np.ndarray) -> None:
    path = encode(tmp_path / "x.mp3", np.tile(noise, 4), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 4])
    clips = read_clips(path, SHORT)
    assert clips.duration_s == pytest.approx(8.0, abs=0.2)
    assert len(clips.mels) == 3
    assert clips.starts_s[-1] + 2.0 <= clips.duration_s
    assert len(clips.warnings) == 1
    assert clips.warnings[0].startswith("truncated: holds 7.9 s of the 32.0 s")


def test_a_hole_is_left_out_and_named(encode: Encode, tmp_path: Path, noise: np.ndarray) -> None:
    path = encode(tmp_path / "x.flac", noise, RATE)
    data = bytearray(path.read_bytes())
    first, last = int(len(data) * 0.45), int(len(data) * 0.55)
    data[first:last] = np.random.default_rng(5).bytes(last - first)
    path.write_bytes(data)
    clips = read_clips(path, SHORT)
    assert len(clips.mels) >= 2
    assert len(clips.warnings) == 1
    assert clips.warnings[0].startswith("damaged: ")


def test_numbers_that_are_none_are_taken_as_silence(encode: Encode, tmp_path: Path, noise: np.ndarray) -> None:
    noise[1000 + 2 * RATE : 1100 + 2 * RATE] = np.nan
    noise[4 * RATE] = np.inf
    path = encode(tmp_path / "x.wav", noise, RATE, "pcm_f32le")
    clips = read_clips(path, ClipConfig(clip_s=8.0, max_clips=1))
    assert clips.warnings == ("101 samples are not finite numbers, taken as 0",)


def test_float_files_without_scaling_are_brought_to_full_scale(
    encode: Encode, tmp_path: Path, noise: np.ndarray
) -> None:
    plain = read_clips(encode(tmp_path / "x.wav", noise / np.abs(noise).max(), RATE, "pcm_f32le"), SHORT)
    huge = read_clips(encode(tmp_path / "y.wav", noise * 32767, RATE, "pcm_f32le"), SHORT)
    assert len(huge.warnings) == 1
    assert "times full scale, scaled down" in huge.warnings[0]
    assert np.abs(huge.mels.astype(int) - plain.mels.astype(int)).max() <= 2


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"clip_s is 0\.5, expected at least 1"):
        ClipConfig(clip_s=0.5)
    with pytest.raises(ConfigError, match="max_clips is 0"):
        ClipConfig(max_clips=0)
    assert ClipConfig(clip_s=3.0, mel=MelConfig(hop=441)).n_frames == 151


def test_a_table_of_clips_that_does_not_fit_is_refused() -> None:
    tracks = Vocabulary("track", ("a", "b"))
    mels, starts = np.zeros((3, 4, 5), np.uint8), np.zeros(3, np.float32)
    assert len(Clips(tracks, mels, np.array([0, 1, 1], np.int32), starts)) == 3
    with pytest.raises(DataError, match="do not fit 2 track rows"):
        Clips(tracks, mels, np.array([0, 1], np.int32), starts)
    with pytest.raises(DataError, match="track row 2 of 2"):
        Clips(tracks, mels, np.array([0, 1, 2], np.int32), starts)


BROKEN = {
    "empty.mp3": "0 bytes, expected an audio file",
    "random bytes.mp3": "no audio file",
    "not music.ogg": "no audio file",
    "header only.wav": "holds 0.000 s of audio, expected at least 1 s",
    "blip.ogg": "holds 0.300 s of audio, expected at least 1 s",
    "silence.opus": "silent",
    "truncated.mp3": None,
    "damaged.flac": None,
}


@pytest.mark.real
@pytest.mark.parametrize("name", BROKEN)
def test_real_files_that_are_broken(name: str, shared_dir: Path) -> None:
    path, reason = shared_dir / "music" / "broken" / name, BROKEN[name]
    if reason is None:
        clips = read_clips(path, ClipConfig())
        assert len(clips.mels) >= 1
        assert len(clips.warnings) == 1
    else:
        with pytest.raises(AudioError, match=f"^{name}: {reason}"):
            read_clips(path, ClipConfig())


@pytest.mark.real
def test_real_music_of_every_format_is_heard_whole(shared_dir: Path) -> None:
    files: dict[str, Path] = {}
    for folder, _, names in os.walk(shared_dir / "music"):
        for name in names:
            if not folder.endswith("broken") and not name.endswith((".csv", ".md")):
                files.setdefault(Path(name).suffix, Path(folder) / name)
    assert set(files) == {".mp3", ".flac", ".ogg", ".opus", ".m4a", ".wav"}
    for path in files.values():
        clips = read_clips(path, ClipConfig())
        assert clips.warnings == ()
        assert clips.mels.shape == (3, 96, 431)
        assert 30 < clips.duration_s < 46
        assert clips.mels.std() > 5
