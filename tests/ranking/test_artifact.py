import numpy as np
import pytest

from recommender.data.storage import load_arrays, save_arrays
from recommender.errors import ArtifactError, VersionError
from recommender.ranking.artifact import KIND, load_hybrid, save_hybrid


def test_everything_comes_back(model, tmp_path):
    path = tmp_path / "model.safetensors"
    save_hybrid(path, model, "v1")
    loaded = load_hybrid(path, None)
    assert loaded.users == model.users
    assert loaded.catalog.tracks == model.catalog.tracks
    assert loaded.catalog.table.equals(model.catalog.table)
    assert (loaded.blend, loaded.posterior, loaded.config) == (model.blend, model.posterior, model.config)
    assert loaded.factors.config == model.factors.config
    for name in ("evidence", "posterior_factors", "prior_means", "track_index"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name))
    for name in ("plays", "heard"):
        assert (getattr(loaded, name) != getattr(model, name)).nnz == 0
    assert (loaded.prior is None) == (model.prior is None)
    assert (loaded.sound is None) == (model.sound is None)


def test_another_version_is_refused_by_both_names(hybrid, tmp_path):
    save_hybrid(tmp_path / "model.safetensors", hybrid, "2024-01")
    with pytest.raises(VersionError, match=r"'2024-01', expected '2024-02'"):
        load_hybrid(tmp_path / "model.safetensors", "2024-02")


def test_a_missing_file_and_a_cut_one_are_named(hybrid, tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(ArtifactError, match="is missing"):
        load_hybrid(path, None)
    save_hybrid(path, hybrid, "v1")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArtifactError, match="is damaged"):
        load_hybrid(path, None)


def test_a_file_of_which_something_is_gone_is_named(hybrid, tmp_path):
    path = tmp_path / "model.safetensors"
    save_hybrid(path, hybrid, "v1")
    arrays, metadata = load_arrays(path, KIND, "v1")
    del arrays["evidence"]
    save_arrays(path, KIND, "v1", arrays, metadata)
    with pytest.raises(ArtifactError, match=r"damaged one.*train again"):
        load_hybrid(path, "v1")
