"""Files of a download, blocks of lines, and plays that are added up: what all data sets go through."""

import bz2
import gzip
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from recommender.data.datasets import DATASETS, blocks, pairs, read_dataset
from recommender.data.datasets.blocks import Tally, text_rows
from recommender.data.datasets.download import Download, SourceFile
from recommender.data.datasets.pairs import NO_TIME, Codes, Pairs, plays_frame
from recommender.errors import DataError


def lines_of(path: Path, names: tuple[str, ...], **how: object) -> tuple[list[tuple[str, ...]], list[int], Tally]:
    tally = Tally(SourceFile(path))
    found: list[tuple[str, ...]] = []
    numbers: list[int] = []
    for rows in text_rows(tally, names, **how):
        found += list(zip(*(rows.column(name).to_pylist() for name in rows.names), strict=True))
        numbers += rows.numbers.tolist()
    return found, numbers, tally


@pytest.mark.parametrize("block_bytes", [3, 10, 1000])
def test_lines_keep_their_numbers_whatever_the_blocks(tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block_bytes)
    path = tmp_path / "t.tsv"
    path.write_bytes(
        'id\tname\r\n1\t"one\r\n\r\n2\ttwo\ttoo\r\n3\tdr\xe9i\r\n4\t'.encode("latin-1") + "четыре".encode()
    )
    found, numbers, tally = lines_of(path, ("id", "name"))
    assert found == [("1", '"one'), ("3", "dr\ufffdi"), ("4", "четыре")]
    assert numbers == [2, 5, 6]
    assert (tally.n_read, tally.n_broken) == (4, 1)
    tally.n_read = 5  # so that a fifth, and not a quarter, is broken
    assert tally.report().problems == (
        "line 4: has 3 fields, expected 2",
        "line 5: holds bytes that are not UTF-8, read as \ufffd",
    )


def test_the_last_column_may_take_what_is_left(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("ID\tTAGS\n1\ta\tb\tc\n2\td\n")
    found, _, tally = lines_of(path, ("ID", "TAGS"), open_ended=True)
    assert found == [("1", "a\tb\tc"), ("2", "d")]
    assert tally.n_broken == 0


def test_a_file_with_other_columns_is_named(tmp_path):
    path = tmp_path / "user_artists.dat"
    path.write_text("user\titem\n1\t2\n")
    with pytest.raises(DataError, match=r"user_artists.dat has no column userID.*its first line is 'user', 'item'"):
        lines_of(path, ("userID", "item"))


def test_too_many_broken_rows_stop_the_reading(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("a\tb\n" + "1\t2\n" * 7 + "1\n" * 2)
    with pytest.raises(DataError, match="2 of 9 rows cannot be used, at most 20% may be; line 9: has 1 fields"):
        lines_of(path, ("a", "b"))[2].report()


@pytest.mark.parametrize("ending", ["", ".bz2", ".gz", ".zip"])
def test_packed_files_go_by_the_name_they_were_published_under(tmp_path, ending):
    path = tmp_path / "deep" / f"t.tsv{ending}"
    path.parent.mkdir()
    content = b"a\tb\n1\t2\n"
    if ending == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("inside/t.tsv", content)
    else:
        path.write_bytes({"": bytes, ".bz2": bz2.compress, ".gz": gzip.compress}[ending](content))
    told = []
    file = Download.at(tmp_path).need("t.tsv", "t.tsv")
    with file.open(lambda done, total: told.append((done, total))) as stream:
        assert stream.read() == content
    assert told[-1][1] == path.stat().st_size


def test_a_plain_file_goes_before_its_packed_copy_and_two_places_are_a_question(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "t.tsv.bz2").write_bytes(b"not even packed")
    (tmp_path / "a" / "t.tsv").write_text("x")
    assert Download.at(tmp_path).need("t.tsv", "") == SourceFile(tmp_path / "a" / "t.tsv")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "t.tsv").write_text("x")
    with pytest.raises(DataError, match=r"several files t.tsv: .*a/t.tsv, .*b/t.tsv; give the folder of one"):
        Download.at(tmp_path).find("t.tsv")


@pytest.mark.parametrize("cut", [20, 60])
@pytest.mark.parametrize("ending", [".bz2", ".gz", ".zip"])
def test_a_file_that_is_cut_off_is_named(tmp_path, ending, cut):
    content = "".join(f"{n}\t{n * n % 97}\n" for n in range(500)).encode()
    path = tmp_path / f"train_triplets.txt{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("train_triplets.txt", content)
    else:
        path.write_bytes({".bz2": bz2.compress, ".gz": gzip.compress}[ending](content))
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match=f"train_triplets.txt{ending} cannot be read: .*; download it again"):
        read_dataset("taste-profile", tmp_path)


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_an_empty_folder_is_told_what_was_expected(tmp_path, name):
    with pytest.raises(DataError, match=r"has no .*; expected ") as told:
        read_dataset(name, tmp_path)
    assert "\n" not in str(told.value)


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(DataError, match=r"unknown data set 'movielens'; known are lastfm-2k, .*mtg-jamendo"):
        read_dataset("movielens", tmp_path)


@pytest.mark.parametrize("room", [1, 7, 1 << 22])
def test_plays_are_added_up_as_a_slow_twin_does(monkeypatch, room):
    monkeypatch.setattr(pairs, "_ROOM", room)
    rng = np.random.default_rng(0)
    n = 300
    frame = pd.DataFrame(
        {
            "user": rng.integers(0, 7, n),
            "track": rng.integers(0, 5, n) + (1 << 20),
            "weight": rng.integers(0, 3, n).astype(float),
            "time": rng.integers(0, 1000, n),
        }
    )
    frame.loc[(frame["user"] == 3) & (frame["track"] == 1 << 20), "weight"] = 0.0
    adding = Pairs()
    for start in range(0, n, 13):
        part = frame[start : start + 13]
        adding.add(*(part[name].to_numpy() for name in ("user", "track", "weight", "time")))
    slow = []
    for (user, track), group in frame.groupby(["user", "track"]):
        heard = group[group["weight"] > 0] if (group["weight"] > 0).any() else group
        slow.append((user, track, group["weight"].sum(), heard["time"].min()))
    assert list(zip(*(column.tolist() for column in adding.result()), strict=True)) == slow
    assert (3, 1 << 20, 0.0) in [row[:3] for row in slow]


def test_counts_have_no_time():
    adding = Pairs()
    adding.add(np.array([1, 0, 1]), np.array([0, 0, 0]), np.array([2.0, 1.0, 3.0]))
    users, _, weights, times = adding.result()
    assert (users.tolist(), weights.tolist(), times.tolist()) == ([0, 1], [1, 5], [NO_TIME] * 2)
    frame = plays_frame(pa.array(["a", "b"]), pa.array(["t"]), adding.result())
    assert frame["user_id"].tolist() == ["a", "b"]
    assert frame["timestamp"].isna().all()
    assert frame["timestamp"].dtype == "datetime64[s]"


def test_codes_stay_the_same_from_block_to_block():
    codes = Codes()
    assert codes.of(pa.array(["b", "a", "b"])).tolist() == [0, 1, 0]
    assert codes.of(pa.array(["c", "a"])).tolist() == [2, 1]
    assert codes.ids().to_pylist() == ["b", "a", "c"]
