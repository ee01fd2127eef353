"""Tell-tales are planted in a tiny world, and found; the clean world is silent."""

import json
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import torch

from pipelines import audit, ingest
from pipelines.config import Settings, load_settings
from pipelines.workspace import Workspace, open_workspace
from recommender.audio.changes import through_codec
from recommender.audio.decode import decode_windows
from recommender.data.checks import Check
from recommender.errors import DataError
from recommender.models.checkpoint import weights_of
from recommender.models.cnn import SpectrogramCNN
from recommender.models.cnn_config import CnnConfig, TrainCnnConfig
from recommender.models.ears import Ears, read_ears
from recommender.models.onnx_export import onnx_of
from recommender.models.trained_cnn import TrainedCnn, version_of
from recommender.synthetic.world import TINY, build_world, listening_log

RATE = 44100


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    return folder / "music", build_world(TINY, folder, workers=1)


@pytest.fixture(scope="module")
def ears() -> Ears:
    """An untrained network: what it hears it owes to its shape."""
    torch.manual_seed(0)
    config = TrainCnnConfig(cnn=CnnConfig(dim=32, pitch_channels=4, channels=32))
    weights = weights_of(SpectrogramCNN(config.cnn))
    return read_ears(onnx_of(TrainedCnn(weights, config, [], 1, (), version_of(weights, config.cnn))))


def is_popular(world) -> dict[str, bool]:
    """The half of the tracks with the most listeners."""
    _, made = world
    listeners = made.past[made.past["weight"] > 0].groupby("path")["user_id"].nunique()
    counts = listeners.reindex(made.tracks["path"]).fillna(0)
    return dict((counts > counts[counts > 0].median()).items())


def workspace_of(folder: Path, world, plant) -> Workspace:
    """Write the world's music anew at full rate, `plant` being told of each track whether it is popular; ingest it."""
    music, made = world
    popular = is_popular(world)
    for relative in made.tracks["path"]:
        path = folder / "music" / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        waveform = decode_windows(music / relative, [0.0], 60.0, RATE)[0][0]
        write(path.with_suffix(".wav"), plant(waveform, popular[relative]))
    workspace = open_workspace(folder / "w", create=True)
    ingest.run(workspace, music=folder / "music")
    files = workspace.files()
    names = {
        f"{str(path).rsplit('.', 1)[0]}.flac": item for path, item in zip(files["path"], files["item_id"], strict=True)
    }
    with workspace.writing():
        ingest.add_plays(workspace, listening_log(made.past, names))
    return workspace


def write(path: Path, waveform: np.ndarray) -> None:
    samples = np.rint(np.clip(waveform, -1, 1) * 32767).astype(np.int16)
    with av.open(str(path), "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def audited(workspace: Workspace, monkeypatch, ears: Ears | None = None, **options) -> dict[str, Check]:
    if ears is not None:
        monkeypatch.setattr(audit, "current_ears", lambda _workspace: ears)
    return {check.name: check for check in audit.run(workspace, Settings(), **options)}


@pytest.mark.slow
def test_a_clean_library_is_silent(demo_workspace: Workspace, tmp_path, capsys):
    settings = load_settings(demo_workspace.folder)
    made = audit.run(demo_workspace, settings, out=tmp_path / "a", files=36, changed=6)
    assert [check for check in made if check.verdict == "found"] == []
    assert [check for check in made if check.name.startswith("data:") and check.verdict != "ok"] == []
    names = {check.name for check in made}
    assert {"the vectors tell gain", "shuffled vectors fall to chance", "hubs", "nearest that stay: MP3 64k"} <= names
    assert (tmp_path / "a" / "audit.png").read_bytes().startswith(b"\x89PNG")
    report = json.loads((tmp_path / "a" / "audit.json").read_text())
    assert len(report["checks"]) == len(made)
    assert "no shortcut found" in capsys.readouterr().out


@pytest.mark.slow
def test_a_planted_tone_is_found_and_said_not_to_be_heard(world, ears, tmp_path, monkeypatch):
    def plant(waveform: np.ndarray, popular: bool) -> np.ndarray:
        tone = 0.003 * np.sin(2 * np.pi * 19000 * np.arange(len(waveform)) / RATE)
        return waveform + tone if popular else waveform

    workspace = workspace_of(tmp_path, world, plant)
    checks = audited(workspace, monkeypatch, ears, files=36, changed=6)
    check = checks["data: popular and unpopular tracks"]
    assert check.verdict == "found"
    assert "tone at 19 to 19.5 kHz: AUC 1.00" in check.found or "tone at 18.5 to 19 kHz: AUC 1.00" in check.found
    assert "planted in the data; the model cannot hear it" in check.advice
    assert checks["a tone at 19 kHz"].verdict == "ok"


@pytest.mark.slow
def test_a_planted_codec_is_found_by_what_it_cuts_off(world, tmp_path, monkeypatch):
    """The files are WAV again, so that no header tells."""
    rng = np.random.default_rng(0)

    def plant(waveform: np.ndarray, popular: bool) -> np.ndarray:
        airy = waveform + 0.01 * rng.normal(size=len(waveform)).astype(np.float32)
        return through_codec(airy, RATE, "libmp3lame", 64000) if popular else airy

    workspace = workspace_of(tmp_path, world, plant)
    check = audited(workspace, monkeypatch, files=36)["data: popular and unpopular tracks"]
    assert check.verdict == "found"
    assert "cut-off frequency: AUC" in check.found
    assert "planted in the data" in check.advice


@pytest.mark.slow
def test_given_labels_are_audited_too(world, tmp_path, monkeypatch):
    workspace = workspace_of(tmp_path, world, lambda waveform, popular: waveform)
    ids = workspace.files()["item_id"]
    labels = pd.DataFrame({"item_id": ids, "label": np.where(np.arange(len(ids)) % 2, "yes", "no")})
    labels.to_csv(tmp_path / "labels.csv", index=False)
    checks = audited(workspace, monkeypatch, files=36, labels=tmp_path / "labels.csv")
    assert checks["data: label yes"].verdict == "ok"
    assert [name for name, check in checks.items() if check.verdict == "found"] == []
    labels.assign(item_id="nobody").head(5).to_csv(tmp_path / "wrong.csv", index=False)
    with pytest.raises(DataError, match=r"none of its 5 item_ids"):
        audited(workspace, monkeypatch, files=36, labels=tmp_path / "wrong.csv")


def test_a_workspace_without_sound_says_what_to_do(tmp_path):
    workspace = open_workspace(tmp_path / "w", create=True)
    with pytest.raises(DataError, match="no music files and no embeddings to audit; ingest --music"):
        audit.run(workspace, Settings())
