import numpy as np
import pytest

from recommender.synthetic import mixing
from recommender.synthetic.instruments import SAMPLE_RATE_HZ


def tone(hz, length_s=3.0, level=1.0):
    return (level * np.sin(2 * np.pi * hz * np.arange(int(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ)).astype(
        np.float32
    )


def click(n=SAMPLE_RATE_HZ):
    sound = np.zeros(n, dtype=np.float32)
    sound[0] = 1
    return sound


def test_loudness_of_the_tone_that_the_standard_names():
    """ITU-R BS.1770: a 997 Hz sine at full scale in one channel reads -3.01."""
    assert mixing.loudness_db(tone(997)) == pytest.approx(-3.01, abs=0.1)
    assert mixing.loudness_db(tone(997, level=0.1)) == pytest.approx(-23.01, abs=0.1)
    assert mixing.loudness_db(tone(30)) < -9
    assert mixing.loudness_db(np.zeros(1000, dtype=np.float32)) == -np.inf


def test_the_level_of_a_part_is_that_of_its_notes_and_not_of_its_rests():
    part = tone(997, 4.0)
    sparse = np.concatenate([part, np.zeros(20 * SAMPLE_RATE_HZ, dtype=np.float32)])
    assert mixing.level_of(sparse) == pytest.approx(mixing.level_of(part), rel=0.05)
    assert mixing.level_of(np.zeros_like(part)) == 0
    assert mixing.level_of(2 * part) == pytest.approx(2 * mixing.level_of(part), rel=1e-5)


def test_the_limiter_holds_the_ceiling_and_leaves_the_quiet_alone():
    quiet = tone(200, 1.0, 0.3)
    assert np.array_equal(mixing.limited(quiet), quiet)
    loud = np.concatenate([quiet, tone(200, 0.1, 2.5), quiet])
    assert np.abs(mixing.limited(loud)).max() <= mixing.CEILING + 1e-6
    far = slice(0, SAMPLE_RATE_HZ // 2)
    assert np.array_equal(mixing.limited(loud)[far], loud[far])


def test_the_master_has_the_wanted_loudness():
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.05, 4 * SAMPLE_RATE_HZ).astype(np.float32)
    for loudness in (-18.0, -14.0):
        assert mixing.loudness_db(mixing.master(sound, 0.0, loudness, 0.3)) == pytest.approx(loudness, abs=0.3)


def test_tilt_moves_treble_against_bass():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.05, 2 * SAMPLE_RATE_HZ).astype(np.float32)

    def treble(tilt_db):
        power = np.abs(np.fft.rfft(mixing.master(noise, tilt_db, -18.0, 0.0))) ** 2
        return 10 * np.log10(power[len(power) // 2 :].sum() / power[50 : len(power) // 40].sum())

    assert treble(4.0) - treble(-4.0) == pytest.approx(8.0, abs=2.0)


def test_an_echo_comes_when_it_is_due_and_dies_away():
    wet = mixing.echo(click(22_040), 0.25, 0.5)
    power = np.square(wet).reshape(20, -1).sum(axis=1)
    assert power[0] == 0
    assert np.argmax(power) == 5
    later = power[[5, 10, 15]]
    assert np.all(np.diff(later) < 0)
    assert later[2] > 0


def test_a_larger_room_rings_longer():
    def ring_s(size):
        wet = mixing.room(click(3 * SAMPLE_RATE_HZ), size, np.random.default_rng(0))
        left = 1 - np.cumsum(wet**2) / np.sum(wet**2)
        return np.argmax(left < 0.001) / SAMPLE_RATE_HZ

    assert ring_s(0.1) < ring_s(0.4) < ring_s(0.9) < 3


def test_a_part_gives_way_to_the_kick_and_comes_back():
    sound = np.ones(2 * SAMPLE_RATE_HZ, dtype=np.float32)
    ducked = mixing.ducked(sound, np.array([0.5, 1.0]), 0.6, 0.3)
    assert np.all(ducked[: SAMPLE_RATE_HZ // 3] == 1)
    assert ducked[int(0.51 * SAMPLE_RATE_HZ)] == pytest.approx(0.4, abs=0.03)
    assert ducked[int(0.9 * SAMPLE_RATE_HZ)] == 1
    assert np.abs(np.diff(ducked)).max() < 0.03, "no click where it goes down"


def test_a_closed_filter_takes_the_highs_and_an_open_one_nothing():
    sound = tone(100) + tone(4000)
    opened, closed = (mixing.opened(sound, np.full(len(sound), share, dtype=np.float32)) for share in (1, 0))
    assert np.allclose(opened, sound, atol=1e-5)
    spectrum = np.abs(np.fft.rfft(closed))
    assert spectrum[4000 * 3] < 0.05 * spectrum[100 * 3]


def test_an_amplifier_makes_notes_mix():
    """Two tones through a curve give their difference, which neither has alone."""
    fifth = mixing.amplifier(tone(220) + tone(330), 0.8)
    spectrum = np.abs(np.fft.rfft(fifth))
    assert spectrum[110 * 3] > 0.03 * spectrum.max()


def test_compression_brings_loud_and_quiet_together():
    sound = np.concatenate([tone(300, 2.0, 0.1), tone(300, 2.0, 0.8)])
    pressed = mixing.compressed(sound, 0.5)
    half = len(sound) // 2
    before, after = (s[half + 9000 :].std() / s[3000 : half - 3000].std() for s in (sound, pressed))
    assert after / before == pytest.approx(0.844, abs=0.02), "power .32 over a mean of .1625, to the power -1/4"
