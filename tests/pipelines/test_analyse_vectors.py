"""Analysis embeds what it hears, once a network, and needs no torch for it."""

import os
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import pipelines
from pipelines import analysis_workers, ears, ingest, train
from pipelines.analyse import analyse_files
from pipelines.workspace import Workspace, open_workspace
from recommender.audio.clip_store import ClipStore
from recommender.audio.clips import ClipConfig
from recommender.audio.vector_store import VectorStore
from recommender.models import shipped
from recommender.models.checkpoint import weights_of
from recommender.models.cnn import SpectrogramCNN
from recommender.models.cnn_config import CnnConfig, TrainCnnConfig
from recommender.models.ears import Ears, load_ears
from recommender.models.onnx_export import export_onnx
from recommender.models.trained_cnn import TrainedCnn, version_of

CLIPS = ClipConfig(clip_s=1.0, max_clips=2)
N_SONGS = 5


def network(folder: Path, seed: int) -> Path:
    shape = CnnConfig(dim=8, pitch_channels=2, channels=8)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        weights = weights_of(SpectrogramCNN(shape))
    folder.mkdir(exist_ok=True)
    path = folder / shipped.EARS_FILE
    export_onnx(TrainedCnn(weights, TrainCnnConfig(cnn=shape), [], 0, (), version_of(weights, shape)), path, CLIPS)
    return path


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("networks")
    return network(folder / "old", 0), network(folder / "new", 1)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    music = tmp_path / "music"
    music.mkdir()
    for n in range(N_SONGS):
        noise = np.random.default_rng(n).uniform(-0.5, 0.5, 3 * 8000)
        with wave.open(str(music / f"{n}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes((noise * 32767).astype("<i2").tobytes())
    opened = open_workspace(tmp_path / "w", create=True)
    (opened.folder / "firstlisten.toml").write_text("[clips]\nclip_s = 1.0\nmax_clips = 2\n")
    ingest.run(opened, music=music)
    return opened


def stores(workspace: Workspace, heard_by: Ears) -> tuple[ClipStore, VectorStore]:
    clips = ClipStore(workspace.clips, CLIPS)
    return clips, VectorStore(workspace.embeddings, heard_by.version, clips.version)


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr(analysis_workers, "read_clips", lambda *_: pytest.fail("decoded again"))


@pytest.mark.parametrize("workers", [1, None])
def test_every_file_is_embedded_as_it_is_decoded(
    workers: int | None, workspace: Workspace, networks: tuple[Path, Path], no_decoding: Callable[[], None]
) -> None:
    old = load_ears(networks[0])
    train.analyse(workspace, CLIPS, ears=old, workers=workers)
    clips, vectors = stores(workspace, old)
    assert len(clips.keys()) == N_SONGS
    assert vectors.keys() == clips.keys()
    for key in sorted(clips.keys()):
        found = vectors.load({"x": key})
        np.testing.assert_array_equal(found.clip_vectors, old.embed(clips.get(key).mels))
        np.testing.assert_array_equal(found.clip_starts_s, clips.get(key).starts_s)
    no_decoding()
    shards = sorted(workspace.folder.rglob("shard-*"))
    train.analyse(workspace, CLIPS, ears=old, workers=workers)
    assert sorted(workspace.folder.rglob("shard-*")) == shards


def test_a_new_network_catches_up_without_decoding_and_the_old_one_serves_until_then(
    workspace: Workspace, networks: tuple[Path, Path], no_decoding: Callable[[], None]
) -> None:
    old, new = (load_ears(path) for path in networks)
    train.analyse(workspace, CLIPS, ears=old)
    before = ears.hear_library(workspace, old)
    no_decoding()
    clips, vectors = stores(workspace, new)
    files = [(key, key, Path(f"{key} is not opened")) for key in sorted(clips.keys())]

    def interrupt(done: int, total: int) -> None:
        assert total == N_SONGS
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analyse_files(files, clips, ears=new, vectors=vectors, workers=0, progress=interrupt)
    assert len(vectors.keys()) == 2
    np.testing.assert_array_equal(ears.hear_library(workspace, old).vectors, before.vectors)
    report = analyse_files(files, clips, ears=new, vectors=vectors, workers=2)
    assert (report.done, report.skipped, report.embedded, report.failed) == (0, N_SONGS, N_SONGS - 2, ())
    after = ears.hear_library(workspace, new)
    assert after.tracks == before.tracks
    assert not np.allclose(after.vectors, before.vectors)


def test_vectors_of_networks_that_nothing_uses_go_when_the_new_ones_are_complete(
    workspace: Workspace, networks: tuple[Path, Path]
) -> None:
    old, new = (load_ears(path) for path in networks)
    train.analyse(workspace, CLIPS, ears=old)
    assert [path.name for path in workspace.embeddings.iterdir()] == [old.version]
    train.analyse(workspace, CLIPS, ears=new)
    assert [path.name for path in workspace.embeddings.iterdir()] == [new.version]
    train.analyse(workspace, CLIPS)
    assert len(stores(workspace, new)[1].keys()) == N_SONGS


def test_without_a_fitting_network_the_clips_are_stored_all_the_same(
    workspace: Workspace,
    networks: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(shipped, "FOLDER", workspace.folder)
    assert ears.ears_for(workspace, CLIPS) is None
    assert "nothing is embedded: this installation has no shipped audio model" in capsys.readouterr().err
    monkeypatch.setattr(shipped, "FOLDER", networks[0].parent)
    assert ears.ears_for(workspace, ClipConfig(clip_s=2.0)) is None
    assert "nothing is embedded: the current network hears other clips" in capsys.readouterr().err
    assert ears.ears_for(workspace, CLIPS).version == load_ears(networks[0]).version


WITHOUT_TORCH = """
import sys
from pathlib import Path
import pipelines.analysis_workers as workers
from recommender.models import shipped

HEAVY = ("torch", "torchaudio", "librosa", "numba", "sklearn")

def work(pipe, config, ears):
    hear = workers.hear_job
    def spy(*given):
        outcome = hear(*given)
        Path(__file__).with_name("worker").write_text(" ".join(name for name in HEAVY if name in sys.modules))
        return outcome
    workers.hear_job = spy
    real(pipe, config, ears)

real = workers._work
workers._work = work

if __name__ == "__main__":
    shipped.FOLDER = Path(sys.argv.pop(1))
    from pipelines.cli import main
    try:
        main()
    finally:
        loaded = [name for name in HEAVY if name in sys.modules]
        Path(__file__).with_name("parent").write_text(" ".join(loaded))
"""


def test_the_command_loads_torch_nowhere(workspace: Workspace, networks: tuple[Path, Path], tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(WITHOUT_TORCH)
    done = subprocess.run(
        [sys.executable, str(script), str(networks[0].parent), "analyse", str(workspace.folder), "--workers", "1"],
        env={**os.environ, "PYTHONPATH": str(Path(pipelines.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"analysed {N_SONGS} files" in done.stdout
    assert len(stores(workspace, load_ears(networks[0]))[1].keys()) == N_SONGS
    assert (tmp_path / "parent").read_text() == ""
    assert (tmp_path / "worker").read_text() == ""
