import numpy as np
import pytest
from scipy import signal

from recommender.synthetic import instruments
from recommender.synthetic.instruments import SAMPLE_RATE_HZ, Touch, frequency_hz
from recommender.synthetic.styles import STYLES

PITCHED = sorted(
    {i for s in STYLES for part in (s.chords, s.bass, s.lead, s.layer) for i in part}, key=lambda i: i.__name__
)
PIECES = ("kick", "snare", "hat", "open_hat", "crash")
HITS = sorted({hit for s in STYLES for piece in PIECES if (hit := getattr(s.kit, piece))}, key=lambda h: h.__name__)


def cents_off(sound, wanted_hz):
    size = 1 << 18
    power = np.abs(np.fft.rfft(sound * signal.windows.hann(len(sound)), size))
    hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ)
    near = np.flatnonzero((hz > wanted_hz * 0.94) & (hz < wanted_hz * 1.06))
    return 1200 * np.log2(hz[near[np.argmax(power[near])]] / wanted_hz)


@pytest.mark.parametrize("instrument", PITCHED, ids=lambda i: i.__name__)
@pytest.mark.parametrize("pitch", [43, 69, 80])
def test_an_instrument_plays_in_tune(instrument, pitch):
    sound = instrument(pitch, 1.2, Touch(detune=0.0005), np.random.default_rng(0))
    assert abs(cents_off(sound, frequency_hz(pitch))) < 8


@pytest.mark.parametrize("brightness", [0.0, 0.5, 1.0])
def test_a_string_is_tuned_finer_than_a_sample(brightness):
    """At 1047 Hz a period is 21 samples: a loop of whole samples would be up to 41 cents off."""
    sound = instruments.pluck(84, 0.8, Touch(brightness), np.random.default_rng(1))
    assert abs(cents_off(sound, frequency_hz(84))) < 6


@pytest.mark.parametrize("instrument", PITCHED, ids=lambda i: i.__name__)
@pytest.mark.parametrize("length_s", [0.05, 0.4, 2.5])
def test_a_note_neither_clicks_nor_bursts(instrument, length_s):
    for pitch in (40, 64, 88):
        sound = instrument(pitch, length_s, Touch(0.8), np.random.default_rng(0))
        assert sound.dtype == np.float32
        assert np.all(np.isfinite(sound))
        assert sound[0] == sound[-1] == 0
        assert len(sound) >= length_s * SAMPLE_RATE_HZ * 0.95
        assert 0.05 < np.abs(sound).max() < 4


@pytest.mark.parametrize("hit", HITS, ids=lambda h: h.__name__)
def test_a_stroke_neither_clicks_nor_bursts(hit):
    for brightness in (0.0, 1.0):
        sound = hit(brightness, np.random.default_rng(0))
        assert sound.dtype == np.float32
        assert sound[0] == sound[-1] == 0
        assert 0.05 < np.abs(sound).max() < 3


@pytest.mark.parametrize("name", ["pluck", "piano", "saw", "strings", "reed", "electric_piano"])
def test_a_brighter_touch_sounds_brighter(name):
    def centre_hz(brightness):
        sound = getattr(instruments, name)(57, 1.0, Touch(brightness), np.random.default_rng(0))
        power = np.abs(np.fft.rfft(sound)) ** 2
        return np.sum(np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE_HZ) * power) / power.sum()

    assert centre_hz(0.9) > 1.1 * centre_hz(0.1)


def test_voices_fold_no_harmonics_back():
    """A saw at 3 kHz has three harmonics below 11 kHz; anything between them would be an alias."""
    sound = instruments.saw(102, 1.0, Touch(1.0, 0.0), np.random.default_rng(0))
    power = np.abs(np.fft.rfft(sound * signal.windows.blackman(len(sound)))) ** 2
    hz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE_HZ)
    harmonic = np.abs(hz / frequency_hz(102) - np.rint(hz / frequency_hz(102))) < 0.05
    assert power[~harmonic & (hz > 500)].sum() < 1e-4 * power.sum()
