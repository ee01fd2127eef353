import librosa
import numpy as np
import pytest
from scipy import signal

from recommender.synthetic import instruments
from recommender.synthetic.instruments import SAMPLE_RATE_HZ, Touch
from recommender.synthetic.music import draw_signature, plan_track, render
from recommender.synthetic.styles import MODES, STYLES

BY_NAME = {style.name: style for style in STYLES}


def sample(style, seed=5, length_s=12.0):
    rng = np.random.default_rng(seed)
    plan = plan_track(style, draw_signature(style, rng), length_s, 0.0, -16.0, rng)
    return plan, render(plan)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_a_track_can_be_heard_without_harm(style):
    _, sound = sample(style)
    assert sound.dtype == np.float32
    assert len(sound) == int(12.0 * SAMPLE_RATE_HZ)
    assert np.all(np.isfinite(sound))
    assert 0.3 < np.max(np.abs(sound)) < 1.0
    assert abs(sound.mean()) < 0.005
    rms_db = 20 * np.log10(np.sqrt(np.mean(sound**2)))
    assert -22 < rms_db < -8
    assert np.max(np.abs(sound[[0, -1]])) < 0.01, "a click at an end"
    seconds = np.sqrt(np.mean(sound[: 11 * SAMPLE_RATE_HZ].reshape(11, -1) ** 2, axis=1))
    assert seconds[1:].min() > 0.003, "a second of silence"


def test_the_same_plan_gives_the_same_samples_and_another_seed_others():
    style = BY_NAME["folk"]
    assert np.array_equal(sample(style)[1], sample(style)[1])
    assert not np.array_equal(sample(style)[1], sample(style, seed=6)[1])


@pytest.mark.parametrize("name", ["pluck", "piano", "electric_piano", "saw", "square", "strings", "organ", "pad"])
@pytest.mark.parametrize("pitch", [52, 69])
def test_an_instrument_plays_in_tune(name, pitch):
    rng = np.random.default_rng(0)
    sound = getattr(instruments, name)(pitch, 1.0, Touch(), rng)
    power = np.abs(np.fft.rfft(sound * signal.windows.hann(len(sound)), 1 << 17)) ** 2
    hz = np.fft.rfftfreq(1 << 17, 1 / SAMPLE_RATE_HZ)
    wanted = 440 * 2 ** ((pitch - 69) / 12)
    near = (hz > wanted * 0.85) & (hz < wanted * 1.18)
    cents = 1200 * np.log2(hz[near][np.argmax(power[near])] / wanted)
    assert abs(cents) < 25


@pytest.mark.parametrize("name", ["house", "chiptune", "metal"])
def test_the_beat_is_where_the_plan_says(name):
    plan, sound = sample(BY_NAME[name], length_s=20.0)
    onset = librosa.onset.onset_strength(y=sound, sr=SAMPLE_RATE_HZ, hop_length=256)
    frames_a_minute = 60 * SAMPLE_RATE_HZ / 256
    spectrum = np.abs(np.fft.rfft(onset - onset.mean(), 1 << 16))
    bpm = np.fft.rfftfreq(1 << 16) * frames_a_minute
    multiples = [np.abs(bpm / plan.tempo_bpm - factor) < 0.02 for factor in (1, 2, 4)]
    at_beat = max(spectrum[m].max() for m in multiples)
    elsewhere = spectrum[(np.abs(bpm / plan.tempo_bpm - 1.37) < 0.1)].max()
    assert at_beat > 2 * elsewhere


def test_notes_belong_to_the_key():
    plan, sound = sample(BY_NAME["piano ballad"], length_s=24.0)
    chroma = librosa.feature.chroma_cqt(y=sound, sr=SAMPLE_RATE_HZ).mean(axis=1)
    inside = [(plan.key + step) % 12 for step in MODES[plan.mode]]
    outside = [pitch for pitch in range(12) if pitch not in inside]
    assert chroma[inside].mean() > 1.5 * chroma[outside].mean()
