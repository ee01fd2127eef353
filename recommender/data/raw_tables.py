"""Files of rows as columns: CSV, TSV, RecBole's atomic files, Parquet and JSON lines, before anything is believed.

Rows that cannot be laid out in columns at all (a line with too few fields, a line that is not JSON) are rejected here,
with a reason; what the cells hold is judged in `recommender.data.cells`. Every row keeps the number that a person
would look for: its line in a text file, its row in a Parquet file.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from recommender.errors import DataError

ENDINGS = (".csv", ".tsv", ".inter", ".item", ".parquet", ".jsonl")
Aliases = Mapping[str, Sequence[str]]
"""Our name of a column -> the names that files give it, ours first; compared without case and punctuation."""

_BLOCK_BYTES = 1 << 24
_SAMPLE_RECORDS = 100
_ANY_BYTES = "latin-1"
_JSON_TYPES = {
    frozenset({str}): pa.large_string(),
    frozenset({int}): pa.int64(),
    frozenset({float}): pa.float64(),
    frozenset({int, float}): pa.float64(),
    frozenset({list}): pa.list_(pa.float64()),
}


@dataclass(frozen=True, eq=False)
class RawTable:
    """Columns as a file holds them.

    Parameters
    ----------
    path : Path
    columns : dict of str to pyarrow.ChunkedArray
        By our names; only those that the file has. All of the same length.
    rejected : dict of int to str
        Number of a row, counted from 0 over all rows of the file -> why it is in no column.
    unit : {"line", "row"}
        What `numbers_of` counts.
    """

    path: Path
    columns: dict[str, pa.ChunkedArray]
    rejected: dict[int, str]
    unit: Literal["line", "row"]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def positions(self) -> npt.NDArray[np.int64]:
        """Return each row's number among all rows of the file, the rejected ones included; shape (n,)."""
        everything = np.arange(len(self) + len(self.rejected))
        return np.delete(everything, list(self.rejected)) if self.rejected else everything

    def numbers_of(self, positions: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Return the first and the last line (or row, from 1) of some rows.

        Reads the file once more: lines are only counted for the rows that somebody is told of.
        """
        if self.unit == "row":
            return {position: (position + 1, position + 1) for position in positions}
        wanted, last = set(positions), max(positions, default=-1)
        found: dict[int, tuple[int, int]] = {}
        spans = _json_spans(self.path) if self.path.suffix.lower() == ".jsonl" else _csv_spans(self.path)
        for position, span in enumerate(spans):
            if position in wanted:
                found[position] = span
            if position >= last:
                break
        return found


def read_raw(path: Path, aliases: Aliases, required: Iterable[str]) -> RawTable:
    """Read the columns of a file that `aliases` knows.

    Raises
    ------
    DataError
        If the file is missing, empty, of an unknown ending or no table of its ending; if a required column is missing.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise DataError(f"{path}: tables end in {', '.join(ENDINGS)}; {ending or 'no ending'!r} is none of them")
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty (0 bytes); expected a table with {_wanted(aliases, required)}")
        if ending == ".parquet":
            return _read_parquet(path, aliases, required)
        if ending == ".jsonl":
            return _read_json_lines(path, aliases, required)
        return _read_csv(path, aliases, required)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def pick_columns(path: Path, names: Sequence[str], aliases: Aliases, required: Iterable[str]) -> dict[str, int]:
    """Return the position of each known column; the first alias that is there wins.

    Raises
    ------
    DataError
        If a required column is missing; names what was found and what was expected.
    """
    plain = [_plain(name) for name in names]
    picked: dict[str, int] = {}
    for column, others in aliases.items():
        positions = (plain.index(_plain(alias)) for alias in (column, *others) if _plain(alias) in plain)
        if (position := next(positions, None)) is not None:
            picked[column] = position
    if missing := [column for column in required if column not in picked]:
        shown = ", ".join(repr(name[:40]) for name in names[:20]) or "none"
        raise DataError(
            f"{path} has no column {' and no column '.join(missing)}; found the columns {shown}; expected "
            f"{_wanted(aliases, missing)}; rename the column or add the line of column names"
        )
    return picked


def _plain(name: str) -> str:
    """Reduce ``user_id``, ``userID``, ``User Id`` and ``user_id:token`` to one spelling."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r":(token|float)(_seq)?$", "", name.strip().lower()))


def _wanted(aliases: Aliases, columns: Iterable[str]) -> str:
    return ", ".join(
        f"{column} (or {', '.join(aliases[column])})" if aliases.get(column) else column for column in columns
    )


def _read_csv(path: Path, aliases: Aliases, required: Iterable[str]) -> RawTable:
    with _csv_rows(path) as rows:
        header: list[str] = next((row for row in rows if row), [])
        picked = pick_columns(path, header, aliases, required)
        skipped, some = rows.line_num, any(rows)
    names = [str(position) for position in range(len(header))]
    included = [names[position] for position in picked.values()]
    if not some:
        return RawTable(path, {column: pa.chunked_array([], pa.large_string()) for column in picked}, {}, "line")
    rejected: dict[int, str] = {}

    def reject(row: pyarrow.csv.InvalidRow) -> str:
        rejected[row.number - skipped - 1] = f"has {row.actual_columns} fields, expected {row.expected_columns}"
        return "skip"

    quote, encoding = _quoting(path), _encoding(path)
    try:
        table = pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False,  # numbers of rejected rows are only told by the serial reader
                column_names=names,
                skip_rows=skipped,
                block_size=_BLOCK_BYTES,
                encoding={"utf-16": "utf-16", "utf-8-sig": "utf8"}.get(encoding, encoding),
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=_delimiter(path),
                quote_char='"' if quote else False,
                newlines_in_values=quote,
                invalid_row_handler=reject,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=included,
                column_types=dict.fromkeys(included, pa.binary()),
                strings_can_be_null=False,
                null_values=[],
            ),
        )
    except (pa.ArrowInvalid, UnicodeError) as error:
        first, last = max(_csv_spans(path), key=lambda span: span[1] - span[0], default=(1, 1))
        quote_hint = f"; a quote that opens on line {first} closes on line {last}" if last > first else ""
        raise DataError(f"{path} cannot be read as a table of text: {error}{quote_hint}") from error
    if encoding == _ANY_BYTES:
        table = pa.table({name: _as_bytes(table[name]) for name in included})
    return RawTable(path, {column: table[names[at]] for column, at in picked.items()}, rejected, "line")


def _as_bytes(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Turn cells that were read byte by letter back into the bytes that the file holds."""
    cells = (value.decode("utf-8").encode(_ANY_BYTES) for value in column.to_pylist())
    return pa.chunked_array([pa.array(cells, pa.large_binary())])


def _read_parquet(path: Path, aliases: Aliases, required: Iterable[str]) -> RawTable:
    try:
        names = pyarrow.parquet.read_schema(path).names
        picked = pick_columns(path, names, aliases, required)
        table = pyarrow.parquet.read_table(path, columns=[names[position] for position in picked.values()])
    except pa.ArrowException as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}; write it again") from error
    return RawTable(path, {column: table[names[at]] for column, at in picked.items()}, {}, "row")


