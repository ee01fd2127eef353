"""Tables of text and Parquet in blocks: no more than 16 MB of text or a million rows are in memory at once.

Rows that cannot be used are counted and named by their line, as in `recommender.data.tables`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from recommender.data.cells import Fault
from recommender.data.datasets.download import SourceFile
from recommender.data.progress import Progress, silent
from recommender.data.tables import MAX_BROKEN, MAX_NAMED, TableReport
from recommender.errors import DataError

BLOCK_BYTES = 1 << 24


@dataclass
class Tally:
    """What became of a file's rows, while it is read.

    Parameters
    ----------
    file : SourceFile
    unit : str
        What rows are numbered by: lines of a text, rows of a Parquet file.
    n_read, n_broken, n_duplicate, n_beside : int
        `n_beside` rows are about tracks that nothing else of the data set names, and are passed over.
    """

    file: SourceFile
    unit: str = "line"
    n_read: int = 0
    n_broken: int = 0
    n_duplicate: int = 0
    n_beside: int = 0
    _named: list[tuple[int, str]] = field(default_factory=list)
    _n_told: int = 0

    def tell(self, number: int, reason: str, *, broken: bool = True) -> None:
        """Note what is wrong with a row; one that is not broken is used all the same."""
        self.n_broken += broken
        self._n_told += 1
        if len(self._named) < MAX_NAMED:
            self._named.append((number, reason))

    def judge(self, numbers: npt.NDArray[np.int64], faults: Sequence[Fault]) -> npt.NDArray[np.bool_]:
        """Tell which rows of a block can be used, and note why the others cannot; shape (n,), bool."""
        bad = np.zeros(len(numbers), dtype=bool)
        for fault in faults:
            bad |= fault.mask
        for row in np.flatnonzero(bad).tolist():
            self.tell(int(numbers[row]), next(fault.reason(row) for fault in faults if fault.mask[row]))
        return ~bad

    def report(self) -> TableReport:
        """Return the counts.

        Raises
        ------
        DataError
            If the file has no rows, or more than a fifth of them is broken.
        """
        problems = [f"{self.unit} {number}: {reason}" for number, reason in sorted(self._named)]
        if self.n_read == 0:
            raise DataError(f"{self.file.path} holds no rows; download it again")
        if self.n_broken > MAX_BROKEN * self.n_read:
            raise DataError(
                f"{self.file.path}: {self.n_broken} of {self.n_read} rows cannot be used, at most {MAX_BROKEN:.0%} may "
                f"be; {'; '.join(problems[:3])}; download it again"
            )
        if rest := self._n_told - len(problems):
            problems.append(f"and {rest} more rows")
        n_read = self.n_read - self.n_beside
        used = n_read - self.n_broken - self.n_duplicate
        path = self.file.path / self.file.member
        return TableReport(path, n_read, used, self.n_broken, self.n_duplicate, tuple(problems))


@dataclass(frozen=True, eq=False)
class Rows:
    """Some lines of a text table, all with the right number of fields.

    Parameters
    ----------
    names : tuple of str
        Of the columns.
    cells : pyarrow.StringArray, length n_rows x n_columns
        Row by row.
    numbers : ndarray, shape (n_rows,), int64
        Lines of the file, from 1.
    """

    names: tuple[str, ...]
    cells: pa.StringArray
    numbers: npt.NDArray[np.int64]

    def column(self, name: str) -> pa.ChunkedArray:
        """Return one column."""
        places = np.arange(self.names.index(name), len(self.cells), len(self.names))
        return pa.chunked_array([self.cells.take(pa.array(places))], pa.string())


def text_rows(
    tally: Tally,
    names: Sequence[str],
    *,
    separator: str = "\t",
    header: bool = True,
    open_ended: bool = False,
    progress: Progress = silent,
) -> Iterator[Rows]:
    """Read a text table without quoting, as research data sets are written, in blocks.

    Parameters
    ----------
    tally : Tally
        Counts the rows; is told of lines with another number of fields, and of bytes that are not UTF-8.
    names : sequence of str
        With `header` columns that must be there, else all columns in their order.
    separator : str
    header : bool
        Whether the first line names the columns.
    open_ended : bool
        The last column takes all fields that are left.
    progress : Progress

    Raises
    ------
    DataError
        If the file cannot be read or its header is another one.
    """
    with tally.file.open(progress) as content:
        number, columns = 0, None if header else tuple(names)
        for block in _blocks(content):
            text, spoilt = _decoded(block)
            lines = text.removesuffix("\n").split("\n")
            numbers = np.arange(number + 1, number + len(lines) + 1)
            number += len(lines)
            if columns is None:
                columns = tuple(name.strip() for name in lines[0].removeprefix("\ufeff").split(separator))
                if missing := [name for name in names if name not in columns]:
                    shown = ", ".join(repr(name[:40]) for name in columns[:8])
                    raise DataError(
                        f"{tally.file.path} has no column {' and no column '.join(missing)}; its first line is "
                        f"{shown}; expected the file as it was published, with the columns {', '.join(names)}"
                    )
                lines, numbers = lines[1:], numbers[1:]
            if lines:
                yield _rows(tally, lines, numbers, columns, separator, open_ended, spoilt)


def _rows(
    tally: Tally,
    lines: list[str],
    numbers: npt.NDArray[np.int64],
    columns: tuple[str, ...],
    separator: str,
    open_ended: bool,
    spoilt: bool,
) -> Rows:
    text = pc.utf8_rtrim(pa.array(lines, pa.string()), characters="\r")
    filled = pc.not_equal(pc.utf8_trim_whitespace(text), "")
    text, numbers = text.filter(filled), numbers[filled.to_numpy(zero_copy_only=False)]
    tally.n_read += len(text)
    fields = pc.split_pattern(text, separator, max_splits=len(columns) - open_ended)
    counts = pc.list_value_length(fields).to_numpy(zero_copy_only=False)
    right = counts == len(columns)
    for row in np.flatnonzero(~right).tolist():
        found = text[row].as_py().count(separator) + 1
        tally.tell(int(numbers[row]), f"has {found} fields, expected {len(columns)}")
    if spoilt:
        for row in np.flatnonzero(pc.match_substring(text, "\ufffd").to_numpy(zero_copy_only=False) & right).tolist():
            tally.tell(int(numbers[row]), "holds bytes that are not UTF-8, read as \ufffd", broken=False)
    return Rows(columns, fields.filter(pa.array(right)).flatten(), numbers[right])


def _blocks(content: IO[bytes]) -> Iterator[bytes]:
    """Cut a stream into blocks of whole lines."""
    rest = b""
    while block := content.read(BLOCK_BYTES):
        cut = block.rfind(b"\n") + 1
        if cut:
            yield rest + block[:cut]
            rest = block[cut:]
        else:
            rest += block
    if rest:
        yield rest


def _decoded(block: bytes) -> tuple[str, bool]:
    try:
        return block.decode("utf-8"), False
    except UnicodeDecodeError:
        return block.decode("utf-8", "replace"), True


def parquet_names(file: SourceFile) -> list[str]:
    """Return the names of a Parquet file's columns.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    try:
        return list(pyarrow.parquet.read_schema(file.path).names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file.path} cannot be read as Parquet: {error}; download it again") from error


def parquet_rows(
    tally: Tally, names: Sequence[str], *, rows: int = 1 << 20, progress: Progress = silent
) -> Iterator[tuple[pa.RecordBatch, npt.NDArray[np.int64]]]:
    """Read columns of a Parquet file in blocks, each with the numbers of its rows, from 1.

    Raises
    ------
    DataError
        If the file cannot be read or a column is missing.
    """
    path, there = tally.file.path, parquet_names(tally.file)
    if missing := [name for name in names if name not in there]:
        raise DataError(
            f"{path} has no column {' and no column '.join(missing)}; found {', '.join(there)}; "
            "expected the file as it was published"
        )
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=rows, columns=list(names)):
                numbers = np.arange(tally.n_read + 1, tally.n_read + len(batch) + 1)
                tally.n_read += len(batch)
                progress(tally.n_read, file.metadata.num_rows)
                yield batch, numbers
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}; download it again") from error
