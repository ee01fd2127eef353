import bz2
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recommender.data.datasets import read_dataset
from recommender.errors import DataError

ONE, TWO, NEW = "iJTBIGHPjgJcT4Bt", "0009fFIM1eYThaPg", "zzzzzzzzzzzzzzzz"
EVENTS = (
    "user_id\ttrack_id\ttimestamp\n"
    f"51549\t{ONE}\t2013-01-27 21:42:38\n"
    f"51549\t{ONE}\t2013-01-27 21:38:53\n"
    f"51549\t{TWO}\t2013-01-26 10:00:00\n"
    f"7\t{TWO}\t2019-12-31 23:59:59\n"
)
COUNTS = f"user_id\ttrack_id\tcount\n51549\t{ONE}\t2\n51549\t{TWO}\t1\n7\t{TWO}\t1\n"
NAMES = (
    "id\tartist\tsong\talbum_name\n"
    f'{ONE}\tAphex Twin\t"Heliosphan\tSelected Ambient Works 85-92\n{TWO}\tCheryl Cole\tRain on Me\t3 Words\n'
)
METADATA = (
    "id\tspotify_id\tpopularity\trelease\tdanceability\tenergy\tkey\tmode\tvalence\ttempo\tduration_ms\n"
    f"{TWO}\t2PJ0Vw\t60.0\t2009\t0.5\t0.6\t7.0\t1.0\t0.4\t125.0\t229947\n"
)
FEATURE = f"id\t0\t1\t2\n{ONE}\t0\t-1.5\t2e-3\n{TWO}\t0\t3\t0\n{NEW}\t1\t0\t0\n"


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        stem, ending = name.rsplit("__", 1)
        (folder / f"{stem}.{ending}").write_text(text, encoding="utf-8")
    return folder


def test_plays_are_added_up_and_have_the_time_of_the_first(tmp_path):
    (tmp_path / "userid_trackid_timestamp.tsv.bz2").write_bytes(bz2.compress(EVENTS.encode()))
    plays = read_dataset("music4all-onion", tmp_path).plays.set_index(["user_id", "item_id"])
    assert plays.loc[("51549", ONE), "weight"] == 2
    assert plays.loc[("51549", ONE), "timestamp"] == pd.Timestamp("2013-01-27 21:38:53")
    assert plays.loc[("7", TWO), "timestamp"] == pd.Timestamp("2019-12-31 23:59:59")


def test_plays_with_times_say_what_the_counts_say(tmp_path):
    timed = read_dataset("music4all-onion", write(tmp_path / "a", userid_trackid_timestamp__tsv=EVENTS)).plays
    counted = read_dataset("music4all-onion", write(tmp_path / "b", userid_trackid_count__tsv=COUNTS)).plays
    pd.testing.assert_frame_equal(timed.drop(columns="timestamp"), counted.drop(columns="timestamp"))
    assert counted["timestamp"].isna().all()


def test_a_time_that_is_none_costs_its_row_only(tmp_path):
    events = EVENTS + "".join(f"9\t{ONE}\t2015-03-0{day} 00:00:00\n" for day in range(1, 8)) + f"9\t{TWO}\tyesterday\n"
    tables = read_dataset("music4all-onion", write(tmp_path, userid_trackid_timestamp__tsv=events))
    assert tables.plays["weight"].sum() == 11
    assert tables.plays["timestamp"].min() == pd.Timestamp("2013-01-26 10:00:00")
    assert tables.reports[0].problems[0].startswith("line 13: timestamp 'yesterday' is not a time")


def test_names_dates_and_lengths(tmp_path):
    folder = write(tmp_path, id_information__csv=NAMES, id_metadata__csv=METADATA)
    tables = read_dataset("music4all-onion", folder)
    assert tables.plays is None
    one, two = tables.tracks.to_dict("records")
    assert (one["item_id"], one["artist"], one["title"]) == (ONE, "Aphex Twin", '"Heliosphan')
    assert (one["released"], np.isnan(one["duration_s"])) == ("", True)
    assert (two["album"], two["released"], two["duration_s"]) == ("3 Words", "2009", pytest.approx(229.947))


def test_a_feature_becomes_the_embeddings(tmp_path):
    folder = write(tmp_path, id_ivec256__tsv=FEATURE, id_tags_dict__tsv=f"id\t(tag, weight)\n{ONE}\t{{'pop': 100}}\n")
    ids, vectors = read_dataset("music4all-onion", folder).embeddings
    assert ids == [ONE, TWO, NEW]
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [[0, -1.5, 0.002], [0, 3, 0], [1, 0, 0]])


def test_broken_vectors_are_left_out_and_the_first_of_several_counts(tmp_path):
    rows = [f"t{n}\t{n}\t0" for n in range(12)]
    text = "\n".join(["id\tx\ty", *rows, "t3\t9\t9", "bad\t1\tnan", "worse\tone\t2", "worst\t1"])
    tables = read_dataset("music4all-onion", write(tmp_path, id_gems__tsv=text))
    ids, vectors = tables.embeddings
    assert ids == [f"t{n}" for n in range(12)]
    assert vectors[:, 0].tolist() == list(range(12))
    assert (tables.reports[0].rows_used, tables.reports[0].rows_duplicate, tables.reports[0].rows_broken) == (12, 1, 3)
    assert tables.reports[0].problems == (
        "line 15: y is not a finite number",
        "line 16: x is not a finite number",
        "line 17: has 2 fields, expected 3",
    )


def test_of_several_features_one_must_be_named(tmp_path):
    folder = write(tmp_path, userid_trackid_count__tsv=COUNTS, id_gems__tsv=FEATURE, id_ivec256__tsv=FEATURE)
    tables = read_dataset("music4all-onion", folder)
    assert tables.embeddings is None
    assert len(tables.plays) == 3
    assert f"name the one to use as embeddings, as in --dataset music4all-onion:{folder}/id_gems.tsv" in tables.notes[0]
    assert read_dataset("music4all-onion", folder / "id_gems.tsv").embeddings is not None


def test_another_table_of_names_is_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"id_information.csv has no column id and .*its first line is 'id,artist,song'"
    ):
        read_dataset("music4all-onion", write(tmp_path, id_information__csv="id,artist,song\na,b,c\n"))
