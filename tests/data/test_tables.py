import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recommender.data import raw_tables, tables
from recommender.data.catalog import Catalog
from recommender.data.tables import read_embeddings, read_interactions, read_table, read_tracks, write_table
from recommender.errors import DataError

LOG = pd.DataFrame(
    {
        "user_id": ["u1", "u1", "u2"],
        "item_id": ["a", "b", "a"],
        "weight": [2.0, 0.0, 1.5],
        "timestamp": np.array(["2024-05-31T20:15:00", "2024-06-01", "NaT"], dtype="datetime64[s]"),
    }
).astype({"user_id": "str", "item_id": "str"})


def write(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.write_bytes("\n".join((*lines, "")).encode(encoding))
    return path


def log(tmp_path: Path, *lines: str) -> Path:
    return write(tmp_path / "log.csv", *lines)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".jsonl"])
def test_what_is_written_is_read(tmp_path: Path, ending: str) -> None:
    write_table(tmp_path / f"log{ending}", LOG)
    frame, report = read_interactions(tmp_path / f"log{ending}")
    pd.testing.assert_frame_equal(frame, LOG)
    assert (report.rows_read, report.rows_used, report.rows_broken, report.rows_duplicate) == (3, 3, 0, 0)
    assert report.problems == ()


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("x.csv", "user_id,item_id,weight,timestamp"),
        ("x.csv", "userID,itemID,rating,datetime"),
        ("x.csv", "User Id;Track-ID;Plays;Listened_At"),
        ("x.csv", "timestamp,weight,item_id,user_id"),
        ("x.inter", "user_id:token\titem_id:token\trating:float\ttimestamp:float"),
        ("x.tsv", "userId\ttrackId\tcount\ttime"),
    ],
)
def test_names_that_the_field_uses(tmp_path: Path, name: str, header: str) -> None:
    mark = next(m for m in "\t;," if m in header)
    cells = ["u1", "a", "2", "1717186500"] if header[0] != "t" else ["1717186500", "2", "a", "u1"]
    frame, _ = read_interactions(write(tmp_path / name, header, mark.join(cells)))
    assert frame.iloc[0].tolist() == ["u1", "a", 2.0, pd.Timestamp("2024-05-31T20:15:00")]


def test_our_own_name_wins_over_an_alias(tmp_path: Path) -> None:
    frame, _ = read_interactions(log(tmp_path, "track,rating,user,item_id,user_id,weight", "no,9,no,a,u1,1"))
    assert frame.iloc[0].tolist()[:3] == ["u1", "a", 1.0]


def test_without_weight_and_time(tmp_path: Path) -> None:
    frame, _ = read_interactions(log(tmp_path, "user_id,item_id", "007,1.0", " u2 ,b"))
    assert frame["user_id"].tolist() == ["007", "u2"]  # ids are texts
    assert frame["item_id"].tolist() == ["1.0", "b"]
    assert frame["weight"].tolist() == [1.0, 1.0]
    assert frame["timestamp"].isna().all()
    assert frame["timestamp"].dtype == "datetime64[s]"


def test_broken_rows_are_named_by_their_line_and_the_rest_is_used(tmp_path: Path) -> None:
    good = [f"u{n},a,1,2024-01-01" for n in range(40)]
    path = log(
        tmp_path,
        "user_id,item_id,weight,timestamp",  # line 1
        *good[:10],  # 2 to 11
        "u1,b,abc,2024-01-01",  # 12
        "",
        "u1,b,-2,2024-01-01",  # 14
        "u1,b,2024-01-01",  # 15
        '"u7","two\nlines",1,2024-01-01',  # 16 and 17
        ",b,1,2024-01-01",  # 18
        "u1,NaN,1,2024-01-01",  # 19
        *good[10:],  # 20 to 49
        "u1,b,,2024-01-01",  # 50
        "u1,b,1,yesterday",  # 51
    )
    frame, report = read_interactions(path)
    assert len(frame) == 40
    assert report.problems == (
        "line 12: weight 'abc' is not a number",
        "line 14: weight -2 is negative",
        "line 15: has 3 fields, expected 4",
        "lines 16 to 17: item_id 'two\\nlines' runs over several lines: is a quote missing?",
        "line 18: user_id is empty",
        "line 19: item_id is empty",
        "line 50: weight is empty or NaN",
        "line 51: timestamp 'yesterday' is not a time, expected Unix seconds or ISO 8601 (2024-05-31T20:15:00Z)",
    )
    assert (report.rows_read, report.rows_used, report.rows_broken, report.rows_duplicate) == (49, 40, 9, 0)


