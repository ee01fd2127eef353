from collections.abc import Callable

import numpy as np
import pytest

from recommender.audio.changes import change_pitch, change_tempo, gain, high_pass, low_pass, through_codec
from recommender.errors import AudioError

RATE = 22050
Sine = Callable[..., np.ndarray]


def loudest_hz(waveform: np.ndarray, rate: int = RATE) -> float:
    middle = waveform[len(waveform) // 8 : -len(waveform) // 8]
    power = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    return float(power.argmax() * rate / len(middle))


def level_db(waveform: np.ndarray) -> float:
    middle = waveform[..., waveform.shape[-1] // 8 : -waveform.shape[-1] // 8]
    return float(20 * np.log10(np.sqrt(np.mean(np.square(middle))) + 1e-12))


def clicks(seconds: float, every_s: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    times = np.arange(round(seconds * RATE)) / RATE
    return (rng.normal(size=len(times)) * np.exp(-(times % every_s) / 0.01) * 0.3).astype(np.float32)


def beat_s(waveform: np.ndarray, about_s: float) -> float:
    """Measure over six beats: overlap-add moves single ones by some milliseconds."""
    envelope = np.abs(waveform)[: len(waveform) // 64 * 64].reshape(-1, 64).mean(axis=1)
    envelope = envelope - envelope.mean()
    likeness = np.fft.irfft(np.abs(np.fft.rfft(envelope, 2 * len(envelope))) ** 2)
    first, last = (round(beats * about_s * RATE / 64) for beats in (5.6, 6.4))
    return float((first + likeness[first:last].argmax()) * 64 / RATE / 6)


@pytest.mark.parametrize(("codec", "bit_rate"), [("libmp3lame", 64000), ("aac", 64000), ("libopus", 48000)])
@pytest.mark.parametrize("channels", [1, 2])
def test_codecs_keep_shape_level_and_pitch_but_not_every_sample(
    codec: str, bit_rate: int, channels: int, sine: Sine
) -> None:
    mono = (sine(440, 2, 44100) + sine(1500, 2, 44100, 0.1)).astype(np.float32)
    waveform = mono if channels == 1 else np.stack([mono, 0.5 * mono])
    decoded = through_codec(waveform, 44100, codec, bit_rate)
    assert decoded.shape == waveform.shape
    assert decoded.dtype == np.float32
    assert abs(level_db(decoded) - level_db(waveform)) < 0.5
    assert abs(loudest_hz(np.atleast_2d(decoded)[0], 44100) - 440) < 1
    assert np.abs(decoded - waveform).max() > 1e-4
    if channels == 2:
        assert level_db(decoded[0]) - level_db(decoded[1]) == pytest.approx(6, abs=0.5)


def test_the_delay_of_mp3_is_taken_off() -> None:
    waveform = clicks(2, 0.5)
    decoded = through_codec(waveform, RATE, "libmp3lame", 128000)
    likeness = np.correlate(decoded, waveform[4000:-4000], mode="valid")
    assert likeness.argmax() == 4000


def test_gain_moves_the_level_alone(sine: Sine) -> None:
    waveform = sine(440, 1, RATE).astype(np.float32)
    assert level_db(gain(waveform, -6)) - level_db(waveform) == pytest.approx(-6, abs=1e-4)
    np.testing.assert_allclose(gain(gain(waveform, 4), -4), waveform, atol=1e-6)


def test_filters_take_off_one_side_only(sine: Sine) -> None:
    low, high = sine(500, 1, RATE), sine(4000, 1, RATE)
    assert level_db(low_pass(low, RATE, 2000)) == pytest.approx(level_db(low), abs=0.1)
    assert level_db(low_pass(high, RATE, 2000)) < level_db(high) - 60
    assert level_db(high_pass(high, RATE, 2000)) == pytest.approx(level_db(high), abs=0.1)
    assert level_db(high_pass(low, RATE, 2000)) < level_db(low) - 60
    assert level_db(low_pass(sine(2000, 1, RATE), RATE, 2000)) == pytest.approx(level_db(low) - 6, abs=0.3)


@pytest.mark.parametrize("factor", [0.8, 0.96, 1.04, 1.25])
def test_tempo_changes_length_and_beat_but_no_pitch(factor: float, sine: Sine) -> None:
    tone = sine(440, 3, RATE).astype(np.float32)
    changed = change_tempo(tone, RATE, factor)
    assert len(changed) == round(len(tone) / factor)
    assert abs(loudest_hz(changed) - 440) < 2
    assert beat_s(change_tempo(clicks(8, 0.5), RATE, factor), 0.5 / factor) == pytest.approx(0.5 / factor, rel=0.01)
    assert level_db(changed) == pytest.approx(level_db(tone), abs=0.5)


@pytest.mark.parametrize("semitones", [-3, 1, 12])
def test_pitch_changes_frequency_but_no_length_or_beat(semitones: float, sine: Sine) -> None:
    tone = sine(440, 3, RATE).astype(np.float32)
    changed = change_pitch(tone, RATE, semitones)
    assert len(changed) == len(tone)
    assert loudest_hz(changed) == pytest.approx(440 * 2 ** (semitones / 12), rel=0.005)
    assert beat_s(change_pitch(clicks(8, 0.5), RATE, semitones), 0.5) == pytest.approx(0.5, rel=0.01)


def test_what_cannot_be_done_is_told() -> None:
    waveform = np.zeros(RATE, np.float32)
    with pytest.raises(AudioError, match="codec is 'flac', expected one of libmp3lame"):
        through_codec(waveform, RATE, "flac", 64000)
    with pytest.raises(AudioError, match="libmp3lame cannot encode 96000 Hz"):
        through_codec(waveform, 96000, "libmp3lame", 64000)
    with pytest.raises(AudioError, match="between 0 and 11025"):
        low_pass(waveform, RATE, 12000)
    with pytest.raises(AudioError, match=r"factor of 3, expected 0\.5 to 2"):
        change_tempo(waveform, RATE, 3)
    with pytest.raises(AudioError, match="13 semitones"):
        change_pitch(waveform, RATE, 13)
