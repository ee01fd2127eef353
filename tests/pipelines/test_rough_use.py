"""What a person does to a workspace that nobody meant: drives away, bundles lost, files where folders belong."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from pipelines import cli, embed, ingest, publish, similar, train
from pipelines.config import Settings
from pipelines.workspace import Workspace, open_workspace
from recommender.errors import ArtifactError, DataError


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["firstlisten", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Six files of noise."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "a drive" / "music"
    for number in range(6):
        path = folder / "artist" / f"album {number % 2}" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.normal(0, 0.1, 4000), 8000)
    return folder


@pytest.fixture
def workspace(tmp_path: Path, music: Path) -> Workspace:
    opened = open_workspace(tmp_path / "w", create=True)
    ingest.run(opened, music=music)
    return opened


def test_the_files_of_a_drive_that_is_away_stay_known(workspace, music, tmp_path):
    before = set(workspace.files()["item_id"])
    other = tmp_path / "other" / "artist" / "album 0"
    other.mkdir(parents=True)
    soundfile.write(other / "0.wav", np.random.default_rng(1).normal(0, 0.1, 4000), 8000)  # a path that both have
    music.parent.rename(tmp_path / "pulled out")
    report = ingest.run(workspace, music=tmp_path / "other")
    assert any("is not there now; its 6 files stay known" in line for line in report.lines)
    assert report.n_tracks == 7
    assert before < set(workspace.files()["item_id"])

    (tmp_path / "pulled out").rename(music.parent)
    again = ingest.run(workspace, music=music)
    assert again.n_tracks == 7
    assert f"{music}: 6 files (6 unchanged)" in again.lines


def test_a_moved_folder_leaves_nothing_behind_even_if_a_file_went_missing(workspace, music, tmp_path):
    before = set(workspace.files()["item_id"])
    moved = tmp_path / "moved é\nhere"
    music.rename(moved)
    (moved / "artist" / "album 1" / "5.wav").unlink()
    report = ingest.run(workspace, music=moved)
    assert report.n_tracks == 5
    assert set(workspace.files()["item_id"]) < before
    assert set(workspace.files()["root"]) == {str(moved)}


def test_an_empty_table_of_embeddings_does_not_fix_their_size(tmp_path):
    workspace = open_workspace(tmp_path / "w", create=True)
    for name, ids in (("none", []), ("two", ["a", "b"])):
        vectors = [[1.0, 2.0, float(n)] for n, _ in enumerate(ids)]
        pd.DataFrame({"item_id": ids, "embedding": vectors}).to_parquet(tmp_path / f"{name}.parquet")
        ingest.run(workspace, embeddings=tmp_path / f"{name}.parquet")
    supplied = workspace.supplied_embeddings()
    assert supplied is not None
    assert supplied.vectors.shape == (2, 3)


def test_an_analysis_without_files_says_so(tmp_path, capsys):
    train.analyse(open_workspace(tmp_path / "w", create=True), Settings().clips)
    assert capsys.readouterr().out == "no music files to analyse\n"


def test_a_file_where_a_folder_belongs_is_one_line(monkeypatch, capsys, demo_workspace, tmp_path):
    (tmp_path / "taken").write_text("a file")
    code = command(monkeypatch, "playlists", demo_workspace.folder, "--all-users", "--out", tmp_path / "taken")
    assert code == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"firstlisten: {tmp_path / 'taken'} cannot be used: ")


def test_a_folder_where_a_file_belongs_is_one_line(monkeypatch, capsys, demo_workspace, tmp_path):
    (tmp_path / "taken.csv").mkdir()
    assert command(monkeypatch, "export", demo_workspace.folder, "factors", "--out", tmp_path / "taken.csv") == 1
    assert (
        capsys.readouterr().err
        == f"firstlisten: {tmp_path / 'taken.csv'} cannot be used: Is a directory; give another path\n"
    )
    assert not list(tmp_path.glob(".part-*"))


def test_an_error_of_ours_is_not_dressed_up(monkeypatch):
    def fails() -> None:
        raise OSError("no file is named: this is a bug")

    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(OSError, match="this is a bug"):
        cli.main()


def test_bundles_are_listed_when_the_current_one_is_lost(demo_folder, tmp_path, capsys):
    workspace = open_workspace(Path(shutil.copytree(demo_folder, tmp_path / "w")))
    version = (workspace.bundles / "current").read_text().strip()
    (workspace.bundles / "current").write_text("20200101T000000-abcdef\n")
    publish.show(workspace)
    told = capsys.readouterr()
    assert version in told.out
    assert "which is not there" in told.err
    publish.use(workspace, version)
    assert (workspace.bundles / "current").read_text().strip() == version


def test_a_bundle_that_is_not_there_is_answered_with_those_that_are(demo_workspace):
    version = (demo_workspace.bundles / "current").read_text().strip()
    with pytest.raises(ArtifactError, match=f"has no bundle 'nope'; it has {version}"):
        publish.use(demo_workspace, "nope")


def test_where_vectors_go_is_asked_before_they_are_made(demo_workspace, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.ears.current_ears", lambda workspace: pytest.fail("work was done"))
    with pytest.raises(DataError, match=r"tables are written as .*'.txt' is none"):
        embed.run([tmp_path / "a.wav"], tmp_path / "out.txt", demo_workspace)


def test_nothing_that_sounds_alike_is_a_table_without_rows(demo_workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(similar, "similar_tracks", lambda *_: [])
    track = demo_workspace.files()["item_id"].iloc[0]
    similar.run(demo_workspace, track, top=3, out=tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text().strip() == ",".join(similar.SIMILAR_COLUMNS)


def test_a_second_scan_reads_no_file_again_not_even_broken_ones(tmp_path, music, monkeypatch):
    (music / "empty.mp3").touch()
    workspace = open_workspace(tmp_path / "w", create=True)
    ingest.run(workspace, music=music)
    monkeypatch.setattr("recommender.data.library._read_file", lambda *_: pytest.fail("a file was read again"))
    assert f"{music}: 7 files (7 unchanged)" in ingest.run(workspace, music=music).lines


def test_what_a_killed_writer_left_is_cleared_away(tmp_path):
    folder = tmp_path / "w"
    folder.mkdir()
    (folder / ".part-abc.json").write_text("{")  # killed while it made the workspace
    workspace = open_workspace(folder, create=True)
    table, bundle, pointer = (
        folder / name for name in ("tables/.part-x.parquet", "bundles/.part-y", "bundles/.part-current")
    )
    bundle.mkdir(parents=True)
    table.parent.mkdir()
    for path in (table, bundle / "hybrid.safetensors", pointer):
        path.write_text("half")
    with workspace.writing():
        assert not table.exists()
        assert not bundle.exists()
        assert pointer.exists()  # it may be being written: choosing a bundle takes no lock
