"""Yambda (Ploshkin et al., 2025; huggingface.co/datasets/yandex/yambda), the flat files of one size.

- `listens.parquet`: uid, item_id, timestamp, is_organic, played_ratio_pct, track_length_seconds; whole numbers. A track
  counts as listened to from 50 % on, as in the data set's own benchmark; a shorter listen is a skip. Ratios above 100
  are of listeners who went back.
- `likes.parquet`, `unlikes.parquet`, `dislikes.parquet`, `undislikes.parquet`: uid, item_id, timestamp. A like that was
  not taken back counts as one more play, a dislike that was not taken back makes the pair a skip.
- `embeddings.parquet`: item_id, embed, normalized_embed (vectors of sound); of the tracks of the other files.
- `artist_item_mapping.parquet` (artist_id, item_id) and `album_item_mapping.parquet` (album_id, item_id): the track
  table knows artists and albums by their numbers, and has no titles. A track of several artists is given the first.

Only one of listens and likes, or the embeddings alone, need be there. Times are seconds, in steps of five, from an
unpublished day, which is set to 1970-01-01: order and distances hold, the date does not. Read from the data set's page
and the code of its benchmark. The sequential files are not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recommender.data.cells import Fault, vector_cells
from recommender.data.datasets.blocks import Tally, parquet_names, parquet_rows
from recommender.data.datasets.download import Download, SourceFile
from recommender.data.datasets.pairs import Ints, Pairs, plays_frame
from recommender.data.datasets.result import DatasetTables, track_table
from recommender.data.progress import Progress, silent
from recommender.data.tables import TableReport
from recommender.errors import DataError

LISTENED_PCT = 50
EXPECTED = "listens.parquet or likes.parquet of one size, such as flat/50m, or embeddings.parquet"
VECTORS_AT_ONCE = 1 << 15
_TRIPLE = ("uid", "item_id", "timestamp")


def read_yambda(download: Download, progress: Progress) -> DatasetTables:
    """Read Yambda: listens, likes and dislikes, and the sound of their tracks."""
    reports: list[TableReport] = []
    pairs = Pairs()
    length_of: dict[int, float] = {}
    if (listens := download.find("listens.parquet")) is not None:
        length_of = _add_listens(listens, pairs, reports, progress)
    liked = _standing(download, "likes.parquet", "unlikes.parquet", reports, progress)
    disliked = _standing(download, "dislikes.parquet", "undislikes.parquet", reports, progress)
    pairs.add(liked[0], liked[1], np.ones(len(liked[0])), liked[2])
    pairs.add(disliked[0], disliked[1], np.zeros(len(disliked[0])), disliked[2])
    users, tracks, weights, times = pairs.result()
    weights[np.isin(users << 32 | tracks, disliked[0] << 32 | disliked[1])] = 0
    track_ids, codes = np.unique(tracks, return_inverse=True)
    user_ids, user_codes = np.unique(users, return_inverse=True)
    found = (user_codes, codes, weights, times)
    plays = plays_frame(_texts(user_ids), _texts(track_ids), found) if len(users) else None
    sound = _shared(download, "embeddings.parquet")
    embeddings = None if sound is None else _vectors(sound, track_ids if len(users) else None, reports, progress)
    if not reports:
        raise DataError(f"{download.source} has no file of Yambda; expected {EXPECTED}")
    notes = ("times count from an unknown day, which is set to 1970-01-01",) if len(users) else ()
    known = track_ids if embeddings is None or len(users) else np.array(embeddings[0], dtype=np.int64)
    return DatasetTables(_tracks(download, known, length_of, reports), plays, embeddings, tuple(reports), notes)


def _whole(tally: Tally, names: tuple[str, ...], progress: Progress) -> Iterator[list[Ints]]:
    """Give blocks of columns of whole numbers; a row without one of them is broken."""
    for batch, numbers in parquet_rows(tally, names, progress=progress):
        try:
            columns = [batch.column(name).cast(pa.int64()) for name in names]
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(f"{tally.file.path} holds other things than whole numbers: {error}") from error
        faults = [
            Fault(column.is_null().to_numpy(zero_copy_only=False), partial(_empty, name))
            for name, column in zip(names, columns, strict=True)
        ]
        good = tally.judge(numbers, faults)
        yield [column.fill_null(0).to_numpy()[good] for column in columns]


def _add_listens(file: SourceFile, pairs: Pairs, reports: list[TableReport], progress: Progress) -> dict[int, float]:
    """Add the listens up, and return how long each track is, in seconds."""
    tally = Tally(file, "row")
    length_of: dict[int, float] = {}
    names = (*_TRIPLE, "played_ratio_pct", "track_length_seconds")
    for users, tracks, times, ratios, lengths in _whole(tally, names, progress):
        pairs.add(users, tracks, (ratios >= LISTENED_PCT).astype(float), times)
        distinct, first = np.unique(tracks, return_index=True)
        length_of.update(zip(distinct.tolist(), lengths[first].tolist(), strict=True))
    reports.append(tally.report())
    return length_of


def _standing(
    download: Download, given: str, taken_back: str, reports: list[TableReport], progress: Progress
) -> tuple[Ints, Ints, Ints]:
    """Return users, tracks and times of what was given and not taken back later."""
    sides = []
    for name in (given, taken_back):
        last = Pairs()
        if (file := download.find(name)) is not None:
            tally = Tally(file, "row")
            for users, tracks, times in _whole(tally, _TRIPLE, progress):
                last.add(users, tracks, np.ones(len(users)), -times)
            reports.append(tally.report())
        users, tracks, _, times = last.result()
        sides.append(pd.Series(-times, index=users << 32 | tracks))
    stands = (sides[0] > sides[1].reindex(sides[0].index, fill_value=-1)).to_numpy()
    keys, times = sides[0].index.to_numpy(dtype=np.int64)[stands], sides[0].to_numpy()[stands]
    return keys >> 32, keys & 0xFFFFFFFF, times


def _vectors(
    file: SourceFile, wanted: Ints | None, reports: list[TableReport], progress: Progress
) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Read the vectors of some tracks; of all if `wanted` is None."""
    tally = Tally(file, "row")
    ids: list[Ints] = []
    parts: list[npt.NDArray[np.float32]] = []
    column = "embed" if "normalized_embed" not in parquet_names(file) else "normalized_embed"
    for batch, numbers in parquet_rows(tally, ("item_id", column), rows=VECTORS_AT_ONCE, progress=progress):
        here = pc.is_valid(batch.column("item_id"))
        if wanted is not None:
            tracks = batch.column("item_id").cast(pa.int64()).fill_null(-1).to_numpy()
            here = pa.array(_places(wanted, tracks) >= 0)
        chosen = batch.filter(here)
        tally.n_beside += len(batch) - len(chosen)
        cells = vector_cells(pa.chunked_array([chosen.column(column)]), column)
        good = tally.judge(numbers[here.to_numpy(zero_copy_only=False)], cells.faults)
        ids.append(chosen.column("item_id").cast(pa.int64()).to_numpy()[good])
        parts.append(cells.values[good])
    reports.append(tally.report())
    every, first = np.unique(np.concatenate(ids), return_index=True)
    dims = {part.shape[1] for part in parts if len(part)}
    if len(dims) > 1:
        raise DataError(f"{file.path} holds vectors of {len(dims)} lengths: {sorted(dims)}; download it again")
    vectors = np.concatenate([part for part in parts if len(part)] or [np.empty((0, 0), np.float32)])
    return [str(identifier) for identifier in every.tolist()], vectors[first]


