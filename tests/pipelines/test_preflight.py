from dataclasses import replace

import numpy as np
import pytest

from pipelines import preflight
from pipelines.config import Settings, load_settings
from pipelines.workspace import Workspace
from recommender.data.embeddings import Embeddings
from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError, ModelError


def settings_of(workspace: Workspace) -> Settings:
    settings = load_settings(workspace.folder)
    return settings.model_copy(update={"train_cnn": replace(settings.train_cnn, threads=1)})


def test_a_sound_library_is_fit_to_train(demo_workspace: Workspace, tmp_path, capsys):
    settings = settings_of(demo_workspace)
    made = preflight.run(demo_workspace, settings, out=tmp_path / "p.png")
    assert [check.name for check in made if check.verdict == "broken"] == []
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    assert "one batch by heart" in shown
    assert "fit to train" in shown


def test_what_is_broken_ends_in_one_line_and_a_picture(demo_workspace: Workspace, tmp_path, capsys):
    settings = settings_of(demo_workspace)
    stuck = settings.model_copy(update={"train_cnn": replace(settings.train_cnn, learning_rate=1e-12)})
    with pytest.raises(ModelError, match=r"preflight: broken: .*a step against the weights.*; mend that"):
        preflight.run(demo_workspace, stuck, out=tmp_path / "p.png")
    assert (tmp_path / "p.png").exists()
    assert "is too low" in " ".join(capsys.readouterr().out.split())


def test_a_workspace_without_clips_says_what_to_do(tmp_path):
    workspace = Workspace(tmp_path / "w")
    tracks = Vocabulary("track", tuple(f"t{n}" for n in range(9)))
    workspace.write_embeddings(Embeddings.without_clips(tracks, np.eye(9, dtype=np.float32), "v"))
    with pytest.raises(DataError, match="no clips to train on: its embeddings were supplied"):
        preflight.run(workspace, load_settings(workspace.folder))