def test_a_fifth_may_be_broken_and_no_more(tmp_path: Path) -> None:
    lines = ["user_id,item_id,weight", "u1,a,x", "u1,b,1", "u1,c,1", "u1,d,1", "u1,e,1"]
    assert read_interactions(log(tmp_path, *lines))[1].rows_broken == 1
    with pytest.raises(
        DataError, match=r"log.csv: 2 of 6 rows cannot be used, at most 20% may be; line 2: weight 'x' is"
    ):
        read_interactions(log(tmp_path, *lines, "u1,f"))


def test_very_many_problems_are_counted_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_NAMED", 3)
    rows = [f"u{n},a,{'x' if n % 10 == 0 else 1}" for n in range(100)]
    _, report = read_interactions(log(tmp_path, "user_id,item_id,weight", *rows))
    assert report.rows_broken == 10
    assert [problem.split(":")[0] for problem in report.problems] == ["line 2", "line 12", "line 22", "and 7 more rows"]


@pytest.mark.parametrize("weight", ["-0.5", "nan", "inf", "-inf", "1e39", "1,5", "True", "0x1"])
def test_weights_that_are_none(tmp_path: Path, weight: str) -> None:
    rows = [f"u{n}\ta\t1" for n in range(9)]
    _, report = read_interactions(write(tmp_path / "log.tsv", "user_id\titem_id\tweight", *rows, f"u1\tb\t{weight}"))
    assert report.rows_broken == 1
    assert report.problems[0].startswith("line 11: weight ")


def test_the_same_play_is_kept_once_and_untimed_plays_add_up(tmp_path: Path) -> None:
    path = log(
        tmp_path,
        "user_id,item_id,weight,timestamp",
        "u1,a,3,2024-01-01",
        "u2,a,1,",
        "u1,a,3,2024-01-01T00:00:00Z",  # again
        "u1,a,1,2024-01-02",
        "u2,b,0,",
        "u2,a,2.5,",
        "u1,a,4,",
    )
    frame, report = read_interactions(path)
    assert frame[["user_id", "item_id", "weight"]].to_numpy().tolist() == [
        ["u1", "a", 3.0],
        ["u2", "a", 3.5],
        ["u1", "a", 1.0],
        ["u2", "b", 0.0],
        ["u1", "a", 4.0],
    ]
    assert frame["timestamp"].isna().tolist() == [False, True, False, True, True]
    assert (report.rows_read, report.rows_used, report.rows_duplicate) == (7, 6, 1)


def test_a_dislike_stands_against_untimed_plays(tmp_path: Path) -> None:
    path = log(tmp_path, "user_id,item_id,weight", "u1,a,3", "u1,a,-1", "u1,b,-1", "u1,c,0")
    frame, report = read_interactions(path)
    assert dict(zip(frame["item_id"], frame["weight"], strict=True)) == {"a": -1, "b": -1, "c": 0}
    assert report.problems == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1717186500", "2024-05-31T20:15:00"),
        ("1717186500.9", "2024-05-31T20:15:00"),
        ("1717186500000", "2024-05-31T20:15:00"),
        ("1717186500000000", "2024-05-31T20:15:00"),
        ("1717186500000000000", "2024-05-31T20:15:00"),
        ("1.7171865e9", "2024-05-31T20:15:00"),
        ("0", "1970-01-01"),
        ("2024-05-31", "2024-05-31"),
        ("2024-05-31 20:15", "2024-05-31T20:15:00"),
        ("2024-05-31T20:15:00.999", "2024-05-31T20:15:00"),
        ("2024-05-31T20:15:00Z", "2024-05-31T20:15:00"),
        ("2024-05-31T22:15:00+02:00", "2024-05-31T20:15:00"),
        ("1969-12-31T23:59:59.5", "1969-12-31T23:59:59"),
    ],
)
def test_times(tmp_path: Path, text: str, expected: str) -> None:
    lines = ["user_id,item_id,timestamp", f"u1,a,{text}"]
    alone, _ = read_interactions(log(tmp_path, *lines))
    others = ["u2,a,2020-01-01", "u3,a,2020-01-01T00:00:00+05:00", "u4,a,12", "u5,a,", "u6,b,NaN", "u7,b,soon"]
    mixed, report = read_interactions(log(tmp_path, *lines, *others))
    for frame in (alone, mixed):
        assert frame["timestamp"].iloc[0] == pd.Timestamp(expected)
    assert mixed["timestamp"].tolist()[1:4] == [
        pd.Timestamp(t) for t in ("2020-01-01", "2019-12-31T19", "1970-01-01T00:00:12")
    ]
    assert mixed["timestamp"].isna().tolist() == [False] * 4 + [True] * 2
    assert report.rows_broken == 1


