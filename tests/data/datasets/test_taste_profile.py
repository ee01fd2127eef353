import zipfile
from pathlib import Path

from recommender.data.datasets import read_dataset

USER, OTHER = "b80344d063b5ccb3212f76538f3d9e43d87dca9e", "85c1f87fea955d09b4bec2e36aee110927aedf9a"
TRIPLETS = f"{USER}\tSOAKIMP12A8C130995\t1\n{USER}\tSOBBMDR12A8C13253B\t2\n{OTHER}\tSOBBMDR12A8C13253B\t5\n"
TRACKS = (
    "TRMMMYQ128F932D901<SEP>SOQMMHC12AB0180CB8<SEP>Faster Pussy cat<SEP>Silent Night\n"
    "TRIQAUQ128F42435AD<SEP>SOAKIMP12A8C130995<SEP>Jack Johnson<SEP>The Cove\n"
    "TRAAAAA128F42435AD<SEP>SOAKIMP12A8C130995<SEP>Someone Else<SEP>Another\n"
    "TRIRLYL128F42539D1<SEP>SOBBMDR12A8C13253B<SEP>Paco De Lucía<SEP>Entre Dos Aguas\n"
)


def write_zipped(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "train_triplets.txt.zip", "w") as archive:
        archive.writestr("train_triplets.txt", TRIPLETS)
    return folder


def test_triplets_and_names(tmp_path):
    (write_zipped(tmp_path) / "unique_tracks.txt").write_text(TRACKS, encoding="utf-8")
    tables = read_dataset("taste-profile", tmp_path)
    assert tables.plays[["user_id", "item_id", "weight"]].to_numpy().tolist() == [
        [USER, "SOAKIMP12A8C130995", 1],
        [USER, "SOBBMDR12A8C13253B", 2],
        [OTHER, "SOBBMDR12A8C13253B", 5],
    ]
    assert tables.tracks[["item_id", "artist", "title"]].to_numpy().tolist() == [
        ["SOAKIMP12A8C130995", "Jack Johnson", "The Cove"],
        ["SOBBMDR12A8C13253B", "Paco De Lucía", "Entre Dos Aguas"],
    ]
    assert (tables.reports[1].rows_used, tables.reports[1].rows_duplicate) == (2, 1)  # one song has no plays
    assert tables.notes == ()


def test_songs_without_a_name_are_counted(tmp_path):
    (write_zipped(tmp_path) / "unique_tracks.txt").write_text(TRACKS.splitlines(keepends=True)[1], encoding="utf-8")
    tables = read_dataset("taste-profile", tmp_path)
    assert tables.tracks["title"].tolist() == ["The Cove", ""]
    assert tables.notes == ("1 of 2 songs are not in unique_tracks.txt",)


def test_triplets_alone(tmp_path):
    tables = read_dataset("taste-profile", write_zipped(tmp_path) / "train_triplets.txt.zip")
    assert tables.tracks is None
    assert len(tables.plays) == 3
    assert "no unique_tracks.txt" in tables.notes[0]
