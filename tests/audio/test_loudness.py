import numpy as np
import pytest

from recommender.audio.loudness import QUIETEST_LUFS, block_powers, integrated_lufs, ungated_lufs


def sine(hz: float, amplitude: float, seconds: float, rate_hz: int) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate_hz)) / rate_hz)).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [22050, 44100, 48000])
@pytest.mark.parametrize("amplitude_db", [0.0, -23.0])
def test_a_sine_of_1_khz_reads_3_below_its_level(rate_hz: int, amplitude_db: float) -> None:
    """BS.1770-4: a 997 Hz sine of full scale in one channel reads -3.01."""
    sound = sine(997.0, 10 ** (amplitude_db / 20), 5.0, rate_hz)
    assert integrated_lufs([block_powers(sound, rate_hz)]) == pytest.approx(amplitude_db - 3.01, abs=0.05)
    assert ungated_lufs(sound, rate_hz) == pytest.approx(amplitude_db - 3.01, abs=0.05)


def test_the_bass_counts_less_and_the_treble_more() -> None:
    middle, low, high = (ungated_lufs(sine(hz, 0.5, 3.0, 22050), 22050) for hz in (997.0, 40.0, 5000.0))
    assert low < middle - 3
    assert 2.5 < high - middle < 4


def test_pauses_do_not_count() -> None:
    loud, quiet = sine(997.0, 0.1, 10.0, 22050), sine(997.0, 0.1 * 10 ** (-30 / 20), 10.0, 22050)
    alone = integrated_lufs([block_powers(loud, 22050)])
    with_pause = integrated_lufs([block_powers(np.concatenate([loud, 0 * loud, quiet]), 22050)])
    assert with_pause == pytest.approx(alone, abs=0.1)
    assert ungated_lufs(np.concatenate([loud, 0 * loud]), 22050) == pytest.approx(alone - 3.01, abs=0.05)


def test_silence_reads_the_quietest() -> None:
    assert integrated_lufs([block_powers(np.zeros(22050, np.float32), 22050)]) == QUIETEST_LUFS
    assert integrated_lufs([block_powers(np.zeros(100, np.float32), 22050)]) == QUIETEST_LUFS
    assert ungated_lufs(np.zeros(22050, np.float32), 22050) == -np.inf
