"""Ids are strings outside, rows are ints inside; this is the only place where one becomes the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from recommender.errors import DataError, UnknownIdError

UnknownPolicy = Literal["raise", "drop"]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """An ordered set of ids; the row of an id is its position.

    Parameters
    ----------
    kind : str
        What the ids name, ``"user"`` or ``"track"``; used in messages.
    ids : tuple of str
        Unique, not empty strings.

    Raises
    ------
    DataError
        If an id is repeated or empty.

    Examples
    --------
    >>> tracks = Vocabulary("track", ("a", "b", "c"))
    >>> tracks.rows(["c", "a"], unknown="raise").tolist()
    [2, 0]
    >>> tracks.rows(["c", "?"], unknown="drop").tolist()
    [2]
    """

    kind: str
    ids: tuple[str, ...]
    _row_of: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        row_of = {identifier: row for row, identifier in enumerate(self.ids)}
        if len(row_of) != len(self.ids):
            seen: set[str] = set()
            repeated = next(i for i in self.ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise DataError(f"{self.kind} id {repeated!r} appears more than once; ids must be unique")
        if "" in row_of:
            raise DataError(f"a {self.kind} id is empty; every {self.kind} needs an id")
        object.__setattr__(self, "_row_of", row_of)

    @classmethod
    def of(cls, kind: str, ids: Iterable[str]) -> Vocabulary:
        """Build a vocabulary of the distinct `ids`, sorted.

        Examples
        --------
        >>> Vocabulary.of("user", ["b", "a", "b"]).ids
        ('a', 'b')
        """
        return cls(kind, tuple(sorted(set(ids))))

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._row_of

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.kind == other.kind and self.ids == other.ids

    __hash__ = None  # type: ignore[assignment]

    def row(self, identifier: str) -> int:
        """Return the row of one id.

        Raises
        ------
        UnknownIdError
            If the id is not in the vocabulary.
        """
        try:
            return self._row_of[identifier]
        except KeyError:
            raise UnknownIdError(f"unknown {self.kind} {identifier!r}: it is none of the {len(self)} known") from None

    def rows(self, ids: Iterable[str], *, unknown: UnknownPolicy) -> npt.NDArray[np.int32]:
        """Return the rows of many ids, in their order.

        Parameters
        ----------
        ids : iterable of str
        unknown : {"raise", "drop"}
            What happens to an id that is not in the vocabulary.

        Returns
        -------
        ndarray, shape (n,), int32
            With ``"drop"``, n may be less than the number of `ids`; `known` tells which were kept.

        Raises
        ------
        UnknownIdError
            With ``"raise"``, for the first unknown id.
        """
        if unknown == "raise":
            return np.array([self.row(identifier) for identifier in ids], dtype=np.int32)
        found = (self._row_of.get(identifier) for identifier in ids)
        return np.array([row for row in found if row is not None], dtype=np.int32)

    def known(self, ids: Iterable[str]) -> npt.NDArray[np.bool_]:
        """Tell of each id whether it is in the vocabulary; shape (n,), bool."""
        return np.array([identifier in self._row_of for identifier in ids], dtype=bool)

    def ids_of(self, rows: Sequence[int] | npt.NDArray[np.integer]) -> list[str]:
        """Return the ids of `rows`, in their order."""
        return [self.ids[int(row)] for row in rows]
