from dataclasses import replace

import pytest

from pipelines import train
from recommender.errors import ArtifactError
from recommender.models import shipped
from recommender.models.checkpoint import weights_of
from recommender.models.cnn import SpectrogramCNN
from recommender.models.cnn_config import CnnConfig, TrainCnnConfig
from recommender.models.trained_cnn import TrainedCnn, save_cnn, version_of

SMALL = TrainCnnConfig(cnn=CnnConfig(dim=8, pitch_channels=2, channels=4))


@pytest.fixture
def network() -> TrainedCnn:
    weights = weights_of(SpectrogramCNN(SMALL.cnn))
    return TrainedCnn(weights, SMALL, [], 0, (), version_of(weights, SMALL.cnn))


@pytest.fixture
def installed(network, tmp_path, monkeypatch) -> TrainedCnn:
    save_cnn(network, tmp_path / shipped.WEIGHTS_FILE)
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    return network


def test_the_shipped_network_is_started_from(installed):
    start = train.network_to_start_from(SMALL)
    assert start is not None
    assert start.version == installed.version


def test_a_file_can_be_named(network, tmp_path):
    save_cnn(network, tmp_path / "mine.safetensors")
    start = train.network_to_start_from(replace(SMALL, start_from=str(tmp_path / "mine.safetensors")))
    assert start is not None
    assert start.version == network.version
    with pytest.raises(ArtifactError, match=r"nowhere\.safetensors"):
        train.network_to_start_from(replace(SMALL, start_from=str(tmp_path / "nowhere.safetensors")))


def test_from_scratch_if_asked_for(installed):
    assert train.network_to_start_from(replace(SMALL, start_from="scratch")) is None


def test_from_scratch_where_nothing_is_shipped(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    assert train.network_to_start_from(SMALL) is None
    assert "from scratch: this installation has no shipped network" in capsys.readouterr().out


def test_from_scratch_where_another_shape_is_asked_for(installed, capsys):
    wider = replace(SMALL, cnn=replace(SMALL.cnn, dim=16))
    assert train.network_to_start_from(wider) is None
    assert "another network than the shipped one" in capsys.readouterr().out


def test_a_damaged_shipped_network_is_not_passed_over(installed):
    path = shipped.FOLDER / shipped.WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ArtifactError, match="damaged"):
        train.network_to_start_from(SMALL)
