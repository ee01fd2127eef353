"""A library that nobody has played and nothing was trained on: it is heard all the same, by the shipped network."""

import json
import shutil
import sys
import wave
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch

from pipelines import cli, embed, ingest, publish, similar, train
from pipelines.ears import current_ears
from pipelines.workspace import Workspace, open_workspace
from recommender.audio.clips import ClipConfig
from recommender.errors import ArtifactError, DataError, UnknownIdError
from recommender.models import shipped
from recommender.models.checkpoint import weights_of
from recommender.models.cnn import SpectrogramCNN
from recommender.models.cnn_config import CnnConfig, TrainCnnConfig
from recommender.models.onnx_export import export_onnx
from recommender.models.trained_cnn import TrainedCnn, save_cnn, version_of

RATE_HZ = 22050


def write_tone(path: Path, base_hz: float, seed: int, seconds: float = 3.0) -> Path:
    rng = np.random.default_rng(seed)
    notes = base_hz * 2 ** (rng.choice([0, 2, 4, 7, 9], size=int(seconds * 4)) / 12)
    t = np.arange(RATE_HZ // 4) / RATE_HZ
    music = np.concatenate([0.4 * np.sin(2 * np.pi * note * t) * np.exp(-3 * t) for note in notes])
    music += 0.005 * rng.normal(size=len(music))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes((music * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def shipped_version(tmp_path_factory: pytest.TempPathFactory):
    """Put an untrained network where the shipped one is; it tells high from low as any filter bank does."""
    folder = tmp_path_factory.mktemp("shipped")
    shape = CnnConfig(dim=16, pitch_channels=4, channels=16, events=16)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = weights_of(SpectrogramCNN(shape))
    trained = TrainedCnn(weights, TrainCnnConfig(cnn=shape), [], 0, (), version_of(weights, shape))
    save_cnn(trained, folder / shipped.WEIGHTS_FILE)
    export_onnx(trained, folder / shipped.EARS_FILE, ClipConfig(clip_s=1.0, max_clips=2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shipped, "FOLDER", folder)
        yield trained.version


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    for n in range(3):
        write_tone(folder / f"low{n}.wav", 220, n)
        write_tone(folder / f"high{n}.wav", 1760, 10 + n)
    return folder


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["firstlisten", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)


def test_ingest_then_similar(shipped_version, music, tmp_path, monkeypatch, capsys):
    w, out = tmp_path / "w", tmp_path / "s.csv"
    (music / "broken.mp3").write_bytes(b"no music at all")
    asked = write_tone(tmp_path / "asked.wav", 220, 99)
    assert command(monkeypatch, "ingest", w, "--music", music) == 0
    assert command(monkeypatch, "similar", w, asked, "--top", 3, "--out", out) == 0
    told = capsys.readouterr()
    assert "analysed 6 files" in told.out
    found = pd.read_csv(out)
    assert list(found.columns) == list(similar.SIMILAR_COLUMNS)
    assert all(track.startswith("low") for track in found["track"])
    assert set(found[["query_start_s", "match_start_s"]].round(2).to_numpy().ravel()) <= {0.25, 1.75}
    monkeypatch.setattr(train, "analyse", lambda *_, **__: pytest.fail("analysed again"))
    first = found["item_id"][0]
    assert command(monkeypatch, "similar", w, first, "--top", 2, "--out", out) == 0
    others = pd.read_csv(out)
    assert first not in set(others["item_id"])
    assert all(track.startswith("low") for track in others["track"])
    assert command(monkeypatch, "similar", w, "nothing") == 1
    assert "is neither a track of" in capsys.readouterr().err


def test_a_track_of_one_sounds_like_itself(shipped_version, tmp_path):
    (tmp_path / "music").mkdir()
    path = write_tone(tmp_path / "music" / "only.wav", 440, 1)
    workspace = open_workspace(tmp_path / "w", create=True)
    ingest.run(workspace, music=tmp_path / "music")
    similar.run(workspace, str(path), top=5, out=tmp_path / "s.csv")
    assert pd.read_csv(tmp_path / "s.csv")["similarity"].tolist() == pytest.approx([1.0], abs=1e-4)


def test_an_unknown_argument_is_named_before_anything_is_analysed(shipped_version, music, tmp_path, monkeypatch):
    workspace = open_workspace(tmp_path / "w", create=True)
    ingest.run(workspace, music=music)
    monkeypatch.setattr(train, "analyse", lambda *_, **__: pytest.fail("work was done"))
    with pytest.raises(UnknownIdError, match="is neither a track of"):
        similar.run(workspace, "no-such-thing", top=3, out=None)


def test_without_music_there_is_nothing_to_compare(shipped_version, tmp_path):
    workspace = open_workspace(tmp_path / "w", create=True)
    (tmp_path / "t.csv").write_text("item_id,title\na,A\n")
    ingest.run(workspace, tracks=tmp_path / "t.csv")
    with pytest.raises(DataError, match="has no music that can be heard; ingest --music"):
        similar.run(workspace, "a", top=3, out=None)


def test_supplied_embeddings_are_compared_untrained_but_files_are_not(shipped_version, music, tmp_path):
    workspace = open_workspace(tmp_path / "w", create=True)
    rows = [{"item_id": f"t{n}", "embedding": [1.0, 0.1 * n, n % 2]} for n in range(5)]
    pd.DataFrame(rows).to_parquet(tmp_path / "e.parquet")
    ingest.run(workspace, embeddings=tmp_path / "e.parquet")
    similar.run(workspace, "t0", top=1, out=tmp_path / "s.csv")
    assert pd.read_csv(tmp_path / "s.csv")["item_id"].tolist() == ["t2"]
    with pytest.raises(DataError, match=r"the embeddings of .* were supplied"):
        similar.run(workspace, str(music / "low0.wav"), top=1, out=None)


def test_embed_needs_no_workspace(shipped_version, music, tmp_path, monkeypatch, capsys):
    out, bad = tmp_path / "e.parquet", tmp_path / "bad.mp3"
    bad.write_bytes(b"no music")
    assert command(monkeypatch, "embed", music / "low0.wav", bad, music / "high0.wav", "--out", out) == 0
    told = capsys.readouterr()
    assert f"2 of 3 files by {shipped_version}" in told.out
    assert f"{bad}: " in told.err
    rows = pd.read_parquet(out)
    assert list(rows.columns) == ["path", "start_s", "embedding"]
    tracks = rows[rows["start_s"].isna()]
    assert tracks["path"].tolist() == [str(music / "low0.wav"), str(music / "high0.wav")]
    for path, track in zip(tracks["path"], tracks["embedding"], strict=True):
        clips = np.stack(rows[(rows["path"] == path) & rows["start_s"].notna()]["embedding"])
        assert len(clips) == 2
        mean = clips.mean(axis=0)
        np.testing.assert_allclose(track, mean / np.linalg.norm(mean), atol=1e-5)
    assert command(monkeypatch, "embed", bad, "--out", out) == 1
    assert command(monkeypatch, "embed", tmp_path / "gone.wav", "--out", out, "--workspace", tmp_path / "no") == 1
    assert "is not a workspace" in capsys.readouterr().err


def test_a_missing_shipped_network_is_one_sentence(music, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    assert command(monkeypatch, "embed", music / "low0.wav", "--out", tmp_path / "e.csv") == 1
    assert "this installation has no shipped audio model" in capsys.readouterr().err


def test_a_workspaces_own_network_is_used_where_it_has_one(shipped_version, demo_workspace, tmp_path):
    own = current_ears(demo_workspace)
    assert own.version != shipped_version
    assert own.dim == 32
    assert current_ears(open_workspace(tmp_path / "w", create=True)).version == shipped_version
    path = Path(demo_workspace.catalog().table["path"].iloc[0])
    for workspace, dim in ((None, 16), (demo_workspace, 32)):
        embed.run([path], tmp_path / "e.parquet", workspace)
        assert {len(vector) for vector in pd.read_parquet(tmp_path / "e.parquet")["embedding"]} == {dim}


def test_a_bundle_without_a_network_leaves_hearing_to_the_shipped_one(shipped_version, music, tmp_path):
    workspace = open_workspace(tmp_path / "w", create=True)
    plays = [f"u{n % 6},t{n % 7}" for n in range(40)]
    (tmp_path / "p.csv").write_text("user_id,item_id\n" + "\n".join(plays) + "\n")
    ingest.run(workspace, interactions=tmp_path / "p.csv")
    from pipelines.config import load_settings

    version = train.run(workspace, load_settings(workspace.folder)).version
    assert current_ears(workspace).version == shipped_version
    ingest.run(workspace, music=music)
    similar.run(workspace, str(music / "high0.wav"), top=3, out=tmp_path / "s.csv")
    assert all(track.startswith("high") for track in pd.read_csv(tmp_path / "s.csv")["track"])
    with pytest.raises(DataError, match=rf"bundle {version} has no network, it has heard no audio"):
        publish.export_network(workspace, tmp_path / "n.onnx")


def test_export_onnx_writes_the_network_that_the_bundle_hears_with(demo_workspace, tmp_path, monkeypatch, capsys):
    out = tmp_path / "n.onnx"
    assert command(monkeypatch, "export", demo_workspace.folder, "onnx", "--out", out) == 0
    ears = current_ears(demo_workspace)
    assert f"network {ears.version}" in capsys.readouterr().out
    session = onnxruntime.InferenceSession(out)
    mels = np.random.default_rng(0).integers(0, 255, (2, 96, 100), dtype=np.uint8)
    np.testing.assert_allclose(session.run(None, {"mels": mels})[0], ears.embed(mels), atol=1e-6)
    version = (demo_workspace.bundles / "current").read_text().strip()
    assert command(monkeypatch, "export", demo_workspace.folder, "onnx", "--out", out, "--bundle", version) == 0
    assert command(monkeypatch, "export", demo_workspace.folder, "onnx", "--out", out, "--bundle", "none") == 1
    assert f"has no bundle 'none'; it has {version}" in capsys.readouterr().err
    assert command(monkeypatch, "export", demo_workspace.folder, "pickle", "--out", out) == 2


def test_a_bundle_of_format_1_is_heard_through_torch(demo_workspace, tmp_path):
    workspace = Workspace(Path(shutil.copytree(demo_workspace.folder, tmp_path / "w")))
    folder = workspace.bundles / (workspace.bundles / "current").read_text().strip()
    wanted = current_ears(workspace)
    (folder / "hearing.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"hearing\.onnx is missing; restore the file or train again"):
        current_ears(workspace)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["artifacts"] = [one for one in manifest["artifacts"] if one["file"] != "hearing.onnx"]
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": 1}))
    found = current_ears(workspace)
    assert (found.version, found.clip_config) == (wanted.version, wanted.clip_config)
    mels = np.random.default_rng(0).integers(0, 255, (2, 96, 100), dtype=np.uint8)
    np.testing.assert_allclose(found.embed(mels), wanted.embed(mels), atol=1e-6)
    similar.run(workspace, workspace.catalog().table["path"].iloc[0], top=1, out=tmp_path / "s.csv")
    assert pd.read_csv(tmp_path / "s.csv")["similarity"].iloc[0] > 0.99
