import zipfile
from pathlib import Path

import pytest

from recommender.data.datasets import read_dataset
from recommender.errors import DataError

ANN, BOB = "000063d3fe1cf2ba248b9e3c3f0334845a27a6bf", "00000c289a1829a808ac09c00daf10bc3c4e223b"
CANNIBAL = "af8e4cc5-ef54-458d-a194-7b210acf638f"


def write_hetrec(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "artists.dat").write_text(
        "id\tname\turl\tpictureURL\r\n"
        "1\tMALICE MIZER\thttp://www.last.fm/music/MALICE+MIZER\thttp://userserve-ak.last.fm/serve/252/10808.jpg\r\n"
        '52\tMorcheeba "live\thttp://www.last.fm/music/Morcheeba\t\r\n'
        "53\tAir\thttp://www.last.fm/music/Air\thttp://userserve-ak.last.fm/serve/252/1.jpg\r\n",
        encoding="utf-8",
    )
    (folder / "user_artists.dat").write_text("userID\tartistID\tweight\r\n2\t52\t13883\r\n2\t1\t11690\r\n4\t52\t3\r\n")
    return folder


def test_hetrec(tmp_path):
    tables = read_dataset("lastfm-2k", write_hetrec(tmp_path))
    assert tables.plays[["user_id", "item_id", "weight"]].to_numpy().tolist() == [
        ["2", "52", 13883], ["2", "1", 11690], ["4", "52", 3],
    ]  # fmt: skip
    assert tables.plays["timestamp"].isna().all()
    assert tables.tracks["item_id"].tolist() == ["1", "52", "53"]
    assert tables.tracks["title"].tolist() == tables.tracks["artist"].tolist()
    assert tables.tracks["artist"][1] == 'Morcheeba "live'
    assert [(r.path.name, r.rows_used) for r in tables.reports] == [("user_artists.dat", 3), ("artists.dat", 3)]


def test_hetrec_in_the_archive_it_comes_in(tmp_path):
    folder = write_hetrec(tmp_path / "unpacked")
    with zipfile.ZipFile(tmp_path / "hetrec2011-lastfm-2k.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    tables = read_dataset("lastfm-2k", tmp_path / "hetrec2011-lastfm-2k.zip")
    assert len(tables.plays) == 3
    assert len(tables.tracks) == 3
    assert [report.path.name for report in tables.reports] == ["user_artists.dat", "artists.dat"]


def test_hetrec_without_its_artists(tmp_path):
    (write_hetrec(tmp_path) / "artists.dat").unlink()
    with pytest.raises(DataError, match=r"has no artists.dat; expected the files user_artists.dat and artists.dat of"):
        read_dataset("lastfm-2k", tmp_path)


def test_360k(tmp_path):
    rows = [
        (ANN, CANNIBAL, "cannibal corpse", "48"),
        (ANN, "", "elis", "31"),
        (BOB, CANNIBAL, "Cannibal Corpse", "2"),
        (BOB, "", 'the "quoted', "1"),
        (BOB, "", "nan", "7"),
        ("sep 20, 2008", "", "elis", "5"),
        (ANN, "", "elis", "1"),
    ]
    lines = ["\t".join(row) for row in [*rows, *((BOB, "", f"artist {n}", "1") for n in range(5))]]
    (tmp_path / "usersha1-artmbid-artname-plays.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tables = read_dataset("lastfm-360k", tmp_path)
    plays = tables.plays.set_index(["user_id", "item_id"])["weight"]
    assert plays[ANN].to_dict() == {CANNIBAL: 48, "elis": 32}
    assert plays[BOB].loc[[CANNIBAL, 'the "quoted', "nan"]].tolist() == [2, 1, 7]
    artists = tables.tracks.set_index("item_id")["artist"]
    assert artists[CANNIBAL] == "cannibal corpse"
    assert artists["elis"] == "elis"
    assert set(artists.index) == set(tables.plays["item_id"])
    (report,) = tables.reports
    assert (report.rows_read, report.rows_broken) == (12, 1)
    assert report.problems == ("line 6: user 'sep 20, 2008' is not a SHA-1",)


def test_a_count_of_nothing_is_no_play(tmp_path):
    lines = [f"{ANN}\t\tartist {n}\t{plays}" for n, plays in enumerate(["0", "-1", "many", *["1"] * 20])]
    (tmp_path / "usersha1-artmbid-artname-plays.tsv").write_text("\n".join(lines))
    tables = read_dataset("lastfm-360k", tmp_path)
    assert len(tables.plays) == 20
    assert tables.reports[0].problems == (
        "line 1: plays is 0, expected at least 1",
        "line 2: plays is -1, expected at least 1",
        "line 3: plays 'many' is not a number",
    )