@pytest.mark.parametrize(
    "text", ["now", "today", "20:15", "31/05/2024", "2024-13-01", "1e30", "inf", "0001-01-01", "9e9"]
)
def test_texts_that_are_no_time(tmp_path: Path, text: str) -> None:
    rows = [f"u{n},a,2024-01-01" for n in range(9)]
    _, report = read_interactions(log(tmp_path, "user_id,item_id,timestamp", *rows, f"u1,b,{text}"))
    assert report.rows_broken == 1
    assert report.problems[0].startswith("line 11: timestamp ")


def test_parquet_of_numbers_dates_and_categories(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "userId": np.array([1, 2, 2, 3, 5, 6], np.int64),
            "item": [10.0, np.nan, 12.0, 13.0, 10.0, 10.0],  # whole numbers with a hole
            "plays": pd.array([1, 2, 3, 4, 5, 6], dtype="Int64"),
            "ts": pd.to_datetime(["2024-01-01 01:00"] * 5 + [None], utc=True).tz_convert("Europe/Berlin"),
        }
    )
    frame["userId"] = frame["userId"].astype("category")
    frame.to_parquet(tmp_path / "x.parquet")
    read, report = read_interactions(tmp_path / "x.parquet")
    assert read["user_id"].tolist() == ["1", "2", "3", "5", "6"]
    assert read["item_id"].tolist() == ["10", "12", "13", "10", "10"]
    assert read["weight"].tolist() == [1, 3, 4, 5, 6]
    assert read["timestamp"].iloc[0] == pd.Timestamp("2024-01-01 01:00")
    assert pd.isna(read["timestamp"].iloc[4])
    assert report.problems == ("row 2: item_id is empty",)


def test_parquet_unix_times_and_nan_weights(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user_id": list("abcdefg"), "item_id": "x", "weight": 1.0, "timestamp": 1717186500})
    frame.loc[3, "weight"] = np.nan
    frame.to_parquet(tmp_path / "x.parquet")
    read, report = read_interactions(tmp_path / "x.parquet")
    assert set(read["timestamp"]) == {pd.Timestamp("2024-05-31T20:15:00")}
    assert report.problems == ("row 4: weight is empty or NaN",)


def test_json_lines_with_other_types_in_later_rows_and_broken_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.jsonl",
        '{"userId": 1, "item_id": "a", "extra": {"deep": [1]}, "weight": 2}',
        "",
        '{"userId": "u2", "item_id": "a", "weight": 1.5, "timestamp": "2024-01-01T00:00:00Z"}',
        '{"userId": 3.0, "item_id": 7, "weight": 1, "timestamp": 1717186500}',
        '{"userId": 4, "item_id": "a", "weight": 1',  # line 5
        '{"userId": 5, "item_id": "ü", "weight": 1}',
        "[1, 2]",  # line 7
        '{"userId": 6, "item_id": "b", "weight": 1}',
        '{"userId": 7, "item_id": "b", "weight": 1}',
        '{"userId": 8, "weight": 1}',  # line 10
        *(f'{{"userId": {n}, "item_id": "c", "weight": 1}}' for n in range(9, 18)),
    )
    frame, report = read_interactions(path)
    assert frame["user_id"].tolist() == ["1", "u2", "3", "5", "6", "7", *map(str, range(9, 18))]
    assert frame["item_id"].tolist()[:4] == ["a", "a", "7", "ü"]
    assert frame["timestamp"].iloc[2] == pd.Timestamp("2024-05-31T20:15:00")
    assert [problem.split(":")[0] for problem in report.problems] == ["line 5", "line 7", "line 10"]
    assert "is not JSON" in report.problems[0]
    assert report.problems[1] == "line 7: is a JSON list, expected an object"
    assert report.problems[2] == "line 10: item_id is empty"


