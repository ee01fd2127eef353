import librosa
import numpy as np
import pytest

from recommender.synthetic import mixing
from recommender.synthetic.instruments import SAMPLE_RATE_HZ
from recommender.synthetic.music import render
from recommender.synthetic.plans import draw_signature, plan_track
from recommender.synthetic.styles import MODES, STYLES

BY_NAME = {style.name: style for style in STYLES}


def sample(style, seed=5, longest_s=12.0):
    rng = np.random.default_rng(seed)
    plan = plan_track(style, draw_signature(style, rng), longest_s, 0.0, -16.0, rng)
    return plan, render(plan)


@pytest.mark.parametrize("seed", [5, 11])
@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_a_track_can_be_heard_without_harm(style, seed):
    plan, sound = sample(style, seed)
    assert sound.dtype == np.float32
    assert len(sound) == int(plan.length_s * SAMPLE_RATE_HZ)
    assert np.all(np.isfinite(sound))
    assert 0.3 < np.max(np.abs(sound)) <= mixing.CEILING + 1e-6
    assert abs(sound.mean()) < 0.001
    assert mixing.loudness_db(sound) == pytest.approx(-16.0, abs=1.0)
    assert np.max(np.abs(sound[[0, -1]])) == 0, "a click at an end"
    halves = sound[: int((plan.length_s - 1.5) * 2) * (SAMPLE_RATE_HZ // 2)].reshape(-1, SAMPLE_RATE_HZ // 2)
    assert np.sqrt(np.mean(halves**2, axis=1)).min() > 0.002, "a gap"


def test_the_same_plan_gives_the_same_samples_and_another_seed_others():
    style = BY_NAME["folk"]
    assert np.array_equal(sample(style)[1], sample(style)[1])
    assert not np.array_equal(sample(style)[1], sample(style, seed=6)[1])


def test_the_shortest_track_is_one_bar():
    plan, sound = sample(BY_NAME["ambient"], longest_s=1.0)
    assert plan.bars == 1
    assert len(sound) == int(plan.length_s * SAMPLE_RATE_HZ)


@pytest.mark.parametrize(
    "name", ["house", "drum and bass", "folk", "jazz trio", "chiptune", "synthwave", "metal", "bossa"]
)
def test_the_tempo_that_is_heard_is_the_one_of_the_plan(name):
    """By the autocorrelation of onsets; half, double and the like are the same beat."""
    plan, sound = sample(BY_NAME[name], seed=4, longest_s=24.0)
    hop = 256
    onset = librosa.onset.onset_strength(y=sound, sr=SAMPLE_RATE_HZ, hop_length=hop)
    onset = onset - onset.mean()
    similarity = np.correlate(onset, onset, "full")[len(onset) - 1 :]
    similarity /= similarity[0]
    beat = 60 / plan.tempo_bpm * SAMPLE_RATE_HZ / hop

    def at(lag):
        return similarity[round(lag) - 2 : round(lag) + 3].max()

    on_beat = max(at(2 * beat), at(4 * beat))
    off_beat = np.mean([at(factor * beat) for factor in (1.38, 1.62, 2.38, 3.38)])
    assert on_beat > 0.2
    assert on_beat > 2 * off_beat


@pytest.mark.parametrize("name", ["piano ballad", "folk", "orchestral", "ambient", "bossa"])
def test_what_is_heard_belongs_to_the_key(name):
    plan, sound = sample(BY_NAME[name], longest_s=20.0)
    chroma = librosa.feature.chroma_stft(y=sound, sr=SAMPLE_RATE_HZ, n_fft=8192).mean(axis=1)
    inside = [(plan.key + step) % 12 for step in MODES[plan.mode]]
    outside = [pitch for pitch in range(12) if pitch not in inside]
    assert chroma[inside].mean() > 1.6 * chroma[outside].mean()


def test_styles_differ_to_the_ear():
    """The nearest other track by log-mel statistics, of another artist, is mostly of the same style."""
    seen, labels = [], []
    for style in STYLES:
        for seed in (21, 22, 23):
            _, sound = sample(style, seed, 6.0)
            mel = librosa.power_to_db(librosa.feature.melspectrogram(y=sound, sr=SAMPLE_RATE_HZ, n_mels=40))
            seen.append(np.r_[mel.mean(axis=1), mel.std(axis=1), np.diff(mel, axis=1).std(axis=1)])
            labels.append(style.name)
    features = (np.array(seen) - np.mean(seen, axis=0)) / np.std(seen, axis=0)
    distance = np.square(features[:, None] - features[None]).sum(axis=-1)
    np.fill_diagonal(distance, np.inf)
    nearest = np.array(labels)[distance.argmin(axis=1)]
    assert 0.5 < np.mean(nearest == labels) <= 1, "chance is 6 %"