def _read_json_lines(path: Path, aliases: Aliases, required: Iterable[str]) -> RawTable:
    table = _read_json_fast(path, aliases)
    if table is None:
        return _read_json_slowly(path, aliases, required)
    picked = pick_columns(path, table.column_names, aliases, required)
    return RawTable(path, {column: table.column(at) for column, at in picked.items()}, {}, "line")


def _read_json_fast(path: Path, aliases: Aliases) -> pa.Table | None:
    """Read a file in which every record has the types of the first ones; None if one has not."""
    known = {_plain(alias) for column, others in aliases.items() for alias in (column, *others)}
    kinds: dict[str, set[type]] = {}
    try:
        for _, text in zip(range(_SAMPLE_RECORDS), _json_texts(path), strict=False):
            for key, value in json.loads(text).items():
                if value is not None and _plain(key) in known:
                    kinds.setdefault(key, set()).add(type(value))
        schema = pa.schema([(key, _JSON_TYPES[frozenset(kind)]) for key, kind in kinds.items()])
        return pyarrow.json.read_json(
            path,
            read_options=pyarrow.json.ReadOptions(block_size=_BLOCK_BYTES),
            parse_options=pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer"),
        )
    except (ValueError, KeyError, AttributeError, pa.ArrowException):
        return None


