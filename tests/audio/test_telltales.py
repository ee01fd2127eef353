import wave
from pathlib import Path

import numpy as np
import pytest

from recommender.audio.changes import low_pass
from recommender.audio.telltales import FULL_HZ, TONE_EDGES_HZ, feature_table, read_telltales
from recommender.errors import AudioError


def noise(seed: int = 0, seconds: float = 6.0) -> np.ndarray:
    """Noise that gets quieter with the frequency, in bursts."""
    n = int(seconds * FULL_HZ)
    white = np.fft.rfft(np.random.default_rng(seed).normal(size=n))
    hz = np.fft.rfftfreq(n, 1 / FULL_HZ)
    music = np.fft.irfft(white / np.sqrt(1 + (hz / 3000) ** 2), n)
    return (0.05 * music * (1 + 0.8 * np.sin(2 * np.pi * 2 * np.arange(n) / FULL_HZ))).astype(np.float32)


def write(path: Path, waveform: np.ndarray, rate: int = FULL_HZ) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, len(waveform), "NONE", ""))
        file.writeframes((np.clip(waveform, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def test_music_without_tell_tales_has_none(tmp_path):
    found = read_telltales(write(tmp_path / "a.wav", noise()))
    assert (found.codec, found.sample_rate_hz, found.channels, found.bit_rate_k) == ("pcm_s16le", FULL_HZ, 1, 0)
    assert found.cutoff_hz == np.inf
    assert not found.tones_db.any()
    assert found.loudness_db == pytest.approx(20 * np.log10(np.sqrt((noise() ** 2).mean())), abs=1)


@pytest.mark.parametrize("level", [0.01, 0.004])
def test_a_tone_nobody_hears_is_found_in_its_band(tmp_path, level):
    tone = level * np.sin(2 * np.pi * 19000 * np.arange(6 * FULL_HZ) / FULL_HZ)
    found = read_telltales(write(tmp_path / "a.wav", noise() + tone)).tones_db
    band = int(np.searchsorted(TONE_EDGES_HZ, 19000, side="right")) - 1
    assert found.argmax() in (band - 1, band)
    assert found[band] > 5
    assert not np.delete(found, [band - 1, band, band + 1]).any()


def test_what_a_filter_took_off_is_found(tmp_path):
    found = read_telltales(write(tmp_path / "a.wav", low_pass(low_pass(noise(), FULL_HZ, 15000), FULL_HZ, 15000)))
    assert found.cutoff_hz == pytest.approx(15300, abs=800)


def test_the_limit_of_the_sample_rate_is_no_cut_off(tmp_path):
    found = read_telltales(write(tmp_path / "a.wav", noise()[::2], FULL_HZ // 2))
    assert found.cutoff_hz == np.inf
    assert found.sample_rate_hz == FULL_HZ // 2


def test_silence_is_refused(tmp_path):
    with pytest.raises(AudioError, match="silent or too short at full rate"):
        read_telltales(write(tmp_path / "a.wav", np.zeros(3 * FULL_HZ)))


def test_only_what_differs_becomes_a_feature(tmp_path):
    alike = [read_telltales(write(tmp_path / f"{n}.wav", noise(n))) for n in range(6)]
    assert set(feature_table(alike).kinds) == {"level"}
    others = [read_telltales(write(tmp_path / f"b{n}.wav", noise(n)[::2], FULL_HZ // 2)) for n in range(3)]
    table = feature_table([*alike, *others])
    assert "sample rate 22050" in table.names
    assert table.values[:, table.names.index("sample rate 22050")].tolist() == [0.0] * 6 + [1.0] * 3
