"""Public data sets through the command line: from the published files to a workspace, a model and lists."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from pipelines import cli
from pipelines.workspace import Workspace, open_workspace


@pytest.fixture
def firstlisten(monkeypatch, capsys):
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["firstlisten", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        told = capsys.readouterr()
        return int(stopped.value.code or 0), " ".join(told.out.split()), " ".join(told.err.split())

    return run


@pytest.fixture
def hetrec(tmp_path: Path) -> Path:
    """Forty listeners of two tastes; eighteen artists."""
    rng, folder = np.random.default_rng(0), tmp_path / "hetrec2011-lastfm-2k"
    folder.mkdir()
    artists = [f"{a}\tArtist {a}\thttp://www.last.fm/music/{a}\t" for a in range(1, 19)]
    (folder / "artists.dat").write_text("\r\n".join(["id\tname\turl\tpictureURL", *artists, ""]))
    lines = ["userID\tartistID\tweight"]
    for user in range(2, 42):
        liked = rng.choice(np.arange(1, 10) + 9 * (user % 2), 6, replace=False)
        lines += [f"{user}\t{artist}\t{rng.integers(1, 500)}" for artist in liked]
    (folder / "user_artists.dat").write_text("\r\n".join([*lines, ""]))
    return folder


def state(workspace: Workspace) -> list[object]:
    plays, tracks = workspace.interaction_table(), workspace.track_table()
    sound = workspace.supplied_embeddings()
    return [
        sorted(plays.astype(str).itertuples(index=False, name=None)),
        sorted(tracks.astype(str).itertuples(index=False, name=None)),
        None if sound is None else (sound.version, sound.tracks.ids),
    ]


def test_hetrec_from_the_download_to_a_list(firstlisten, hetrec, tmp_path, quick):
    folder = tmp_path / "w"
    status, out, _ = firstlisten("ingest", folder, "--dataset", f"lastfm-2k:{hetrec}")
    assert status == 0
    assert "user_artists.dat: 240 rows used artists.dat: 18 rows used" in out
    assert "18 tracks, 40 users, 240 interactions" in out
    workspace = open_workspace(folder)
    before = state(workspace)
    assert firstlisten("ingest", folder, "--dataset", f"lastfm-2k:{hetrec}")[0] == 0
    assert state(workspace) == before

    (folder / "firstlisten.toml").write_text(quick)
    assert firstlisten("train", folder)[0] == 0
    assert firstlisten("recommend", folder, "--user", 2, "--top", 3, "--out", tmp_path / "list.csv")[0] == 0
    heard = set(workspace.interaction_table().query("user_id == '2'")["item_id"])
    recommended = pd.read_csv(tmp_path / "list.csv", dtype=str)["item_id"]
    assert set(recommended) == {str(artist) for artist in range(1, 10)} - heard


def test_yambda_with_its_sound_repeats_without_change(firstlisten, tmp_path):
    rng, n, root = np.random.default_rng(0), 200, tmp_path / "yambda"
    (root / "flat" / "50m").mkdir(parents=True)
    listens = {
        "uid": pa.array(np.sort(rng.integers(1, 9, n)) * 10, pa.uint32()),
        "timestamp": pa.array(rng.integers(0, 5_200_000, n) * 5, pa.uint32()),
        "item_id": pa.array(rng.integers(100, 140, n), pa.uint32()),
        "is_organic": pa.array(rng.integers(0, 2, n), pa.uint8()),
        "played_ratio_pct": pa.array(rng.integers(0, 104, n), pa.uint16()),
        "track_length_seconds": pa.array(rng.integers(60, 400, n), pa.uint32()),
    }
    pq.write_table(pa.table(listens), root / "flat" / "50m" / "listens.parquet")
    vectors = rng.normal(size=(60, 8)).tolist()
    sound = {"item_id": pa.array(range(90, 150), pa.uint32()), "embed": vectors, "normalized_embed": vectors}
    pq.write_table(pa.table(sound), root / "embeddings.parquet")

    arguments = ("ingest", tmp_path / "w", "--dataset", f"yambda:{root}")
    status, out, _ = firstlisten(*arguments)
    assert status == 0
    assert "listens.parquet: 200 rows used" in out
    assert "yambda: times count from an unknown day" in out
    workspace = open_workspace(tmp_path / "w")
    before = state(workspace)
    plays = workspace.interaction_table()
    frame = pa.table(listens).to_pandas()
    assert plays["weight"].sum() == (frame["played_ratio_pct"] >= 50).sum()
    assert (plays["weight"] == 0).any()
    assert len(workspace.catalog()) == frame["item_id"].nunique()
    assert set(workspace.supplied_embeddings().tracks) == set(workspace.catalog().tracks)
    assert firstlisten(*arguments)[0] == 0
    assert state(workspace) == before


def test_jamendo_names_the_audio_that_was_scanned(firstlisten, tmp_path):
    rng, root = np.random.default_rng(0), tmp_path / "mtg-jamendo-dataset"
    (root / "data").mkdir(parents=True)
    rows = ["TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS"]
    for number in (214, 382):
        path = root / "audio" / f"{number % 100:02d}" / f"{number}.mp3"
        path.parent.mkdir(parents=True)
        soundfile.write(path, rng.normal(0, 0.1, 44100), 44100, format="MP3")
        place = f"{path.parent.name}/{path.name}"
        rows.append(f"track_{number:07d}\tartist_000014\talbum_000031\t{place}\t31.5\tgenre---pop\tgenre---rock")
    (root / "data" / "autotagging.tsv").write_text("\n".join(rows))
    alone = ("ingest", tmp_path / "w", "--dataset", f"mtg-jamendo:{root}")
    assert "2 tracks, 0 users" in firstlisten(*alone)[1]
    for _ in range(2):
        status, out, _ = firstlisten(*alone, "--music", root / "audio")
        assert status == 0
        assert "audio is there for 2 of 2 tracks" in out
        assert "2 tracks, 0 users" in out
    catalog = open_workspace(tmp_path / "w").catalog().table
    assert catalog["artist"].tolist() == ["artist_000014"] * 2
    assert catalog["duration_s"].tolist() == [31.5] * 2


def test_a_dataset_that_cannot_be_read_leaves_the_workspace_as_it_was(firstlisten, hetrec, tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("user_id,item_id\nu,a\n")
    firstlisten("ingest", tmp_path / "w", "--interactions", log)
    workspace = open_workspace(tmp_path / "w")
    before = state(workspace)
    (hetrec / "artists.dat").unlink()
    status, _, err = firstlisten("ingest", tmp_path / "w", "--dataset", f"lastfm-2k:{hetrec}")
    assert status == 1
    assert err.endswith(
        f"firstlisten: {hetrec} has no artists.dat; expected the files user_artists.dat and artists.dat of "
        "hetrec2011-lastfm-2k.zip"
    )
    assert state(workspace) == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("movielens:x", "unknown data set 'movielens'; known are lastfm-2k, lastfm-360k, taste-profile"),
        ("yambda", "say where it is, as in --dataset yambda:DIR"),
        ("yambda:nowhere", "nowhere does not exist"),
    ],
)
def test_wrong_usage_is_told_and_makes_no_workspace(firstlisten, tmp_path, text, says):
    status, _, err = firstlisten("ingest", tmp_path / "w", "--dataset", text)
    assert status == 2
    assert says in " ".join(err.replace("│", " ").split())
    assert not (tmp_path / "w").exists()


def test_a_data_set_without_names_is_its_ids(firstlisten, tmp_path):
    (tmp_path / "train_triplets.txt").write_text("u1\tSOAKIMP12A8C130995\t1\nu2\tSOBBMDR12A8C13253B\t2\n")
    status, out, _ = firstlisten("ingest", tmp_path / "w", "--dataset", f"taste-profile:{tmp_path}")
    assert status == 0
    assert "2 tracks, 2 users, 2 interactions" in out
    assert pd.isna(open_workspace(tmp_path / "w").interaction_table()["timestamp"]).all()
