"""Music4All-Onion (Moscati et al., CIKM 2022; zenodo.org/records/6609677 and 15394646), with or without Music4All.

- `userid_trackid_timestamp.tsv`: user_id, track_id, timestamp (``2013-01-27 21:42:38``; Last.fm's times, UTC), one row
  a play, newest first within a user; or, where it is missing, `userid_trackid_count.tsv`: user_id, track_id, count.
- `id_information.csv` of Music4All (Santana et al., 2020), with tabs in spite of its name: id, artist, song,
  album_name; and `id_metadata.csv`: id, release (a year), duration_ms and others. Not required: Onion has no names.
- `id_*.tsv`: a feature of every track, id and one column a number. One of them becomes the embeddings.

All have a line of names and no quoting, and may be packed as published (``.tsv.bz2``). Read from the pages of the data
set, the converter of RUCAIBox/RecSysDatasets (usage/Onion.md) and public loaders. `id_tags_dict.tsv` is not used.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from recommender.data.cells import EARLIEST, LATEST, Cells, Fault, time_cells
from recommender.data.datasets.blocks import Rows, Tally, text_rows
from recommender.data.datasets.download import Download, SourceFile
from recommender.data.datasets.pairs import Codes, Pairs, plays_frame
from recommender.data.datasets.result import DatasetTables, counted_plays, filled, track_table
from recommender.data.progress import Progress
from recommender.data.tables import TableReport, iso_date
from recommender.errors import DataError

EXPECTED = (
    "userid_trackid_timestamp.tsv or userid_trackid_count.tsv, id_information.csv, or a feature such as id_ivec256.tsv"
)
NO_VECTORS = "id_tags_dict.tsv"


def read_onion(download: Download, progress: Progress) -> DatasetTables:
    """Read Music4All-Onion: whatever of plays, names and one feature is there."""
    reports: list[TableReport] = []
    notes: list[str] = []
    plays = tracks = embeddings = None
    if (events := download.find("userid_trackid_timestamp.tsv")) is not None:
        plays = _timed_plays(events, reports, progress)
    elif (counts := download.find("userid_trackid_count.tsv")) is not None:
        tally = Tally(counts)
        plays = counted_plays(tally, text_rows(tally, ("user_id", "track_id", "count"), progress=progress), Codes())
        reports.append(tally.report())
    if (names := download.find("id_information.csv")) is not None:
        tracks = _names(names, download.find("id_metadata.csv"), reports)
    features = [file for file in download.matching("id_*.tsv") if file.name != NO_VECTORS]
    if len(features) == 1:
        embeddings = _vectors(features[0], reports, progress)
    elif features:
        shown = ", ".join(file.path.name for file in features[:6])
        notes.append(
            f"{len(features)} features are there ({shown}) and none was read: name the one to use as embeddings, as in "
            f"--dataset music4all-onion:{features[0].path}"
        )
    if not reports and not notes:
        raise DataError(f"{download.source} has no file of Music4All-Onion; expected {EXPECTED}")
    return DatasetTables(tracks, plays, embeddings, tuple(reports), tuple(notes))


def _timed_plays(file: SourceFile, reports: list[TableReport], progress: Progress) -> pd.DataFrame:
    tally, users, tracks, pairs = Tally(file), Codes(), Codes(), Pairs()
    for rows in text_rows(tally, ("user_id", "track_id", "timestamp"), progress=progress):
        user, track = (filled(rows.column(name), name) for name in ("user_id", "track_id"))
        times = _times(rows.column("timestamp"))
        good = tally.judge(rows.numbers, [*user.faults, *track.faults, *times.faults])
        kept = pa.array(good)
        seconds = times.values[good].view(np.int64)
        pairs.add(
            users.of(user.values.filter(kept)), tracks.of(track.values.filter(kept)), np.ones(good.sum()), seconds
        )
    reports.append(tally.report())
    return plays_frame(users.ids(), tracks.ids(), pairs.result())


def _times(column: pa.ChunkedArray) -> Cells[npt.NDArray[np.datetime64]]:
    """Read times in the published form at once, in any other one by one."""
    try:
        seconds = column.combine_chunks().cast(pa.timestamp("s")).cast(pa.int64())
        times = seconds.to_numpy(zero_copy_only=False).view("datetime64[s]")
        if not len(times) or (times.min() >= EARLIEST and times.max() < LATEST):
            return Cells(times)
    except pa.ArrowInvalid:
        pass
    cells = time_cells(column, "timestamp")
    missing = np.isnat(cells.values)
    return Cells(cells.values, (*cells.faults, Fault(missing, lambda _: "timestamp is empty")))


def _names(file: SourceFile, metadata: SourceFile | None, reports: list[TableReport]) -> pd.DataFrame:
    wanted = ("id", "artist", "song", "album_name")
    frame = _texts(file, wanted, reports)
    tracks = track_table(frame["id"], artist=frame["artist"], title=frame["song"], album=frame["album_name"])
    if metadata is not None:
        more = _texts(metadata, ("id", "release", "duration_ms"), reports).set_index("id").reindex(frame["id"])
        tracks["released"] = [iso_date(text) if isinstance(text, str) else "" for text in more["release"]]
        seconds = pd.to_numeric(more["duration_ms"], errors="coerce").to_numpy(dtype=float) / 1000
        tracks["duration_s"] = np.where(seconds > 0, seconds, np.nan)
    return tracks


def _texts(file: SourceFile, wanted: tuple[str, ...], reports: list[TableReport]) -> pd.DataFrame:
    tally, parts = Tally(file), []
    for rows in text_rows(tally, wanted):
        ids = filled(rows.column(wanted[0]), wanted[0])
        good = pa.array(tally.judge(rows.numbers, ids.faults))
        table = pa.table({name: rows.column(name).filter(good) for name in wanted})
        parts.append(table.to_pandas().apply(lambda column: column.str.strip()))
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(wanted))
    unique = frame.drop_duplicates(wanted[0], keep="first")
    tally.n_duplicate = len(frame) - len(unique)
    reports.append(tally.report())
    return unique


def _vectors(
    file: SourceFile, reports: list[TableReport], progress: Progress
) -> tuple[list[str], npt.NDArray[np.float32]]:
    tally, codes = Tally(file), Codes()
    parts: list[npt.NDArray[np.float32]] = []
    for rows in text_rows(tally, ("id",), progress=progress):
        ids = filled(rows.column("id"), "id")
        values = _numbers(rows)
        bad = ~np.isfinite(values)
        good = tally.judge(
            rows.numbers, [*ids.faults, Fault(np.asarray(bad.any(axis=1)), partial(_not_a_number, rows, bad))]
        )
        before, found = len(codes), codes.of(ids.values.filter(pa.array(good)))
        new, first = np.unique(found, return_index=True)
        first = first[new >= before]
        tally.n_duplicate += len(found) - len(first)
        parts.append(values[good][first])
    reports.append(tally.report())
    return list(codes.code_of), np.concatenate(parts)


def _numbers(rows: Rows) -> npt.NDArray[np.float32]:
    """Return the numbers of a feature, shape (n_rows, n_columns - 1); NaN where a cell is none."""
    if len(rows.names) == 1:
        raise DataError("a feature file of Music4All-Onion needs columns of numbers beside id; download it again")
    cells = rows.cells.filter(pa.array(np.tile(np.array(rows.names) != "id", len(rows.numbers))))
    try:
        flat = cells.cast(pa.float32()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        flat = pd.to_numeric(cells.to_pandas(), errors="coerce").to_numpy(dtype=np.float32)
    numbers: npt.NDArray[np.float32] = flat.reshape(len(rows.numbers), len(rows.names) - 1)
    return numbers


def _not_a_number(rows: Rows, bad: npt.NDArray[np.bool_], row: int) -> str:
    name = [name for name in rows.names if name != "id"][int(bad[row].argmax())]
    return f"{name} is not a finite number"
