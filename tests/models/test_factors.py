from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recommender.data.storage import save_arrays
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ArtifactError, ConfigError, DataError, VersionError
from recommender.models.factors import AlsConfig, Factors, load_factors, save_factors


@pytest.fixture
def factors() -> Factors:
    rng = np.random.default_rng(0)
    return Factors(
        Vocabulary("user", ("ünï", "b\nc", '"')),
        Vocabulary("track", ("t1", "t2")),
        rng.normal(size=(3, 4)).astype(np.float32),
        rng.normal(size=(2, 4)).astype(np.float32),
        AlsConfig(factors=4, regularization=0.07, seed=9),
    )


def test_saved_factors_come_back_whole(factors: Factors, tmp_path: Path) -> None:
    save_factors(tmp_path / "factors.safetensors", factors, "v1")
    back = load_factors(tmp_path / "factors.safetensors", "v1")
    assert back.users == factors.users
    assert back.tracks == factors.tracks
    assert back.config == factors.config
    assert back.dim == 4
    np.testing.assert_array_equal(back.user_factors, factors.user_factors)
    np.testing.assert_array_equal(back.track_factors, factors.track_factors)


def test_another_version_is_refused(factors: Factors, tmp_path: Path) -> None:
    save_factors(tmp_path / "f", factors, "v1")
    with pytest.raises(VersionError, match="'v1', expected 'v2'"):
        load_factors(tmp_path / "f", "v2")


def test_another_content_is_refused(tmp_path: Path) -> None:
    save_arrays(tmp_path / "f", "factors", "v1", {"user_factors": np.zeros((1, 2), np.float32)}, {"config": {}})
    with pytest.raises(ArtifactError, match="is damaged"):
        load_factors(tmp_path / "f", "v1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("factors", 0),
        ("iterations", 0),
        ("unobserved_weight", 0.0),
        ("regularization", -1.0),
        ("regularization", float("nan")),
        ("frequency_exponent", 1.5),
        ("seed", -1),
        ("cg_steps", -1),
    ],
)
def test_settings_that_cannot_be_used_are_named(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} is {value}"):
        replace(AlsConfig(), **{name: value})


def test_factors_of_the_wrong_shape_or_value(factors: Factors) -> None:
    with pytest.raises(DataError, match=r"user factors have shape \(2, 4\), expected \(3, 4\)"):
        replace(factors, user_factors=factors.user_factors[:2])
    with pytest.raises(DataError, match="track factors hold NaN"):
        replace(factors, track_factors=factors.track_factors * np.nan)
