"""Write a table that never has to be in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from recommender.data.storage import atomic_path
from recommender.errors import DataError


def write_frames(path: Path, frames: Iterable[pd.DataFrame]) -> int:
    """Write frames of the same columns one after the other, by the file's ending, whole or not at all.

    Parameters
    ----------
    path : Path
        ``.parquet``, ``.csv`` or ``.jsonl``.
    frames : iterable of DataFrame
        At least one; columns hold text or numbers. The index is not written.

    Returns
    -------
    int
        Rows written.

    Raises
    ------
    DataError
        If the ending is another one.
    """
    ending = path.suffix.lower()
    if ending not in (".parquet", ".csv", ".jsonl"):
        raise DataError(f"{path}: lists are written as .parquet, .csv or .jsonl; {ending or 'no ending'!r} is none")
    with atomic_path(path) as part:
        return _write_parquet(part, frames) if ending == ".parquet" else _write_text(part, frames, ending)


def _write_parquet(path: Path, frames: Iterable[pd.DataFrame]) -> int:
    rows, writer = 0, None
    try:
        for frame in frames:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            writer = writer or pa.parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
            rows += len(frame)
    finally:
        if writer is not None:
            writer.close()
    return rows


def _write_text(path: Path, frames: Iterable[pd.DataFrame], ending: str) -> int:
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        for frame in frames:
            if ending == ".csv":
                frame.to_csv(file, index=False, header=rows == 0, lineterminator="\n")
            else:
                frame.to_json(file, orient="records", lines=True, force_ascii=False)
            rows += len(frame)
    return rows
