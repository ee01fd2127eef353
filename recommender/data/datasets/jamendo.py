"""MTG-Jamendo (Bogdanov et al., 2019; github.com/MTG/mtg-jamendo-dataset): a catalog with audio and without listeners.

- `data/autotagging.tsv`, or `raw_30s.tsv` and the tables made from it: TRACK_ID, ARTIST_ID, ALBUM_ID, PATH, DURATION
  (seconds), TAGS (as many fields as there are tags); tabs, a line of names. All that are there are read, the larger
  ones first.
- `data/raw.meta.tsv`, not required: TRACK_ID, ARTIST_ID, ALBUM_ID, TRACK_NAME, ARTIST_NAME, ALBUM_NAME, RELEASEDATE,
  URL; tabs, quotes mean nothing. Without it artists and albums go by their ids.
- Audio lies under ``NN/`` as PATH says (``14/214.mp3``), or as ``14/214.low.mp3`` in the smaller edition.

Read from the repository's README, `scripts/commons.py` and tables. Tags are not used.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
import pyarrow as pa

from recommender.data.cells import Fault, number_cells
from recommender.data.datasets.blocks import Tally, text_rows
from recommender.data.datasets.download import Download, SourceFile
from recommender.data.datasets.result import DatasetTables, filled, track_table
from recommender.data.progress import Progress
from recommender.data.tables import TableReport, iso_date
from recommender.errors import DataError

TABLES = (
    "raw_30s.tsv",
    "raw_30s_cleantags.tsv",
    "raw_30s_cleantags_50artists.tsv",
    "autotagging.tsv",
    "autotagging_genre.tsv",
    "autotagging_instrument.tsv",
    "autotagging_moodtheme.tsv",
    "autotagging_top50tags.tsv",
)
"""The larger ones first."""
_COLUMNS = ("TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS")
_NAMES = ("TRACK_ID", "TRACK_NAME", "ARTIST_NAME", "ALBUM_NAME", "RELEASEDATE")
_LINK_BYTES = 256


def read_jamendo(download: Download, progress: Progress) -> DatasetTables:
    """Read MTG-Jamendo: names, durations and, where the audio was downloaded, its paths."""
    reports: list[TableReport] = []
    found = [file for name in TABLES if (file := download.find(name)) is not None and not _is_link(file)]
    if not found:
        raise DataError(f"{download.source} has no table of MTG-Jamendo; expected autotagging.tsv or raw_30s.tsv")
    parts = [_table(file, _COLUMNS, reports, progress) for file in found]
    table = pd.concat(parts).drop_duplicates("TRACK_ID", ignore_index=True)
    audio = _audio(download)
    paths = [audio.get(path, "") for path in table["PATH"]]
    columns: dict[str, Iterable[object]] = {"artist": table["ARTIST_ID"], "album": table["ALBUM_ID"]}
    if (names := download.find("raw.meta.tsv")) is not None:
        meta = _table(names, _NAMES, reports, progress).drop_duplicates("TRACK_ID").set_index("TRACK_ID")
        meta = meta.reindex(table["TRACK_ID"]).fillna("").reset_index(drop=True)
        columns = {
            "title": meta["TRACK_NAME"],
            "artist": meta["ARTIST_NAME"].where(meta["ARTIST_NAME"] != "", table["ARTIST_ID"]),
            "album": meta["ALBUM_NAME"].where(meta["ALBUM_NAME"] != "", table["ALBUM_ID"]),
            "released": [iso_date(text) for text in meta["RELEASEDATE"]],
        }
    tracks = track_table(table["TRACK_ID"], path=paths, duration_s=table["DURATION"], **columns)
    n_heard = sum(map(bool, paths))
    note = f"audio is there for {n_heard} of {len(tracks)} tracks" if n_heard else "no audio is there"
    return DatasetTables(tracks, reports=tuple(reports), notes=(note,))


def _table(file: SourceFile, wanted: tuple[str, ...], reports: list[TableReport], progress: Progress) -> pd.DataFrame:
    tally, parts = Tally(file), []
    for rows in text_rows(tally, wanted, open_ended=wanted == _COLUMNS, progress=progress):
        ids = filled(rows.column("TRACK_ID"), "TRACK_ID")
        faults = list(ids.faults)
        columns = {name: rows.column(name) for name in wanted}
        if "DURATION" in columns:
            seconds = number_cells(columns["DURATION"], "DURATION")
            faults += [*seconds.faults, Fault(seconds.values <= 0, lambda _: "DURATION is not above 0")]
            columns["DURATION"] = pa.chunked_array([pa.array(seconds.values)])
        frame: pd.DataFrame = pa.table(columns).to_pandas()
        parts.append(frame[tally.judge(rows.numbers, faults)])
    reports.append(tally.report())
    return pd.concat(parts, ignore_index=True)


def _audio(download: Download) -> dict[str, str]:
    """Return where the audio of each PATH is."""
    sounds = [file.path.resolve() for file in download.files if not file.member and file.path.suffix == ".mp3"]
    return {f"{path.parent.name}/{path.name.replace('.low.mp3', '.mp3')}": str(path) for path in reversed(sounds)}


def _is_link(file: SourceFile) -> bool:
    """Tell whether a file is what a symbolic link of the repository becomes in an archive: the name of its target."""
    with file.open() as content:
        return b"\t" not in content.read(_LINK_BYTES)
