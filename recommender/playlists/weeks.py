"""Weeks as ISO 8601 counts them, and the lists that listeners were given in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet
from scipy import sparse

from recommender.data.storage import atomic_path
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ArtifactError, ConfigError

Rows = npt.NDArray[np.int32]
_NAME = re.compile(r"([0-9]{4})-W([0-9]{2})")


@dataclass(frozen=True, order=True)
class Week:
    """A week, Monday to Sunday.

    Examples
    --------
    >>> Week.of("2026-W01").monday
    datetime.date(2025, 12, 29)
    >>> str(Week.of("2026-W01").before(1))
    '2025-W52'
    """

    year: int
    number: int

    @classmethod
    def of(cls, name: str) -> Week:
        """Read a week's name.

        Raises
        ------
        ConfigError
            If it is none, or that year has no such week.
        """
        found = _NAME.fullmatch(name)
        try:
            if found is None:
                raise ValueError(name)
            date.fromisocalendar(int(found[1]), int(found[2]), 1)
        except ValueError:
            raise ConfigError(f"the week is {name!r}, expected one like 2026-W47 (ISO 8601, W01 to W53)") from None
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def at(cls, moment: datetime) -> Week:
        """Return the week of a moment, in its own time zone."""
        return cls(*moment.isocalendar()[:2])

    @property
    def monday(self) -> date:
        """Its first day."""
        return date.fromisocalendar(self.year, self.number, 1)

    @property
    def start(self) -> datetime:
        """Its first moment, UTC."""
        return datetime(self.monday.year, self.monday.month, self.monday.day, tzinfo=UTC)

    def before(self, weeks: int) -> Week:
        """Return the week so many weeks earlier."""
        return Week(*(self.monday - timedelta(weeks=weeks)).isocalendar()[:2])

    def __str__(self) -> str:
        return f"{self.year:04}-W{self.number:02}"


@dataclass(frozen=True)
class GivenLists:
    """What was given in which week: a Parquet table a week, columns user_id, kind, item_id.

    Parameters
    ----------
    folder : Path
        Need not exist yet.
    """

    folder: Path

    def path(self, week: Week) -> Path:
        """Return where a week's table is."""
        return self.folder / f"{week}.parquet"

    def before(self, week: Week, weeks: int, users: Vocabulary, tracks: Vocabulary) -> sparse.csr_matrix:
        """Return 1 for each pair that was given in the `weeks` before a week, (n_users, n_tracks), float32.

        Raises
        ------
        ArtifactError
            If a table is damaged.
        """
        found = [self._pairs(self.path(week.before(back)), users, tracks) for back in range(1, weeks + 1)]
        none = np.empty(0, dtype=np.int32)
        rows, columns = (np.concatenate([none, *(pairs[side] for pairs in found)]) for side in (0, 1))
        shape = (len(users), len(tracks))
        given = sparse.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=shape)
        given.sum_duplicates()
        given.data[:] = 1
        return given

    def replace(self, week: Week, kinds: Sequence[str], given: pa.Table) -> None:
        """Set what was given of some kinds in a week; what the week has of others stays.

        Parameters
        ----------
        week : Week
        kinds : sequence of str
        given : Table
            Columns user_id, kind, item_id.
        """
        given = given.select(["user_id", "kind", "item_id"])
        if self.path(week).exists():
            earlier = self._read(self.path(week), [])
            others = pa.compute.invert(pa.compute.is_in(earlier["kind"], pa.array(list(kinds))))
            given = pa.concat_tables([earlier.filter(others), given.cast(earlier.schema)])
        with atomic_path(self.path(week)) as part:
            pa.parquet.write_table(given, part)

    def erase(self, user_id: str) -> int:
        """Forget what a user was given; return how many rows that were."""
        erased = 0
        for path in sorted(self.folder.glob("*-W*.parquet")):
            table = self._read(path, [])
            kept = table.filter(pa.compute.not_equal(table["user_id"], user_id))
            if len(kept) < len(table):
                erased += len(table) - len(kept)
                with atomic_path(path) as part:
                    pa.parquet.write_table(kept, part)
        return erased

    def of_user(self, user_id: str) -> list[Mapping[str, str]]:
        """Return what a user was given: week, kind, item_id."""
        found: list[Mapping[str, str]] = []
        for path in sorted(self.folder.glob("*-W*.parquet")):
            table = self._read(path, [])
            mine = table.filter(pa.compute.equal(table["user_id"], user_id)).to_pylist()
            found += [{"week": path.stem, "kind": row["kind"], "item_id": row["item_id"]} for row in mine]
        return found

    def _pairs(self, path: Path, users: Vocabulary, tracks: Vocabulary) -> tuple[Rows, Rows]:
        if not path.exists():
            return np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int32)
        table = self._read(path, ["user_id", "item_id"]).unify_dictionaries()
        sides = [rows_of(table[name], known) for name, known in (("user_id", users), ("item_id", tracks))]
        known = (sides[0] >= 0) & (sides[1] >= 0)
        return sides[0][known], sides[1][known]

    def _read(self, path: Path, dictionaries: list[str]) -> pa.Table:
        try:
            return pa.parquet.read_table(path, columns=["user_id", "kind", "item_id"], read_dictionary=dictionaries)
        except (OSError, ValueError, KeyError) as error:
            what = " ".join(str(error).split())
            raise ArtifactError(f"{path} is damaged: {what}; restore it, or delete it to forget that week") from None


def rows_of(ids: pa.ChunkedArray, known: Vocabulary) -> Rows:
    """Return the rows of dictionary-encoded ids, shape (n,), int32: -1 where one is unknown."""
    if not len(ids):
        return np.empty(0, dtype=np.int32)
    values = ids.chunk(0).dictionary.to_pylist()
    row_of = {identifier: row for row, identifier in enumerate(known.ids)}
    places = np.array([row_of.get(value, -1) for value in values], dtype=np.int32)
    codes = np.concatenate([chunk.indices.to_numpy(zero_copy_only=False) for chunk in ids.chunks])
    found: Rows = places[codes]
    return found
