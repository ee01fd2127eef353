import numpy as np
import pytest
import torch

from recommender.audio.augment import AugmentConfig, augment
from recommender.audio.mel import DB_FLOOR, MelConfig, band_centres_hz
from recommender.errors import ConfigError

NOTHING = {"gain_db": 0.0, "tilt_db": 0.0, "band_limit_share": 0.0, "time_mask": 0.0, "band_mask": 0.0}
MEL = MelConfig(n_mels=24)


def clips(n: int = 50) -> torch.Tensor:
    return torch.rand((n, 24, 40), generator=torch.Generator().manual_seed(9)) * 30 - 60


def changed(seed: int = 0, **settings: float) -> np.ndarray:
    config = AugmentConfig(**{**NOTHING, **settings})
    return augment(clips(), config, MEL, torch.Generator().manual_seed(seed)).numpy()


def test_nothing_asked_for_changes_nothing() -> None:
    np.testing.assert_array_equal(changed(), clips().numpy())


def test_gain_is_one_number_a_clip_within_its_bound() -> None:
    gain = changed(gain_db=6.0) - clips().numpy()
    assert np.ptp(gain, axis=(1, 2)).max() < 1e-4
    assert np.abs(gain).max() <= 6.0
    assert gain[:, 0, 0].min() < -4
    assert gain[:, 0, 0].max() > 4


def test_tilt_turns_about_the_middle_band() -> None:
    tilt = (changed(tilt_db=4.0) - clips().numpy()).mean(axis=2)
    np.testing.assert_allclose(tilt[:, 0], -tilt[:, -1], atol=1e-4)
    np.testing.assert_allclose(np.diff(tilt, axis=1), (tilt[:, -1:] - tilt[:, :1]) / 23 * np.ones((1, 23)), atol=1e-4)
    assert 3 < np.abs(tilt).max() <= 4


def test_band_limits_take_only_what_lies_outside() -> None:
    hz = band_centres_hz(MEL)
    lost = (changed(band_limit_share=1.0, low_pass_hz=4000.0, high_pass_hz=300.0) == DB_FLOOR).all(axis=2)
    assert not lost[:, (hz >= 300) & (hz <= 4000)].any()
    assert 0.6 < lost[:, -1].mean() < 0.95
    assert 0.5 < lost[:, 0].mean() < 1
    assert 0.1 < (changed(band_limit_share=0.3) == DB_FLOOR).any(axis=(1, 2)).mean() < 0.7


def test_masks_are_one_stretch_of_the_mean_level() -> None:
    before = clips().numpy()
    masked = changed(time_mask=0.25) != before
    assert (masked.all(axis=1) == masked.any(axis=1)).all()
    frames = masked.all(axis=1)
    assert (np.abs(np.diff(frames.astype(int), axis=1)).sum(axis=1) <= 2).all()
    assert frames.sum(axis=1).max() == 10
    row = int(frames.sum(axis=1).argmax())
    np.testing.assert_allclose(changed(time_mask=0.25)[row, :, frames[row]], before[row].mean(), atol=1e-3)
    bands = (changed(band_mask=0.5) != before).all(axis=2)
    assert bands.sum(axis=1).max() == 12


def test_same_generator_same_result_and_no_setting_moves_another() -> None:
    np.testing.assert_array_equal(changed(seed=3, gain_db=6.0, tilt_db=3.0), changed(seed=3, gain_db=6.0, tilt_db=3.0))
    assert (changed(seed=3, gain_db=6.0) != changed(seed=4, gain_db=6.0)).any()
    both = changed(seed=3, gain_db=6.0, tilt_db=3.0) - clips().numpy()
    apart = changed(seed=3, gain_db=6.0) + changed(seed=3, tilt_db=3.0) - 2 * clips().numpy()
    np.testing.assert_allclose(both, apart, atol=1e-4)


def test_input_stays_and_the_floor_holds() -> None:
    quiet = torch.full((5, 24, 40), DB_FLOOR + 1)
    before = quiet.clone()
    found = augment(quiet, AugmentConfig(), MEL, torch.Generator().manual_seed(0))
    assert found.min() >= DB_FLOOR
    assert torch.equal(quiet, before)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"time_mask is 1\.5, expected 0 to 1"):
        AugmentConfig(time_mask=1.5)
    with pytest.raises(ConfigError, match="gain_db is -1"):
        AugmentConfig(gain_db=-1.0)
    with pytest.raises(ConfigError, match="24 bands, expected 96"):
        augment(clips(), AugmentConfig(), MelConfig(), torch.Generator())
