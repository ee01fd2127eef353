"""What the cells of a column mean: ids, texts, numbers, times, vectors; and which of them cannot be used, and why.

Columns of millions of rows are read whole; only cells that cannot be used are looked at one by one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recommender.errors import DataError

Mask = npt.NDArray[np.bool_]
Values = TypeVar("Values")

MISSING = ("", "nan", "NaN", "NAN", "null", "NULL", "None", "NaT", "<NA>")
EARLIEST, LATEST = np.datetime64("1900-01-01", "s"), np.datetime64("2200-01-01", "s")


@dataclass(frozen=True, eq=False)
class Fault:
    """Cells that cannot be used.

    Parameters
    ----------
    mask : ndarray, shape (n,), bool
    reason : callable
        From a row to what is wrong with its cell.
    """

    mask: Mask
    reason: Callable[[int], str]


@dataclass(frozen=True, eq=False)
class Cells(Generic[Values]):
    """The values of a column, and the faults among them; a faulty cell's value means nothing."""

    values: Values
    faults: tuple[Fault, ...] = ()


def id_cells(column: pa.ChunkedArray, name: str) -> Cells[pa.LargeStringArray]:
    """Read ids: text without surrounding space; a missing id is a fault, and so is a quoted line break."""
    cells = text_cells(column, name)
    missing = _mask(pc.or_(pc.is_null(cells.values), pc.is_in(cells.values, pa.array(MISSING, pa.large_string()))))
    broken = _mask(pc.match_substring(cells.values, "\n"))
    return Cells(
        cells.values,
        (
            *cells.faults,
            Fault(missing, lambda _: f"{name} is empty"),
            Fault(
                broken, lambda row: f"{name} {_shown(cells.values[row])} runs over several lines: is a quote missing?"
            ),
        ),
    )


def text_cells(column: pa.ChunkedArray, name: str) -> Cells[pa.LargeStringArray]:
    """Read text without surrounding space; null where there is none. Bytes that are not UTF-8 are a fault.

    Raises
    ------
    DataError
        If the column holds lists or structures.
    """
    column = _decoded(column)
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        try:
            text = column.cast(pa.large_string())
        except pa.ArrowInvalid:
            return _bytes_as_text(column, name)
    elif pa.types.is_floating(kind):
        text = _float_ids(column)
    elif pa.types.is_nested(kind):
        raise DataError(f"column {name} holds {kind}, expected one text or number a row")
    else:
        text = column.cast(pa.large_string())
    return Cells(pc.utf8_trim_whitespace(_whole(text, pa.large_string())))


def too_long(values: pa.LargeStringArray, name: str) -> Fault:
    """Find texts of more than five lines: a quote that was not closed has swallowed the rows that follow."""
    mask = _mask(pc.greater(pc.count_substring(values, "\n"), 5))
    return Fault(mask, lambda row: f"{name} {_shown(values[row])} runs over many lines: is a quote missing?")


def number_cells(column: pa.ChunkedArray, name: str) -> Cells[npt.NDArray[np.float64]]:
    """Read numbers; a cell that is empty, is no number or is not finite is a fault."""
    values, text = _numbers(column, name)
    return Cells(
        values,
        (
            Fault(_missing(text, values), lambda _: f"{name} is empty or NaN"),
            Fault(np.isnan(values), lambda row: f"{name} {_cell(text, values, row)} is not a number"),
            Fault(np.isinf(values), lambda row: f"{name} {_cell(text, values, row)} is not finite"),
        ),
    )