def _read_json_slowly(path: Path, aliases: Aliases, required: Iterable[str]) -> RawTable:
    names: dict[str, None] = {}
    records: list[dict[str, Any]] = []
    rejected: dict[int, str] = {}
    for position, text in enumerate(_json_texts(path)):
        try:
            record = json.loads(text)
        except ValueError as error:
            rejected[position] = f"is not JSON: {error}"
            continue
        if isinstance(record, dict):
            names.update(dict.fromkeys(record))
            records.append(record)
        else:
            rejected[position] = f"is a JSON {type(record).__name__}, expected an object"
    if rejected and not records:
        raise DataError(f"{path} has no line that is a JSON object; the first one {next(iter(rejected.values()))}")
    keys = list(names)
    picked = pick_columns(path, keys, aliases, required)
    columns = {
        column: pa.chunked_array([pa.array([_text(r.get(keys[at])) for r in records], pa.large_string())])
        for column, at in picked.items()
    }
    return RawTable(path, columns, rejected, "line")


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return None if value is None else value.encode("utf-8", "replace").decode()  # a lone surrogate is no text
    return str(int(value)) if isinstance(value, float) and value.is_integer() else json.dumps(value)


def _json_texts(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="\n") as file:
        yield from (line for line in file if line.strip())


def _json_spans(path: Path) -> Iterator[tuple[int, int]]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="\n") as file:
        yield from ((number, number) for number, line in enumerate(file, start=1) if line.strip())


def _csv_spans(path: Path) -> Iterator[tuple[int, int]]:
    with _csv_rows(path) as rows:
        seen_header, before = False, 0
        for row in rows:
            if row and seen_header:
                yield before + 1, rows.line_num
            seen_header, before = seen_header or bool(row), rows.line_num


@contextmanager
def _csv_rows(path: Path) -> Iterator[Any]:
    """Give the records of a text table as lists, with `line_num`; blank lines are empty lists."""
    limit = csv.field_size_limit(1 << 30)
    try:
        with _open_text(path) as file:
            quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if _quoting(path) else csv.QUOTE_NONE
            yield csv.reader(file, delimiter=_delimiter(path), quoting=quoting)
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as a table of text: {error}") from error
    finally:
        csv.field_size_limit(limit)


def _open_text(path: Path) -> IO[str]:
    encoding = "utf-16" if _is_utf16(path) else "utf-8-sig"
    return path.open(encoding=encoding, errors="replace", newline="")


def _is_utf16(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) in (b"\xff\xfe", b"\xfe\xff")


def _encoding(path: Path) -> str:
    """Return ``utf-16``, ``utf-8-sig``, or, for a file that is neither, the encoding in which any byte is a letter.

    pyarrow cannot tell of a row with too few fields whose bytes are no text.
    """
    if _is_utf16(path):
        return "utf-16"
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while block := file.read(_BLOCK_BYTES):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return _ANY_BYTES
    return "utf-8-sig"


def _quoting(path: Path) -> bool:
    return path.suffix.lower() not in (".inter", ".item")


def _delimiter(path: Path) -> str:
    if path.suffix.lower() != ".csv":
        return "\t"
    with _open_text(path) as file:
        header = next((line for line in file if line.strip()), "")
    return next((mark for mark in ",;\t" if mark in header), ",")
