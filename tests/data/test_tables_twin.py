"""The reader by columns against a reader by rows that anybody can follow."""

import csv
import io
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.data import raw_tables, tables
from recommender.data.tables import read_interactions
from recommender.errors import DataError

COLUMNS = ["user_id", "item_id", "weight", "timestamp"]
IDS = st.sampled_from(["u1", "u2", " u3", "ü,4", 'say "5"', "6.0", "two\nlines", "", "NaN", "a"])
WEIGHTS = st.sampled_from(["1", "2.5", "0", "-1", "abc", "", "nan", "inf", " 3 ", "1e2"])
TIMES = st.sampled_from(["", "1700000000", "1700000000000", "2023-11-14T22:13:20Z", "2023-11-14", "never", "-5e12"])
SECONDS = {
    "": None,
    "1": 1,
    "1700000000": 1_700_000_000,
    "1700000000000": 1_700_000_000,
    "2023-11-14T22:13:20Z": 1_700_000_000,
    "2023-11-14": 1_699_920_000,
}
GOOD = st.tuples(st.sampled_from(["u1", "u2"]), st.sampled_from(["a", "b,c"]), st.just("1"), st.just("1700000000"))
ROW = st.one_of(
    GOOD, GOOD, st.tuples(IDS, IDS, WEIGHTS, TIMES), st.lists(st.sampled_from(["u1", "a", "1"]), min_size=1, max_size=6)
)


def read_by_rows(text: str) -> tuple[list[tuple[str, str, float, int | None]], list[int], int, int]:
    """Return the plays, the lines of broken rows, how many rows are broken and how many there are."""
    reader = csv.reader(io.StringIO(text, newline=""))
    next(reader)
    line = reader.line_num
    plays: dict[tuple[str, str, int | None], float] = {}
    lines, n_broken, n_read = [], 0, 0
    for row in reader:
        first, line = line + 1, reader.line_num
        if not row:
            continue
        play = parse(row)
        n_read += 1
        if play is None:
            lines.append(first)
            n_broken += line - first + 1
            n_read += line - first
            continue
        user, item, weight, time = play
        if time is None:
            plays[(user, item, time)] = plays.get((user, item, time), 0.0) + weight
        else:
            plays.setdefault((user, item, time), weight)
    return [(u, i, w, t) for (u, i, t), w in plays.items()], lines, n_broken, n_read


def parse(row: list[str]) -> tuple[str, str, float, int | None] | None:
    if len(row) != 4:
        return None
    user, item, weight, time = (cell.strip() for cell in row)
    if user in ("", "NaN") or item in ("", "NaN") or "\n" in user + item:
        return None
    try:
        value = float(weight)
    except ValueError:
        return None
    if not math.isfinite(value) or (value < 0 and value != -1) or time not in SECONDS:
        return None
    return user, item, value, SECONDS[time]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(ROW, min_size=1, max_size=25),
    blank=st.sets(st.integers(0, 25)),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_by_columns_is_by_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[tuple[str, ...]], blank: set[int], newline: str
) -> None:
    monkeypatch.setattr(tables, "MAX_BROKEN", 1.0)
    monkeypatch.setattr(raw_tables, "_BLOCK_BYTES", 200)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator=newline)
    writer.writerow(COLUMNS)
    for at, row in enumerate(rows):
        writer.writerow(row)
        if at in blank:
            buffer.write(newline)
    (tmp_path / "x.csv").write_bytes(buffer.getvalue().encode())
    plays, lines, n_broken, n_read = read_by_rows(buffer.getvalue())
    frame, report = read_interactions(tmp_path / "x.csv")
    times = frame["timestamp"].to_numpy()
    seconds = [None if np.isnat(time) else int(time.astype("int64")) for time in times]
    read = list(zip(frame["user_id"], frame["item_id"], frame["weight"], seconds, strict=True))
    assert read == plays
    assert [int(problem.split(":")[0].split()[1]) for problem in report.problems] == lines
    assert (report.rows_broken, report.rows_read) == (n_broken, n_read)
    assert report.rows_read == report.rows_used + report.rows_broken + report.rows_duplicate


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), ending=st.sampled_from([".csv", ".tsv", ".inter", ".jsonl", ".parquet"]))
def test_no_bytes_make_it_fail_otherwise(tmp_path: Path, data: bytes, ending: str) -> None:
    head = b'{"user_id": "u", "item_id": "i"}\n' if ending == ".jsonl" else b"user_id\titem_id\n"
    for content in (data, head + data, head + b"u\ti\n" * 5 + data):
        (tmp_path / f"x{ending}").write_bytes(content)
        try:
            _, report = read_interactions(tmp_path / f"x{ending}")
        except DataError:
            continue
        assert report.rows_read == report.rows_used + report.rows_broken + report.rows_duplicate