def time_cells(column: pa.ChunkedArray, name: str) -> Cells[npt.NDArray[np.datetime64]]:
    """Read times: datetime64[s], UTC, NaT where there is none.

    Understood are timestamps and dates of Parquet, Unix times in s, ms, µs or ns (told apart by their size), and ISO
    8601 texts with a full date; a text without a zone is UTC. Fractions of a second are cut off.
    """
    column = _decoded(column)
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zone = kind.tz if pa.types.is_timestamp(kind) else None
        seconds = _whole(column.cast(pa.timestamp("s", zone), safe=False), pa.timestamp("s", zone))
        times = seconds.cast(pa.int64()).fill_null(np.iinfo(np.int64).min).to_numpy().view("datetime64[s]")
        return Cells(times, (_implausible(times, name),))
    numbers, text = _numbers(column, name)
    times = _from_unix(numbers)
    missing = _missing(text, numbers)
    if text is None:
        return Cells(times, (_implausible(times, name, numbers),))
    rest = np.flatnonzero(np.isnan(numbers) & ~missing)
    if len(rest):
        times[rest] = _from_iso(text.take(pa.array(rest)))
    bad = np.isnat(times) & ~missing & ~np.isinf(numbers)
    reason = "is not a time, expected Unix seconds or ISO 8601 (2024-05-31T20:15:00Z)"
    return Cells(
        times,
        (Fault(bad | np.isinf(numbers), lambda row: f"{name} {_shown(text[row])} {reason}"), _implausible(times, name)),
    )


