"""What a check says: one line of a table that tells a person whether something is as it should be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "note", "warning", "found", "broken"]

SILENT: tuple[Verdict, ...] = ("ok", "note")
"""Verdicts that ask for nothing."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Parameters
    ----------
    name : str
        What was looked at.
    verdict : {"ok", "note", "warning", "found", "broken"}
        ``note`` is worth knowing and asks for nothing; ``found`` is what an audit was looking for; with ``broken`` it
        is no use to go on.
    found, expected : str
        The number, and what it should be.
    advice : str
        What to do; empty where nothing is to be done.
    """

    name: str
    verdict: Verdict
    found: str
    expected: str
    advice: str = ""

    @property
    def row(self) -> tuple[str, str, str, str, str]:
        """The cells of a table: name, verdict, found, expected, advice."""
        return self.name, self.verdict, self.found, self.expected, self.advice


def names_of(checks: Iterable[Check], verdict: Verdict) -> list[str]:
    """Return the names of the checks with this verdict.

    Examples
    --------
    >>> names_of([Check("a", "ok", "1", "1"), Check("b", "broken", "0", "1")], "broken")
    ['b']
    """
    return [check.name for check in checks if check.verdict == verdict]


def named(ids: Iterable[str], most: int = 3) -> str:
    """Name a few of many.

    Examples
    --------
    >>> named(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    >>> named(["a"])
    'a'
    """
    every = list(ids)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
