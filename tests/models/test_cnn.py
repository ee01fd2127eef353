import numpy as np
import pytest
import torch

from recommender.audio.mel import MelConfig
from recommender.errors import ConfigError, ModelError
from recommender.models.cnn import MIN_FRAMES, CnnConfig, SpectrogramCNN, set_level

SMALL = CnnConfig(mel=MelConfig(n_mels=24), dim=8, pitch_channels=3, channels=12, events=12)


@pytest.fixture
def model() -> SpectrogramCNN:
    torch.manual_seed(0)
    return SpectrogramCNN(SMALL).eval()


def spectrograms(n: int, frames: int, n_mels: int = 24) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, n_mels, frames, generator=generator) * 8 - 40


def test_vectors_are_unit_vectors_of_the_configured_length(model):
    vectors = model(spectrograms(5, 40))
    assert vectors.shape == (5, 8)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(5))


def test_a_batch_gives_what_each_clip_gives_alone(model):
    mels = spectrograms(5, 40)
    alone = torch.cat([model(mel[None]) for mel in mels])
    torch.testing.assert_close(model(mels), alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("frames", [MIN_FRAMES, MIN_FRAMES + 1, 33, 431])
def test_any_number_of_frames_is_heard(model, frames):
    assert torch.isfinite(model(spectrograms(2, frames))).all()


def test_a_longer_stretch_of_the_same_repeating_sound_gives_nearly_the_same_vector(model):
    period = spectrograms(1, 16)
    short, long = model(period.repeat(1, 1, 10)), model(period.repeat(1, 1, 40))
    other = model(period.flip(1).cumsum(2).repeat(1, 1, 10))
    assert (short - long).norm() < 0.1 * (short - other).norm()


@pytest.mark.parametrize("gain_db", [-24.0, 6.0, 30.0])
def test_gain_is_not_heard(model, gain_db):
    mels = spectrograms(3, 40)
    torch.testing.assert_close(model(mels + gain_db), model(mels), rtol=0, atol=1e-4)


def test_silence_and_extremes_are_finite(model):
    for level in (-100.0, 0.0, 27.5):
        assert torch.isfinite(model(torch.full((1, 24, 30), level))).all()


@pytest.mark.parametrize("shape", [(2, 23, 40), (2, 24, MIN_FRAMES - 1), (24, 40)])
def test_a_shape_that_it_was_not_made_for_is_refused(model, shape):
    with pytest.raises(ModelError, match=r"hears \(batch, 24, at least 8\).*analyse"):
        model(torch.zeros(shape))


def test_level_worked_by_hand():
    # Powers 1 and 3 in one clip: mean power 2, that is 3.0103 dB.
    mels = torch.tensor([[[0.0, 4.771213]]])
    expected = np.array([0.0, 4.771213]) - 3.0103
    np.testing.assert_allclose(set_level(mels, 40.0)[0, 0].numpy(), expected, atol=1e-5)


def test_what_is_far_below_the_level_is_not_heard():
    loud_and_quiet = torch.tensor([[[0.0, -200.0]]])
    almost_silent = torch.tensor([[[0.0, -90.0]]])
    torch.testing.assert_close(set_level(loud_and_quiet, 60.0), set_level(almost_silent, 60.0), rtol=0, atol=1e-5)
    assert set_level(loud_and_quiet, 60.0)[0, 0, 1] == -60


@pytest.mark.parametrize("name", ["dim", "pitch_channels", "channels", "events", "dynamic_range_db"])
def test_a_config_that_cannot_be_is_refused(name):
    with pytest.raises(ConfigError, match=f"cnn {name} is 0"):
        CnnConfig(**{name: 0})