def vector_cells(column: pa.ChunkedArray, name: str) -> Cells[npt.NDArray[np.float32]]:
    """Read vectors, shape (n, dim), float32; dim is the most frequent length, other lengths are a fault.

    Lists of numbers, or text that holds numbers: ``[0.1, 0.2]``, ``0.1 0.2``. A missing vector, a number that is not
    finite or a text that is not numbers is a fault.
    """
    column = _decoded(column)
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type) or _is_fixed(column.type)):
        cells = text_cells(column, name)
        lists = pa.array([_parse_vector(text) for text in cells.values.to_pylist()], pa.large_list(pa.float64()))
        vectors = vector_cells(pa.chunked_array([lists]), name)
        return Cells(vectors.values, (*cells.faults, *vectors.faults))
    try:
        lists = _whole(column.cast(pa.large_list(pa.float64())), pa.large_list(pa.float64()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"column {name} holds {column.type}, expected lists of numbers: {error}") from error
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy()
    usual = np.bincount(lengths[lengths > 0]) if (lengths > 0).any() else np.zeros(1, np.int64)
    dim = int(usual.argmax())
    right = lengths == dim if dim else np.zeros(len(lengths), bool)
    values = np.zeros((len(lengths), dim), dtype=np.float32)
    if dim:
        flat = lists.filter(pa.array(right)).flatten().to_numpy(zero_copy_only=False)
        with np.errstate(over="ignore"):
            values[right] = flat.reshape(-1, dim).astype(np.float32)
    bad: Mask = ~np.asarray(np.isfinite(values).all(axis=1))
    return Cells(
        values,
        (
            Fault(lengths == 0, lambda _: f"{name} is empty or is not a list of numbers"),
            Fault(~right, lambda row: f"{name} has {lengths[row]} numbers, expected {dim} as in most rows"),
            Fault(bad, lambda _: f"{name} holds NaN or infinity, or a number that is too large for float32"),
        ),
    )


def _whole(column: pa.ChunkedArray, kind: pa.DataType) -> Any:
    """Return one array; of no chunks, an empty one."""
    return column.combine_chunks() if column.num_chunks else pa.array([], kind)


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _is_fixed(kind: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_list(kind))


def _mask(values: Any) -> Mask:
    result: Mask = pc.fill_null(values, False).to_numpy(zero_copy_only=False)
    return result


def _bytes_as_text(column: pa.ChunkedArray, name: str) -> Cells[pa.LargeStringArray]:
    texts: list[str | None] = []
    bad = np.zeros(len(column), dtype=bool)
    for row, value in enumerate(column.to_pylist()):
        try:
            texts.append(None if value is None else value.decode("utf-8").strip())
        except UnicodeDecodeError:
            texts.append(value.decode("utf-8", "backslashreplace"))
            bad[row] = True
    values = pa.array(texts, pa.large_string())
    return Cells(
        values, (Fault(bad, lambda row: f"{name} {_shown(values[row])} is not UTF-8: save the file as UTF-8"),)
    )


def _float_ids(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Print whole floats as ints: a column of ints with a hole in it was read as floats by whoever wrote the file."""
    numbers = column.cast(pa.float64())
    numbers = pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))
    try:
        return numbers.cast(pa.int64()).cast(pa.large_string())
    except pa.ArrowInvalid:
        return numbers.cast(pa.large_string())


def _numbers(column: pa.ChunkedArray, name: str) -> tuple[npt.NDArray[np.float64], Any]:
    """Return float64 (NaN where there is no number), and the text they came from or None."""
    column = _decoded(column)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        return _whole(column.cast(pa.float64()), pa.float64()).to_numpy(zero_copy_only=False).astype(float), None
    text = text_cells(column, name).values
    blank = pc.is_in(text, pa.array(MISSING, pa.large_string()))
    try:
        numbers = pc.if_else(blank, pa.scalar(None, pa.large_string()), text).cast(pa.float64())
        return numbers.to_numpy(zero_copy_only=False).astype(float), text
    except pa.ArrowInvalid:
        numbers = pd.to_numeric(pd.Series(text.to_numpy(zero_copy_only=False), dtype=object), errors="coerce")
        return numbers.to_numpy(dtype=float, na_value=np.nan), text


def _missing(text: Any, values: npt.NDArray[np.float64]) -> Mask:
    if text is None:
        return np.isnan(values)
    return _mask(pc.or_(pc.is_null(text), pc.is_in(text, pa.array(MISSING, pa.large_string()))))


def _from_unix(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.datetime64]:
    size = np.abs(numbers)
    unit = np.select([size < 1e11, size < 1e14, size < 1e17], [1.0, 1e3, 1e6], 1e9)
    seconds = np.floor(numbers / unit)
    usable = np.isfinite(seconds) & (np.abs(seconds) < 1e15)
    result = np.full(len(numbers), np.datetime64("NaT", "s"))
    result[usable] = seconds[usable].astype(np.int64).view("datetime64[s]")
    return result


def _from_iso(text: Any) -> npt.NDArray[np.datetime64]:
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            whole = text.cast(kind).cast(pa.int64()).to_numpy()
        except pa.ArrowInvalid:
            continue
        seconds: npt.NDArray[np.datetime64] = (whole // 1_000_000).view("datetime64[s]")
        return seconds
    dated = _mask(pc.match_substring_regex(text, r"^\d{4}-\d{2}-\d{2}"))
    values = pd.Series(text.to_numpy(zero_copy_only=False), dtype=object).where(dated)
    times = pd.to_datetime(values, format="ISO8601", utc=True, errors="coerce")
    return times.dt.tz_localize(None).to_numpy(dtype="datetime64[s]")


def _implausible(times: npt.NDArray[np.datetime64], name: str, numbers: npt.NDArray[np.float64] | None = None) -> Fault:
    mask = ~np.isnat(times) & ((times < EARLIEST) | (times >= LATEST))
    if numbers is not None:
        mask |= np.isnat(times) & ~np.isnan(numbers)
    return Fault(mask, lambda row: f"{name} {times[row] if numbers is None else numbers[row]} is not in 1900 to 2199")


def _parse_vector(text: str | None) -> list[float | None] | None:
    if not text:
        return None
    try:
        value = json.loads(text)
        return [float(number) if number is not None else None for number in value]
    except (ValueError, TypeError):
        pass
    try:
        return [float(number) for number in re.split(r"[\s,;]+", text.strip("[]() \t\n"))]
    except ValueError:
        return None


def _cell(text: Any, values: npt.NDArray[np.float64], row: int) -> str:
    return str(values[row]) if text is None else _shown(text[row])


def _shown(cell: Any) -> str:
    value = repr(cell.as_py())
    return value if len(value) <= 60 else value[:56] + "...'"
