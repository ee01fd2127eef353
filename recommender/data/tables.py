"""Tables of plays, tracks and embeddings from other programs' files, and tables for other programs.

A row that cannot be used is named by its line, counted, and left out; a file of which more than a fifth cannot be used
is refused. Large files are read by column: five million plays take seconds.

One file though it is long: every reader ends in the one verdict on rows that `_judge` gives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from recommender.data.catalog import TRACK_COLUMNS
from recommender.data.cells import Fault, id_cells, number_cells, text_cells, time_cells, too_long, vector_cells
from recommender.data.interactions import DISLIKED
from recommender.data.names import as_mbid
from recommender.data.raw_tables import Aliases, RawTable, read_raw
from recommender.data.storage import atomic_path
from recommender.errors import DataError

MAX_BROKEN = 0.2
"""Share of rows that may be broken before a table is refused."""
MAX_NAMED = 1000
"""So many problems are named one by one; the others are counted."""

ITEM_ALIASES = ("itemId", "item", "track_id", "track", "song_id", "song", "artist_id")
INTERACTION_ALIASES: Aliases = {
    "user_id": ("userId", "user", "username", "listener_id", "listener"),
    "item_id": ITEM_ALIASES,
    "weight": ("rating", "plays", "play_count", "count", "listens"),
    "timestamp": ("datetime", "time", "listened_at", "played_at", "date", "ts"),
}
TRACK_ALIASES: Aliases = {
    "item_id": (*ITEM_ALIASES[:3], "song_id", "id"),
    "title": ("name", "track_name", "track_title", "song_name", "song"),
    "artist": ("artist_name", "artists", "album_artist"),
    "album": ("album_name", "album_title", "release", "release_name"),
    "duration_s": ("duration", "length_s", "length", "duration_sec"),
    "duration_ms": ("length_ms",),
    "path": ("file", "file_name", "file_path", "location"),
    "released": ("release_date", "date", "year"),
    "genre": ("genres", "style", "styles"),
    "recording_mbid": ("mbid", "track_mbid", "mb_trackid", "musicbrainz_recordingid", "musicbrainz_trackid"),
}
EMBEDDING_ALIASES: Aliases = {"item_id": ITEM_ALIASES, "embedding": ("embeddings", "vector", "emb", "features")}

_CLOCK = r"^(?:(?P<h>\d{1,3}):)?(?P<m>\d{1,3}):(?P<s>[0-5]\d(?:\.\d+)?)$"
_DATE = re.compile(r"(\d{4})(?:\D?(\d{2})(?:\D?(\d{2}))?)?(?!\d)")


@dataclass(frozen=True)
class TableReport:
    """What became of a file's rows: ``rows_read = rows_used + rows_broken + rows_duplicate``.

    Parameters
    ----------
    path : Path
    rows_read : int
        Rows of the file, the header and blank lines apart.
    rows_used : int
        Rows that are in the result, alone or added to another row of the same user and track.
    rows_broken : int
        Rows that cannot be used.
    rows_duplicate : int
        Rows that say again what another row says.
    problems : tuple of str
        ``line 17: weight 'abc' is not a number``, in the file's order; at most `MAX_NAMED`, then one line that counts
        the rest. A problem that costs a cell and not the row ends in ``taken as unknown``.
    """

    path: Path
    rows_read: int
    rows_used: int
    rows_broken: int
    rows_duplicate: int
    problems: tuple[str, ...] = ()


def read_interactions(path: Path) -> tuple[pd.DataFrame, TableReport]:
    """Read a listening log.

    Parameters
    ----------
    path : Path
        ``.csv``, ``.tsv``, ``.inter``, ``.parquet`` or ``.jsonl``, with the columns of `INTERACTION_ALIASES`; names are
        compared without case, punctuation and RecBole's ``:token`` endings.

    Returns
    -------
    frame : DataFrame
        user_id and item_id (str), weight (float64, 1 where the file has no such column; 0 a skip, -1 a dislike),
        timestamp (datetime64[s], UTC, NaT where unknown). Rows with the same user, track and time are kept once. Rows
        of one user and track that have no time are plays of a log or counts, and are added up, unless one of them is a
        dislike: then that stands. The order is that of first appearance.
    report : TableReport

    Raises
    ------
    DataError
        If the file cannot be read, a column is missing, or more than a fifth of the rows is broken: an id is missing,
        a weight is no number, below 0 and not -1, or missing in a file that has weights, or a time means nothing.
    """
    raw = read_raw(path, INTERACTION_ALIASES, ("user_id", "item_id"))
    users, items = (id_cells(raw.columns[name], name) for name in ("user_id", "item_id"))
    faults = [*users.faults, *items.faults]
    weights = np.ones(len(raw))
    times: npt.NDArray[np.datetime64] = np.full(len(raw), np.datetime64("NaT", "s"))
    if "weight" in raw.columns:
        cells = number_cells(raw.columns["weight"], "weight")
        weights, limit = cells.values, float(np.finfo(np.float32).max)
        negative = (weights < 0) & (weights != DISLIKED)
        faults += [*cells.faults, Fault(negative, lambda row: f"weight {weights[row]:g} is negative")]
        faults += [Fault(weights > limit, lambda row: f"weight {weights[row]:g} is too large")]
    if "timestamp" in raw.columns:
        stamps = time_cells(raw.columns["timestamp"], "timestamp")
        times = stamps.values
        faults += stamps.faults
    verdict = _judge(raw, faults)
    kept = np.flatnonzero(verdict.good)
    user_ids, item_ids = (_take(cells.values, kept) for cells in (users, items))
    frame, n_duplicate = _merge_plays(user_ids, item_ids, weights[kept], times[kept])
    counts = (verdict.n_read, len(kept) - n_duplicate, verdict.n_broken, n_duplicate)
    return frame, TableReport(path, *counts, verdict.problems)


def read_tracks(path: Path) -> tuple[pd.DataFrame, TableReport]:
    """Read a track table.

    Returns
    -------
    frame : DataFrame
        item_id and `TRACK_COLUMNS`: texts are ``""`` and durations NaN where unknown, released is an ISO date, of which
        the year is enough. A track
        that is in the file more than once is kept as its last row has it.
    report : TableReport

    Raises
    ------
    DataError
        If the file cannot be read, has no item_id, or more than a fifth of its rows has none.
    """
    raw = read_raw(path, TRACK_ALIASES, ("item_id",))
    ids = id_cells(raw.columns["item_id"], "item_id")
    faults, doubts = list(ids.faults), []
    columns: dict[str, Any] = {"item_id": pd.Series(_take(ids.values, None))}
    for name in ("title", "artist", "album", "path", "recording_mbid", "genre"):
        if name in raw.columns:
            cells = text_cells(raw.columns[name], name)
            faults += [*cells.faults, too_long(cells.values, name)]
            text = pc.replace_substring_regex(pc.fill_null(cells.values, ""), r"\s+", " ")
            columns[name] = pd.Series(text.to_numpy(zero_copy_only=False), dtype="str")
        else:
            columns[name] = ""
    if "recording_mbid" in raw.columns:
        columns["recording_mbid"] = columns["recording_mbid"].map(as_mbid)
    columns["duration_s"] = np.full(len(raw), np.nan)
    for name, unit in (("duration_ms", 1e-3), ("duration_s", 1.0)):
        if name in raw.columns:
            values, doubt = _durations(raw.columns[name], name)
            columns["duration_s"] = np.where(np.isnan(values), columns["duration_s"], values * unit)
            doubts.append(doubt)
    columns["released"] = ""
    if "released" in raw.columns:
        columns["released"], doubt = _dates(raw.columns["released"])
        doubts.append(doubt)
    verdict = _judge(raw, faults, doubts)
    frame = pd.DataFrame(columns)[["item_id", *TRACK_COLUMNS]][verdict.good]
    unique = frame.drop_duplicates("item_id", keep="last").reset_index(drop=True)
    counts = (verdict.n_read, len(unique), verdict.n_broken, len(frame) - len(unique))
    return unique, TableReport(path, *counts, verdict.problems)


def read_embeddings(path: Path) -> tuple[list[str], npt.NDArray[np.float32], TableReport]:
    """Read a table of audio vectors.

    Returns
    -------
    ids : list of str
        Each once; of a track that is in the file more than once, the last vector counts.
    vectors : ndarray, shape (n, dim), float32
        Finite. dim is the length that most rows have.
    report : TableReport

    Raises
    ------
    DataError
        If the file cannot be read, a column is missing, or more than a fifth of the rows is broken: no id, another
        length, NaN or infinity, no list of numbers.
    """
    raw = read_raw(path, EMBEDDING_ALIASES, ("item_id", "embedding"))
    ids, vectors = id_cells(raw.columns["item_id"], "item_id"), vector_cells(raw.columns["embedding"], "embedding")
    verdict = _judge(raw, [*ids.faults, *vectors.faults], rows_may_span_lines=True)
    kept = np.flatnonzero(verdict.good)
    series = pd.Series(_take(ids.values, kept))
    last = ~series.duplicated(keep="last").to_numpy()
    counts = (verdict.n_read, int(last.sum()), verdict.n_broken, int((~last).sum()))
    report = TableReport(path, *counts, verdict.problems)
    return series[last].tolist(), vectors.values[kept[last]], report


def read_table(path: Path, aliases: Aliases, required: Iterable[str]) -> tuple[pd.DataFrame, TableReport]:
    """Read the columns that `aliases` knows as text, ``""`` where a cell is empty; nothing is merged.

    Parameters
    ----------
    path : Path
    aliases : mapping of str to sequence of str
        Our name of a column -> other names that it may have.
    required : iterable of str
        Columns that must be there, and must be filled.

    Raises
    ------
    DataError
        If the file cannot be read, a required column is missing, or more than a fifth of the rows is broken.
    """
    required = tuple(required)
    raw = read_raw(path, aliases, required)
    columns: dict[str, pd.Series[str]] = {}
    faults: list[Fault] = []
    for name, column in raw.columns.items():
        cells = (id_cells if name in required else text_cells)(column, name)
        faults += cells.faults
        columns[name] = pd.Series(pc.fill_null(cells.values, "").to_numpy(zero_copy_only=False), dtype="str")
    verdict = _judge(raw, faults)
    frame = pd.DataFrame(columns)[verdict.good].reset_index(drop=True)
    return frame, TableReport(path, verdict.n_read, len(frame), verdict.n_broken, 0, verdict.problems)


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a table by its ending (``.parquet``, ``.csv``, ``.tsv``, ``.jsonl``), whole or not at all.

    Vectors are lists in Parquet and JSON lines, and a JSON list in text tables. The index is not written.

    Raises
    ------
    DataError
        If the ending is another one.
    """
    ending = checked_ending(path)
    with atomic_path(path) as part:
        if ending == ".parquet":
            pyarrow.parquet.write_table(pa.Table.from_pandas(frame, preserve_index=False), part)
        elif ending == ".jsonl":
            _write_json_lines(part, frame)
        else:
            flat = frame.assign(**{c: [json.dumps(np.asarray(v).tolist()) for v in frame[c]] for c in _lists_of(frame)})
            flat.to_csv(part, index=False, sep="," if ending == ".csv" else "\t", lineterminator="\n")


