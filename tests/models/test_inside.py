import numpy as np
import pytest
import torch

from recommender.audio.mel import quantise
from recommender.errors import DataError
from recommender.models.cnn import SpectrogramCNN
from recommender.models.cnn_config import CnnConfig
from recommender.models.crops import decibels
from recommender.models.inside import layer_signals, match_map, what_excites

CONFIG = CnnConfig(dim=16, pitch_channels=4, channels=16, events=8)


@pytest.fixture(scope="module")
def hearing():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SpectrogramCNN(CONFIG).eval()


@pytest.fixture(scope="module")
def mels():
    noise = np.random.default_rng(0).normal(-60, 6, (5, CONFIG.mel.n_mels, 200))
    return quantise(noise.astype(np.float32))


def test_signals_are_those_that_are_pooled(hearing, mels):
    signals = layer_signals(hearing, mels[2])
    assert list(signals) == ["level", "pitch", "patterns 1", "patterns 2", "patterns 3", "events"]
    with torch.no_grad():
        pooled = hearing.pool_events(decibels(torch.from_numpy(mels[2:3])))[0].numpy()
    events = signals["events"][:, 0]
    assert np.allclose(pooled[:8], events.mean(axis=1), atol=1e-5)
    assert np.allclose(pooled[8:16], events.max(axis=1), atol=1e-5)
    assert signals["level"].shape == (1, CONFIG.mel.n_mels, 200)


def test_the_moment_that_excites_a_unit_is_where_it_answers_most(hearing, mels):
    found = what_excites(hearing, mels, unit=3, top=2)
    answers = np.stack([layer_signals(hearing, mel)["events"][3, 0] for mel in mels])
    order = np.argsort(-answers.max(axis=1))[:2]
    assert found.clip_rows.tolist() == order.tolist()
    assert np.allclose(found.values, answers.max(axis=1)[order], atol=1e-5)
    step = 200 / answers.shape[1]
    assert np.all(np.abs(found.frames - answers[order].argmax(axis=1) * step) <= step)
    with pytest.raises(DataError, match="no event unit 8; this network has 0 to 7"):
        what_excites(hearing, mels, unit=8)


def test_hiding_the_one_thing_that_two_clips_share_costs_most(hearing):
    rng = np.random.default_rng(1)
    first, second = rng.normal(-70, 3, (2, CONFIG.mel.n_mels, 192)).astype(np.float32)
    for clip in (first, second):
        clip[60:72, 96:120] = -10
    likeness, lost = match_map(hearing, quantise(first), quantise(second), patch=(12, 24))
    assert np.unravel_index(lost.argmax(), lost.shape) == (5, 4)
    hidden = first.copy()
    hidden[60:72, 96:120] = decibels(torch.from_numpy(quantise(first))).numpy()[60:72].mean(axis=1, keepdims=True)
    with torch.no_grad():
        pair = [hearing(decibels(torch.from_numpy(quantise(clip)[None])))[0] for clip in (hidden, second)]
    assert lost[5, 4] == pytest.approx(likeness - float(pair[0] @ pair[1]), abs=0.02)