def test_json_ids_that_look_like_dates_stay_as_they_are(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", *(f'{{"user_id": "2024-01-0{n}", "item_id": "1999"}}' for n in range(1, 4)))
    frame, _ = read_interactions(path)
    assert frame["user_id"].tolist() == ["2024-01-01", "2024-01-02", "2024-01-03"]
    assert set(frame["item_id"]) == {"1999"}


def test_quoted_commas_quotes_and_line_breaks(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.csv",
        "item_id,title,artist",
        '"a,1","Say ""Hi"", now",Ada',
        'b,"Two\n lines",Ben',
        'c,5" disc,Cyd',
    )
    frame, report = read_tracks(path)
    assert frame["item_id"].tolist() == ["a,1", "b", "c"]
    assert frame["title"].tolist() == ['Say "Hi", now', "Two lines", '5" disc']
    assert report.problems == ()


def test_an_open_quote_does_not_swallow_the_log_silently(tmp_path: Path) -> None:
    rows = [f"u{n},a,1" for n in range(20)]
    rows[4] = 'u4,"a,1'
    header = "user_id,item_id,weight"
    with pytest.raises(DataError, match=r"16 of 20 rows cannot be used.* lines 6 to 21: has 2 fields"):
        read_interactions(log(tmp_path, header, *rows))
    rows[7] = 'u7,"a",1'
    frame, report = read_interactions(log(tmp_path, header, *rows))
    assert report.problems[0].startswith("lines 6 to 9: item_id 'a,1\\nu5,a,1")
    assert (len(frame), report.rows_read, report.rows_broken) == (16, 20, 4)


def test_an_open_quote_in_a_title_is_found(tmp_path: Path) -> None:
    rows = [f"t{n},Title {n},Ada" for n in range(60)]
    rows[4], rows[13] = 't4,"Heroes,Ada', 't13,"Low",Ada'
    frame, report = read_tracks(write(tmp_path / "t.csv", "item_id,title,artist", *rows))
    assert (len(frame), report.rows_broken) == (50, 10)
    assert report.problems[0].startswith("lines 6 to 15: title 'Heroes,Ada")


def test_a_huge_open_quote_names_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_tables, "_BLOCK_BYTES", 1000)
    rows = [f"user{n:05},track{n:05},1" for n in range(500)]
    rows[4] = 'user4,"a,1'
    with pytest.raises(DataError, match="quote that opens on line 6 closes on line 501"):
        read_interactions(log(tmp_path, "user_id,item_id,weight", *rows))