def checked_ending(path: Path) -> str:
    """Return the ending that `write_table` goes by: ask before long work whose result goes to `path`.

    Raises
    ------
    DataError
        If it is none that tables are written in.
    """
    ending = path.suffix.lower()
    if ending not in (".parquet", ".csv", ".tsv", ".jsonl"):
        raise DataError(
            f"{path}: tables are written as .parquet, .csv, .tsv or .jsonl; {ending or 'no ending'!r} is none"
        )
    return ending


def _lists_of(frame: pd.DataFrame) -> list[str]:
    objects = [column for column in frame.columns if frame[column].dtype == object]
    return [c for c in objects if frame[c].map(lambda value: isinstance(value, list | np.ndarray)).any()]


def _write_json_lines(path: Path, frame: pd.DataFrame) -> None:
    """Write one object a row; pandas' own writer would round the small numbers of vectors."""
    lists = _lists_of(frame)
    others = frame.drop(columns=lists)
    plain = others.to_json(orient="records", lines=True, date_format="iso", force_ascii=False, double_precision=15)
    with path.open("w", encoding="utf-8") as file:
        if not lists:
            file.write(plain)
            return
        for row, text in enumerate(plain.split("\n")[: len(frame)]):
            vectors = {column: np.asarray(frame[column].iloc[row]).tolist() for column in lists}
            file.write(json.dumps({**json.loads(text or "{}"), **vectors}, ensure_ascii=False) + "\n")