def _tracks(download: Download, ids: Ints, length_of: dict[int, float], reports: list[TableReport]) -> pd.DataFrame:
    columns: dict[str, Iterable[object]] = {}
    for what in ("artist", "album"):
        if (file := _shared(download, f"{what}_item_mapping.parquet")) is not None:
            tally, place_of = Tally(file, "row"), np.full(len(ids), -1, dtype=np.int64)
            for groups, tracks in _whole(tally, (f"{what}_id", "item_id"), silent):
                at = _places(ids, tracks)
                here = at >= 0
                tally.n_beside += int((~here).sum())
                free = np.flatnonzero(here)[place_of[at[here]] < 0]
                distinct, first = np.unique(at[free], return_index=True)
                place_of[distinct] = groups[free[first]]
            reports.append(tally.report())
            columns[what] = [f"{what} {place}" if place >= 0 else "" for place in place_of.tolist()]
    lengths = np.array([length_of.get(identifier, 0) for identifier in ids.tolist()], dtype=float)
    columns["duration_s"] = np.where(lengths > 0, lengths, np.nan)
    return track_table(map(str, ids.tolist()), **columns)


def _places(ids: Ints, wanted: Ints) -> Ints:
    """Return where each of `wanted` is in the sorted `ids`, -1 where it is not; shape (n,), int64."""
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where(ids[at] == wanted, at, -1)


def _shared(download: Download, name: str) -> SourceFile | None:
    """Find a file that all sizes share: they lie in ``flat/50m`` and so on, it lies where ``flat`` does."""
    file, folder = download.find(name), download.source.resolve().parent
    if file is None and folder.name == "flat" and (folder.parent / name).is_file():
        return SourceFile(folder.parent / name)
    return file


def _empty(name: str, _row: int) -> str:
    return f"{name} is empty"


def _texts(numbers: Ints) -> pa.LargeStringArray:
    return pa.array(numbers).cast(pa.large_string())