def test_a_quote_is_a_letter_in_atomic_files(tmp_path: Path) -> None:
    frame, _ = read_tracks(write(tmp_path / "x.item", "item_id:token\ttitle:token_seq", 'a\t"Heroes', "b\tLow"))
    assert frame["title"].tolist() == ['"Heroes', "Low"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_byte_order_marks_and_line_ends(tmp_path: Path, encoding: str, newline: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(newline.join(["", "user_id,item_id", "ü,a", "", "v,b"]).encode(encoding))
    frame, report = read_interactions(path)
    assert frame["user_id"].tolist() == ["ü", "v"]
    assert report.rows_read == 2


def test_bytes_that_are_not_utf8_are_broken_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    rows = [f"u{n},a" for n in range(9)]
    path.write_bytes("\n".join(["user_id,item_id", "caf\xe9,a", *rows]).encode("latin-1"))
    frame, report = read_interactions(path)
    assert len(frame) == 9
    assert report.problems == ("line 2: user_id 'caf\\\\xe9' is not UTF-8: save the file as UTF-8",)


def test_missing_columns_say_what_was_found_and_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(
        DataError,
        match=r"no column item_id; found the columns 'u1', 'a51', '13'; expected user_id \(or userId,",
    ):
        read_interactions(log(tmp_path, "u1,a51,13", "u2,a52,1"))
    with pytest.raises(DataError, match="has no column item_id; found the columns 'user_id', 'weight'"):
        read_interactions(write(tmp_path / "x.jsonl", '{"user_id": "u1", "weight": 1}'))
    pd.DataFrame({"user": ["a"]}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(DataError, match="has no column item_id; found the columns 'user'"):
        read_interactions(tmp_path / "x.parquet")
    with pytest.raises(DataError, match="has no column embedding"):
        read_embeddings(write(tmp_path / "e.csv", "item_id,x", "a,1"))


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl", ".inter"])
def test_files_that_are_no_table(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    with pytest.raises(DataError, match=r"x\.\w+ cannot be read: No such file"):
        read_interactions(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"is empty \(0 bytes\); expected a table with user_id"):
        read_interactions(path)
    path.write_bytes(np.random.default_rng(1).bytes(5000))
    with pytest.raises(DataError, match=r"x\.\w+ "):
        read_interactions(path)
    path.write_bytes(b"\n\n  \n")
    with pytest.raises(DataError, match=r"x\.\w+ "):
        read_interactions(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=r"x\.\w+ "):
        read_interactions(path)


def test_an_ending_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"tables end in .csv, .tsv, .*; '.xlsx' is none of them"):
        read_interactions(tmp_path / "x.xlsx")
    with pytest.raises(DataError, match=r"'\.xlsx' is none"):
        write_table(tmp_path / "x.xlsx", LOG)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["user_id,item_id,weight,timestamp", "user_id,item_id,weight,timestamp\n\n"])
def test_a_header_alone_is_an_empty_log(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    frame, report = read_interactions(tmp_path / "x.csv")
    assert frame.dtypes.astype(str).tolist() == ["str", "str", "float64", "datetime64[s]"]
    assert len(frame) == report.rows_read == 0


def test_a_parquet_log_without_rows(tmp_path: Path) -> None:
    write_table(tmp_path / "x.parquet", LOG.iloc[:0])
    frame, report = read_interactions(tmp_path / "x.parquet")
    assert len(frame) == report.rows_read == 0


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    write_table(tmp_path / "x.parquet", LOG)
    data = (tmp_path / "x.parquet").read_bytes()
    (tmp_path / "x.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"x\.parquet cannot be read"):
        read_interactions(tmp_path / "x.parquet")


def test_tracks_with_aliases_units_and_doubtful_cells(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.csv",
        "track_id,name,artist_name,release_name,duration_ms,release_date",
        "a,  Song   one ,Ada,First,215500,2021-03-04",
        "b,Two,,,,2021",
        "c,Three,Cyd,,long,soon",
        "d,Four,Cyd,,-5,20210304",
        ",Five,Cyd,,1000,2021",
        "a,Song one again,Ada,First,1000,2021-03",
    )
    frame, report = read_tracks(path)
    assert frame["item_id"].tolist() == ["b", "c", "d", "a"]
    assert frame.set_index("item_id").loc["a"].tolist() == [
        "Song one again",
        "Ada",
        "First",
        1.0,
        "",
        "2021-03",
        "",
        "",
    ]
    assert frame["duration_s"].isna().tolist() == [True, True, True, False]
    assert frame["released"].tolist() == ["2021", "", "2021-03-04", "2021-03"]
    assert frame["artist"].tolist() == ["", "Cyd", "Cyd", "Ada"]
    assert report.problems == (
        "line 4: duration_ms 'long' is not a number; taken as unknown",
        "line 5: duration_ms -5 is negative; taken as unknown",
        "line 6: item_id is empty",
    )
    assert (report.rows_read, report.rows_used, report.rows_broken, report.rows_duplicate) == (6, 4, 1, 1)


def test_tracks_of_which_only_the_id_is_known(tmp_path: Path) -> None:
    frame, _ = read_tracks(write(tmp_path / "t.csv", "item_id", "a"))
    assert frame.drop(columns="duration_s").iloc[0].tolist() == ["a", "", "", "", "", "", "", ""]


def test_a_date_that_is_none_is_named(tmp_path: Path) -> None:
    frame, report = read_tracks(write(tmp_path / "t.csv", "item_id,released", "a,soon", "b,2020"))
    assert frame["released"].tolist() == ["", "2020"]
    assert report.problems == ("line 2: released 'soon' is not an ISO date; taken as unknown",)
    assert report.rows_broken == 0


VECTORS = np.array([[0.1, -2.5, 3e-8], [1, 2, 3]], dtype=np.float32)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".jsonl"])
def test_embeddings_are_read_as_they_were_written(tmp_path: Path, ending: str) -> None:
    write_table(tmp_path / f"e{ending}", pd.DataFrame({"item_id": ["a", "b"], "embedding": list(VECTORS)}))
    ids, vectors, report = read_embeddings(tmp_path / f"e{ending}")
    assert ids == ["a", "b"]
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, VECTORS)
    assert report.rows_used == 2


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".csv"])
def test_embeddings_that_cannot_be_used(tmp_path: Path, ending: str) -> None:
    rows: list[object] = [[float(n), 1.0] for n in range(30)]
    rows[3], rows[5], rows[7], rows[9], rows[11] = [1.0], [1.0, None], None, [], [1.0, 1e300]
    ids = [f"t{n}" for n in range(30)]
    ids[20] = "t19"
    path = tmp_path / f"e{ending}"
    if ending == ".jsonl":
        write(path, *(json.dumps({"track_id": i, "vector": r}) for i, r in zip(ids, rows, strict=True)))
    else:
        frame = pd.DataFrame({"item_id": ids, "embedding": rows})
        if ending == ".csv":
            frame["embedding"] = [json.dumps(row) for row in rows]
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path)
    found, vectors, report = read_embeddings(path)
    unit, first = {".parquet": ("row", 1), ".jsonl": ("line", 1), ".csv": ("line", 2)}[ending]
    assert report.problems == (
        f"{unit} {first + 3}: embedding has 1 numbers, expected 2 as in most rows",
        f"{unit} {first + 5}: embedding holds NaN or infinity, or a number that is too large for float32",
        f"{unit} {first + 7}: embedding is empty or is not a list of numbers",
        f"{unit} {first + 9}: embedding is empty or is not a list of numbers",
        f"{unit} {first + 11}: embedding holds NaN or infinity, or a number that is too large for float32",
    )
    assert (report.rows_used, report.rows_broken, report.rows_duplicate) == (24, 5, 1)
    assert len(found) == 24
    assert vectors[found.index("t19")].tolist() == [20, 1]  # the last one counts
    assert vectors[found.index("t4")].tolist() == [4, 1]