@dataclass(frozen=True, eq=False)
class _Verdict:
    good: npt.NDArray[np.bool_]
    n_read: int
    n_broken: int
    problems: tuple[str, ...]


def _judge(
    raw: RawTable, faults: Sequence[Fault], doubts: Sequence[Fault] = (), *, rows_may_span_lines: bool = False
) -> _Verdict:
    """Tell which rows can be used, and name the others; a doubt is named, its row is used.

    A quote that is never closed makes one broken row of many lines: each of these lines counts as a broken row.
    """
    bad = np.zeros(len(raw), dtype=bool)
    for fault in faults:
        bad |= fault.mask
    told = bad.copy()
    for doubt in doubts:
        told |= doubt.mask
    n_read, n_broken = len(raw) + len(raw.rejected), int(bad.sum()) + len(raw.rejected)
    if n_broken == 0 and not told.any():
        return _Verdict(~bad, n_read, 0, ())
    positions = raw.positions()
    reasons = dict(raw.rejected)
    for row in np.flatnonzero(told)[:MAX_NAMED].tolist():
        reasons[int(positions[row])] = next(
            fault.reason(row) for fault in (faults if bad[row] else doubts) if fault.mask[row]
        )
    named = sorted(reasons)[:MAX_NAMED]
    spans = raw.numbers_of(named)
    if not rows_may_span_lines:
        lines_lost = sum(last - first for first, last in spans.values())
        n_read, n_broken = n_read + lines_lost, n_broken + lines_lost
    problems = [f"{_place(raw.unit, *spans[at])}: {reasons[at]}" for at in named]
    if (rest := int(told.sum()) + len(raw.rejected) - len(named)) > 0:
        problems.append(f"and {rest} more rows")
    if n_broken > MAX_BROKEN * n_read:
        raise DataError(
            f"{raw.path}: {n_broken} of {n_read} rows cannot be used, at most {MAX_BROKEN:.0%} may be; "
            f"{'; '.join(problems[:3])}; correct them or leave them out"
        )
    return _Verdict(~bad, n_read, n_broken, tuple(problems))


