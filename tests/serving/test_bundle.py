"""A bundle is whole, of one version, and says what is wrong when it is not."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender.data.storage import load_arrays, save_arrays
from recommender.errors import ArtifactError, ConfigError, VersionError
from recommender.serving.app import app_from_environment, create_app
from recommender.serving.bundle import (
    CNN_FILE,
    EARS_FILE,
    HYBRID_FILE,
    SIGNATURES_FILE,
    bundle_ears,
    current_bundle,
    list_bundles,
    load_bundle,
    use_bundle,
    write_bundle,
)
from recommender.serving.settings import SETTINGS_VARIABLE, Settings


@pytest.fixture
def bundles(world: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(world.bundles, tmp_path / "bundles"))


def test_what_was_written_is_read(bundles: Path) -> None:
    bundle = load_bundle(bundles / "with-ears")
    manifest = bundle.manifest
    assert (manifest.version, manifest.format, manifest.metrics) == ("with-ears", 2, {"ndcg": 0.5})
    assert [artifact.file for artifact in manifest.artifacts] == [CNN_FILE, EARS_FILE, HYBRID_FILE, SIGNATURES_FILE]
    assert bundle.cnn_path == bundles / "with-ears" / CNN_FILE
    assert bundle.model.sound is not None
    assert bundle.cnn_version == bundle.model.sound.version
    assert bundle.signatures is not None
    assert bundle.signatures.known.tolist() == bundle.model.has_vector.tolist()
    assert load_bundle(bundles / "no-ears").cnn_path is None
    assert load_bundle(bundles / "no-ears").signatures is None
    assert {manifest.version for manifest in list_bundles(bundles)} == {"no-ears", "with-ears"}
    assert manifest.packages["numpy"] == np.__version__


def test_nothing_is_pickled(bundles: Path) -> None:
    assert {path.suffix for path in (bundles / "with-ears").iterdir()} == {".json", ".onnx", ".safetensors"}


def test_a_bundle_is_not_written_over(bundles: Path) -> None:
    model = load_bundle(bundles / "no-ears").model
    with pytest.raises(ArtifactError, match="exists; a bundle is never written over"):
        write_bundle(bundles / "no-ears", model, None, config={}, data_digest="", metrics={})


def test_a_failed_write_leaves_nothing(bundles: Path) -> None:
    model = load_bundle(bundles / "no-ears").model
    with pytest.raises(TypeError):
        write_bundle(bundles / "broken", model, None, config={"x": object()}, data_digest="", metrics={})
    assert sorted(path.name for path in bundles.iterdir()) == ["current", "no-ears", "with-ears"]


def test_artifacts_of_two_bundles_cannot_be_mixed(bundles: Path) -> None:
    shutil.copy(bundles / "no-ears" / HYBRID_FILE, bundles / "with-ears" / HYBRID_FILE)
    with pytest.raises(VersionError, match=r"of version 'no-ears', bundle 'with-ears' needs 'with-ears'"):
        load_bundle(bundles / "with-ears")


def test_another_audio_model_is_refused_even_where_the_manifest_agrees(bundles: Path) -> None:
    path = bundles / "with-ears" / CNN_FILE
    version = load_bundle(bundles / "with-ears").cnn_version
    arrays, metadata = load_arrays(path, "cnn", None)
    save_arrays(path, "cnn", "cnn-other", arrays, metadata)
    with pytest.raises(VersionError, match=rf"'cnn-other', bundle 'with-ears' needs '{version}'"):
        load_bundle(bundles / "with-ears")
    model = load_bundle(bundles / "no-ears").model
    assert model.sound is None


def test_ears_of_another_network_or_damaged_ones_are_refused(bundles: Path) -> None:
    import onnx

    path = bundles / "with-ears" / EARS_FILE
    whole = path.read_bytes()
    ears = bundle_ears(bundles / "with-ears")
    assert ears is not None
    assert ears.version == load_bundle(bundles / "with-ears").cnn_version
    assert bundle_ears(bundles / "no-ears") is None
    for load in (load_bundle, bundle_ears):
        other = onnx.load_from_string(whole)
        next(told for told in other.metadata_props if told.value == ears.version).value = "cnn-other"
        path.write_bytes(other.SerializeToString())
        with pytest.raises(VersionError, match=rf"'cnn-other', bundle 'with-ears' needs '{ears.version}'"):
            load(bundles / "with-ears")
        for damaged in (whole[:1000], whole.replace(b"firstlisten", b"firstlistex", 1)):
            path.write_bytes(damaged)
            with pytest.raises(ArtifactError, match=r"hearing\.onnx is damaged"):
                load(bundles / "with-ears")


def test_a_damaged_file_is_named(bundles: Path) -> None:
    path = bundles / "with-ears" / HYBRID_FILE
    content = bytearray(path.read_bytes())
    content[-5] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"hybrid.safetensors is damaged: its \d+ bytes have digest"):
        load_bundle(bundles / "with-ears")
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactError, match=r"hybrid\.safetensors is damaged"):
        load_bundle(bundles / "with-ears")
    path.unlink()
    with pytest.raises(ArtifactError, match=r"hybrid\.safetensors is missing"):
        load_bundle(bundles / "with-ears")


def edit(bundle: Path, **changes: object) -> None:
    path = bundle / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_unknown_format_names_both(bundles: Path) -> None:
    edit(bundles / "with-ears", format=99)
    with pytest.raises(VersionError, match="of format 99, this firstlisten reads format 2 and older"):
        load_bundle(bundles / "with-ears")
    assert [manifest.version for manifest in list_bundles(bundles)] == ["no-ears"]


def test_a_renamed_bundle_is_refused(bundles: Path) -> None:
    (bundles / "with-ears").rename(bundles / "renamed")
    with pytest.raises(VersionError, match="'renamed' holds the manifest of bundle 'with-ears'"):
        load_bundle(bundles / "renamed")


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_manifest_that_is_none_is_named(bundles: Path, text: str) -> None:
    (bundles / "with-ears" / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"manifest\.json|of format None"):
        load_bundle(bundles / "with-ears")


def test_a_manifest_cannot_name_files_elsewhere(bundles: Path) -> None:
    artifact = {"file": "../no-ears/hybrid.safetensors", "version": "", "size": 1, "digest": ""}
    edit(bundles / "with-ears", artifacts=[artifact])
    with pytest.raises(ArtifactError, match="is no name for a bundle or its files"):
        load_bundle(bundles / "with-ears")


def test_the_current_bundle_is_the_one_that_is_named(bundles: Path) -> None:
    use_bundle(bundles, "no-ears")
    assert current_bundle(bundles) == bundles / "no-ears"
    with pytest.raises(ArtifactError, match=r"manifest\.json is missing"):
        use_bundle(bundles, "never-made")
    assert current_bundle(bundles) == bundles / "no-ears"
    (bundles / "current").write_text("../elsewhere")
    with pytest.raises(ArtifactError, match="is no name for a bundle"):
        current_bundle(bundles)
    (bundles / "current").write_text("gone")
    with pytest.raises(ArtifactError, match=r"names bundle 'gone', which is not there"):
        current_bundle(bundles)
    (bundles / "current").unlink()
    with pytest.raises(ArtifactError, match="has no current bundle"):
        current_bundle(bundles)


def test_a_server_without_a_bundle_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(tmp_path / "bundles", f"sqlite:///{tmp_path / 'x.sqlite'}", tmp_path / "uploads")
    with pytest.raises(ArtifactError, match="has no current bundle"):
        create_app(settings)
    monkeypatch.setenv(SETTINGS_VARIABLE, settings.to_json())
    with pytest.raises(ArtifactError, match="has no current bundle"):
        app_from_environment()
    monkeypatch.setenv(SETTINGS_VARIABLE, "{}")
    with pytest.raises(ConfigError, match="holds no server settings"):
        app_from_environment()
    monkeypatch.delenv(SETTINGS_VARIABLE)
    with pytest.raises(ConfigError, match="is not set"):
        app_from_environment()
