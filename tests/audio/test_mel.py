import librosa
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchaudio.functional import melscale_fbanks, spectrogram

from recommender.audio.mel import (
    DB_FLOOR,
    MelConfig,
    band_centres_hz,
    dequantise,
    log_mel_spectrogram,
    quantise,
)
from recommender.errors import AudioError, ConfigError

GRID = [
    MelConfig(),
    MelConfig(sample_rate_hz=16000, n_fft=512, hop=160, n_mels=40, f_min_hz=0.0, f_max_hz=8000.0),
    MelConfig(sample_rate_hz=22050, n_fft=2048, hop=512, n_mels=128, f_min_hz=20.0, f_max_hz=11025.0),
    MelConfig(sample_rate_hz=44100, n_fft=4096, hop=1000, n_mels=128, f_min_hz=50.0, f_max_hz=16000.0),
    MelConfig(sample_rate_hz=8000, n_fft=300, hop=77, n_mels=20, f_min_hz=0.0, f_max_hz=3999.0),
]


def levels(waveform: np.ndarray, config: MelConfig) -> np.ndarray:
    return log_mel_spectrogram(np.asarray(waveform, dtype=np.float32), config)


def levels_by_torchaudio(waveforms: np.ndarray, config: MelConfig) -> np.ndarray:
    """The slow twin: one function a step, nothing shared with ours."""
    power = spectrogram(
        torch.from_numpy(waveforms),
        pad=0,
        window=torch.hann_window(config.n_fft, periodic=True),
        n_fft=config.n_fft,
        hop_length=config.hop,
        win_length=config.n_fft,
        power=2.0,
        normalized=False,
    )
    bands = melscale_fbanks(
        config.n_fft // 2 + 1, config.f_min_hz, config.f_max_hz, config.n_mels, config.sample_rate_hz, None, "slaney"
    )
    level = (bands.T @ power) / (config.n_fft / 4) ** 2
    return (10 * torch.log10(level.clamp(min=10 ** (DB_FLOOR / 10)))).numpy()


@pytest.mark.parametrize("config", GRID, ids=lambda c: f"{c.sample_rate_hz}-{c.n_fft}-{c.hop}-{c.n_mels}")
def test_equals_librosa_within_a_hundredth_of_a_db(config: MelConfig) -> None:
    rng = np.random.default_rng(1)
    seconds = np.arange(config.sample_rate_hz) / config.sample_rate_hz
    wave = (0.3 * np.sin(2 * np.pi * 440 * seconds) + 0.01 * rng.standard_normal(len(seconds))).astype(np.float32)
    power = librosa.feature.melspectrogram(
        y=wave,
        sr=config.sample_rate_hz,
        n_fft=config.n_fft,
        hop_length=config.hop,
        n_mels=config.n_mels,
        fmin=config.f_min_hz,
        fmax=config.f_max_hz,
        norm=None,
        pad_mode="reflect",
    )
    expected = 10 * np.log10(np.maximum(power / (config.n_fft / 4) ** 2, 10 ** (DB_FLOOR / 10)))
    found = levels(wave, config)
    assert found.shape == expected.shape == (config.n_mels, config.n_frames(len(wave)))
    assert np.abs(found - expected).max() < 0.01
    assert found.dtype == np.float32


@pytest.mark.parametrize("config", GRID, ids=lambda c: f"{c.sample_rate_hz}-{c.n_fft}-{c.hop}-{c.n_mels}")
@pytest.mark.parametrize("loudest", [1.0, 1e-3])
def test_equals_its_slow_twin(config: MelConfig, loudest: float) -> None:
    rng = np.random.default_rng(2)
    waves = (
        loudest * rng.standard_normal((3, config.sample_rate_hz)) * np.linspace(0, 1, config.sample_rate_hz)
    ).astype(np.float32)
    expected = levels_by_torchaudio(waves, config)
    found = levels(waves, config)
    assert found.shape == expected.shape
    heard = expected > DB_FLOOR + 20
    assert heard.any()
    assert np.abs(found - expected)[heard].max() < 0.01
    assert np.abs(quantise(found).astype(int) - quantise(expected)).max() <= 1


@pytest.mark.parametrize("hz", [60.0, 220.0, 440.0, 997.0, 2500.0, 6000.0, 10500.0])
def test_a_sine_peaks_in_the_band_nearest_to_it_at_its_own_level(hz: float) -> None:
    config = MelConfig()
    time_s = np.arange(22050) / 22050
    found = levels(np.sin(2 * np.pi * hz * time_s), config)[:, 5:-5].mean(axis=1)
    centres = librosa.mel_frequencies(n_mels=98, fmin=30.0, fmax=11025.0)[1:-1]
    nearest = np.argsort(np.abs(centres - hz))[:2]
    assert found.argmax() in nearest
    assert -7 < found.max() < 2.5
    quieter = levels(0.1 * np.sin(2 * np.pi * hz * time_s), config)[:, 5:-5].mean(axis=1)
    assert quieter.max() == pytest.approx(found.max() - 20, abs=0.01)


def test_band_centres_are_those_of_librosa() -> None:
    for config in GRID:
        expected = librosa.mel_frequencies(n_mels=config.n_mels + 2, fmin=config.f_min_hz, fmax=config.f_max_hz)[1:-1]
        np.testing.assert_allclose(band_centres_hz(config), expected, rtol=1e-9)


def test_silence_is_finite_and_at_the_floor() -> None:
    assert np.all(levels(np.zeros(22050), MelConfig()) == DB_FLOOR)


def test_a_batch_equals_its_parts() -> None:
    waves = np.random.default_rng(0).standard_normal((2, 3, 4000)).astype(np.float32)
    together = levels(waves, MelConfig())
    assert together.shape == (2, 3, 96, 8)
    np.testing.assert_allclose(together[1, 2], levels(waves[1, 2], MelConfig()), atol=1e-4)


def test_what_cannot_be_computed_is_refused() -> None:
    with pytest.raises(AudioError, match="512 samples, expected more than 512"):
        levels(np.zeros(512), MelConfig())
    with pytest.raises(ConfigError, match="of 400 mel bands hold no FFT bin"):
        MelConfig(n_mels=400)
    with pytest.raises(ConfigError, match="hop is 0"):
        MelConfig(hop=0)
    with pytest.raises(ConfigError, match=r"11025\.0 Hz, half the sample rate"):
        MelConfig(f_max_hz=12000.0)
    with pytest.raises(ConfigError, match="bands from 500"):
        MelConfig(f_min_hz=500.0, f_max_hz=400.0)


@given(st.lists(st.floats(-100.0, 27.5, width=32), min_size=1))
def test_stored_levels_are_off_by_a_quarter_of_a_db_at_most(values: list[float]) -> None:
    level_db = np.array(values, dtype=np.float32)
    assert np.abs(dequantise(quantise(level_db)) - level_db).max() <= 0.25 + 1e-5