def _place(unit: str, first: int, last: int) -> str:
    return f"{unit} {first}" if first == last else f"{unit}s {first} to {last}"


def _take(values: Any, rows: npt.NDArray[np.int64] | None) -> pd.Series[str]:
    taken = values if rows is None or len(rows) == len(values) else values.take(pa.array(rows))
    return pd.Series(pa.table({"ids": taken}).to_pandas()["ids"], dtype="str")


def _merge_plays(
    users: pd.Series[str],
    items: pd.Series[str],
    weights: npt.NDArray[np.float64],
    times: npt.NDArray[np.datetime64],
) -> tuple[pd.DataFrame, int]:
    """Keep plays with a time once, add up those without; return them and how many were left out as duplicates."""
    user_codes, _ = pd.factorize(users)
    item_codes, item_ids = pd.factorize(items)
    pairs = user_codes.astype(np.int64) * max(len(item_ids), 1) + item_codes
    timed = ~np.isnat(times)
    repeated = pd.DataFrame({"pair": pairs, "time": times.view(np.int64)}).duplicated().to_numpy()
    kept = ~repeated
    if (repeated & ~timed).any():
        rows = np.flatnonzero(~timed)
        codes, unique = pd.factorize(pairs[rows])
        weights = weights.copy()
        lowest = np.full(len(unique), np.inf)
        np.minimum.at(lowest, codes, weights[rows])
        total = np.bincount(codes, weights[rows], minlength=len(unique))
        weights[rows[kept[rows]]] = np.where(lowest < 0, lowest, total)
    frame = pd.DataFrame({"user_id": users, "item_id": items, "weight": weights, "timestamp": times})
    return frame[kept].reset_index(drop=True), int((repeated & timed).sum())


def _durations(column: pa.ChunkedArray, name: str) -> tuple[npt.NDArray[np.float64], Fault]:
    """Read seconds; 4:05 and 1:02:03 are minutes and hours, as beets and people write them."""
    cells = number_cells(column, name)
    values = cells.values.copy()
    if np.isnan(values).any() and name == "duration_s":
        clocks = pc.extract_regex(text_cells(column, name).values, _CLOCK)
        parts = [pc.struct_field(clocks, part).to_numpy(zero_copy_only=False) for part in ("h", "m", "s")]
        hours, minutes, seconds = (pd.to_numeric(pd.Series(part)).fillna(0).to_numpy(dtype=float) for part in parts)
        told = pc.is_valid(clocks).to_numpy(zero_copy_only=False)
        values[told] = (3600 * hours + 60 * minutes + seconds)[told]
    silent = cells.faults[0].mask | (values == 0)
    values[~np.isfinite(values) | (values <= 0)] = np.nan
    doubtful = np.isnan(values) & ~silent
    reasons = (*cells.faults, Fault(doubtful, lambda row: f"{name} {cells.values[row]:g} is negative"))
    return values, Fault(
        doubtful, lambda row: f"{next(f.reason(row) for f in reasons if f.mask[row])}; taken as unknown"
    )


def _dates(column: pa.ChunkedArray) -> tuple[list[str], Fault]:
    texts = pc.fill_null(text_cells(column, "released").values, "").to_pylist()
    dates = [iso_date(text) for text in texts]
    doubtful = np.array([bool(text) and not date for text, date in zip(texts, dates, strict=True)], dtype=bool)
    return dates, Fault(doubtful, lambda row: f"released {texts[row][:40]!r} is not an ISO date; taken as unknown")


def iso_date(text: str) -> str:
    """Return the ISO date that `text` begins with, as exact as it is (yyyy, yyyy-mm or yyyy-mm-dd); ``""`` if none.

    Examples
    --------
    >>> [iso_date(text) for text in ("2021-03-04T10:00:00", "20210304", "2021-03", "2021-00-00", "0000", "soon")]
    ['2021-03-04', '2021-03-04', '2021-03', '2021', '', '']
    """
    found = _DATE.match(text.strip())
    if found is None or int(found[1]) < 1000:
        return ""
    year, month, day = found.groups()
    if month is None or not 1 <= int(month) <= 12:
        return str(year)
    if day is None or not 1 <= int(day) <= 31:
        return f"{year}-{month}"
    return f"{year}-{month}-{day}"
