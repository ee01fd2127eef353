"""What every reader of a data set hands out, and the parts that most of them share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recommender.data.catalog import TEXT_COLUMNS, TRACK_COLUMNS
from recommender.data.cells import Cells, Fault, number_cells
from recommender.data.datasets.blocks import Rows, Tally
from recommender.data.datasets.pairs import Codes, Floats, Pairs, plays_frame
from recommender.data.tables import TableReport


@dataclass(frozen=True, eq=False)
class DatasetTables:
    """A data set in our own tables; what it does not have is None.

    Parameters
    ----------
    tracks : DataFrame or None
        item_id and `TRACK_COLUMNS`, as of `recommender.data.tables.read_tracks`; path is absolute, ``""`` where the
        audio is not there.
    plays : DataFrame or None
        user_id, item_id, weight, timestamp, as of `recommender.data.tables.read_interactions`: one row a (user, track)
        with the plays added up and the time of the first one.
    embeddings : (list of str, ndarray of shape (n, dim), float32) or None
        Ids, each once, and their vectors.
    reports : tuple of TableReport
        One a file that was read.
    notes : tuple of str
        What a person should know besides.
    """

    tracks: pd.DataFrame | None = None
    plays: pd.DataFrame | None = None
    embeddings: tuple[list[str], npt.NDArray[np.float32]] | None = None
    reports: tuple[TableReport, ...] = ()
    notes: tuple[str, ...] = ()


def track_table(ids: Iterable[str], **columns: Iterable[Any]) -> pd.DataFrame:
    """Lay out a track table, every column in the order of `ids`; columns that are not given are unknown."""
    frame = pd.DataFrame({"item_id": pd.Series(list(ids), dtype="str")})
    for name in TEXT_COLUMNS:
        frame[name] = pd.Series(list(columns[name]), dtype="str") if name in columns else ""
    frame["duration_s"] = np.array(list(columns["duration_s"]), dtype=float) if "duration_s" in columns else np.nan
    return frame[["item_id", *TRACK_COLUMNS]]


def filled(column: pa.ChunkedArray, name: str) -> Cells[pa.StringArray]:
    """Read text without surrounding space; nothing but space is a fault. A track called ``null`` is a track."""
    values = pc.utf8_trim_whitespace(column.combine_chunks())
    empty = pc.equal(values, "").to_numpy(zero_copy_only=False)
    return Cells(values, (Fault(empty, lambda _: f"{name} is empty"),))


def play_counts(column: pa.ChunkedArray, name: str) -> Cells[Floats]:
    """Read how often something was played: at least once."""
    cells = number_cells(column, name)
    none = Fault(cells.values <= 0, lambda row: f"{name} is {cells.values[row]:g}, expected at least 1")
    return Cells(cells.values, (*cells.faults, none))


def counted_plays(tally: Tally, blocks: Iterable[Rows], tracks: Codes) -> pd.DataFrame:
    """Add up a table whose first three columns are user, track and plays; `tracks` learns the ids of the tracks."""
    users, pairs = Codes(), Pairs()
    for rows in blocks:
        user, track = (filled(rows.column(name), name) for name in rows.names[:2])
        plays = play_counts(rows.column(rows.names[2]), rows.names[2])
        good = tally.judge(rows.numbers, [*user.faults, *track.faults, *plays.faults])
        kept = pa.array(good)
        pairs.add(users.of(user.values.filter(kept)), tracks.of(track.values.filter(kept)), plays.values[good])
    return plays_frame(users.ids(), tracks.ids(), pairs.result())