def test_embeddings_in_other_texts(tmp_path: Path) -> None:
    path = write(
        tmp_path / "e.csv", "item_id,embedding", "a,0.5 1.5", 'b,"[0.25\n 1e-3]"', 'c,"1, 2"', 'd,"(1;2)"', 'e,"[1,2]"'
    )
    ids, vectors, _ = read_embeddings(path)
    assert ids == list("abcde")
    np.testing.assert_array_equal(vectors, np.float32([[0.5, 1.5], [0.25, 1e-3], [1, 2], [1, 2], [1, 2]]))


def test_fixed_size_and_double_lists(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for kind in (pa.list_(pa.float32(), 2), pa.large_list(pa.float64()), pa.list_(pa.int32()), pa.list_(pa.float16())):
        values = pa.array(
            [[1, 2], [3, 4]]
            if kind.value_type != pa.float16()
            else [[np.float16(1), np.float16(2)], [np.float16(3), np.float16(4)]],
            kind,
        )
        pq.write_table(pa.table({"item_id": ["a", "b"], "embedding": values}), tmp_path / "e.parquet")
        assert read_embeddings(tmp_path / "e.parquet")[1].tolist() == [[1, 2], [3, 4]]


def test_embeddings_that_are_all_broken(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 of 2 rows cannot be used"):
        read_embeddings(write(tmp_path / "e.csv", "item_id,embedding", "a,x", "b,y"))


def test_read_table_takes_any_columns_as_text(tmp_path: Path) -> None:
    path = write(tmp_path / "c.csv", "track,note,more", "a,1,x", ",2,x", "c,,x", "d,,x", "e,,x", "f,,x")
    frame, report = read_table(path, {"item_id": ("track",), "note": (), "absent": ()}, ["item_id"])
    assert frame.to_numpy().tolist() == [["a", "1"], ["c", ""], ["d", ""], ["e", ""], ["f", ""]]
    assert frame.columns.tolist() == ["item_id", "note"]
    assert report.problems == ("line 3: item_id is empty",)


def test_a_failed_write_keeps_the_old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(tmp_path / "x.csv", LOG)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(OSError, match="No space"):
        write_table(tmp_path / "x.csv", LOG.iloc[:1])
    assert len(read_interactions(tmp_path / "x.csv")[0]) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


@pytest.mark.real
def test_the_real_log(shared_dir: Path) -> None:
    log_frame, report = read_interactions(shared_dir / "listens" / "interactions.csv")
    assert (report.rows_used, report.problems) == (92834, ())
    assert log_frame["user_id"].nunique() == 1892
    assert log_frame["item_id"].nunique() == 17632
    tracks, report = read_tracks(shared_dir / "listens" / "tracks.csv")
    assert (len(tracks), report.problems) == (17632, ())
    ids, vectors, report = read_embeddings(shared_dir / "listens" / "timbre.parquet")
    assert vectors.shape == (941, 26)
    assert set(ids) <= set(tracks["item_id"])


@pytest.mark.real
def test_a_real_table_with_commas_in_quotes(shared_dir: Path) -> None:
    frame, report = read_tracks_of_attribution(shared_dir / "music" / "ATTRIBUTION.csv")
    assert report.problems == ()
    assert len(frame) == 110 - 8
    assert frame["artist"].nunique() == 29


def read_tracks_of_attribution(path: Path) -> tuple[pd.DataFrame, tables.TableReport]:
    return read_table(path, {"item_id": ("file",), "artist": (), "changes": ()}, ["item_id", "artist"])


def test_a_tracks_musicbrainz_id_is_read_under_the_names_that_taggers_give_it(tmp_path: Path) -> None:
    path = tmp_path / "tracks.csv"
    path.write_text("item_id,mb_trackid\na,3F0F6FF0-0A41-4F0E-8F5C-6A0E5F3A1D01\nb,unknown\nc,\n")
    frame, report = read_tracks(path)
    assert frame["recording_mbid"].tolist() == ["3f0f6ff0-0a41-4f0e-8f5c-6a0e5f3a1d01", "", ""]
    assert report.rows_used == 3


def test_a_table_may_name_years_and_genres(tmp_path: Path) -> None:
    path = tmp_path / "tracks.csv"
    path.write_text("item_id,year,genre\na,1994,Trip hop; Dub\nb,,\n")
    frame, _ = read_tracks(path)
    assert frame["genre"].tolist() == ["Trip hop; Dub", ""]
    years = Catalog.from_frame(frame).years
    assert years[0] == 1994
    assert np.isnan(years[1])


def test_durations_may_be_written_as_a_clock_shows_them(tmp_path: Path) -> None:
    """``beet export -l -f jsonlines`` writes lengths so."""
    path = tmp_path / "beets.jsonl"
    rows = [("1", "4:05"), ("2", "1:02:03.5"), ("3", "61.5"), ("4", ""), ("5", "0:00"), ("6", "4:75")]
    path.write_text("".join(json.dumps({"id": item, "title": "t", "length": length}) + "\n" for item, length in rows))
    frame, report = read_tracks(path)
    np.testing.assert_array_equal(frame["duration_s"], [245.0, 3723.5, 61.5, np.nan, np.nan, np.nan])
    assert [problem.split(":", 1)[0] for problem in report.problems] == ["line 6"]
    assert "'4:75' is not a number; taken as unknown" in report.problems[0]
