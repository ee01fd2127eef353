"""What every service's history comes down to: who played what, when, and how it went."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, NamedTuple

from recommender.data.matching import Name
from recommender.data.names import as_mbid

NO_TIME = -(1 << 63)
"""The time of a count: `numpy.datetime64("NaT")` as an integer."""
LONGEST = 1000
"""Longer names are no names."""


class Listen(NamedTuple):
    """One play, skip, verdict or count.

    `time` is in Unix seconds, UTC, or `NO_TIME`. `weight` counts plays; 0 is a skip, -1 a dislike. What is `loved` is
    as good as the listener's most played track, as a love is that was said through the API.
    """

    name: Name
    time: int
    weight: float = 1.0
    loved: bool = False
    user: str = ""


class Broken(NamedTuple):
    """An entry that cannot be read: where it is, and why not."""

    place: str
    reason: str


Entry = Listen | Broken | None
"""None is an entry that is no play of music, or that the listener wished to keep private."""


@dataclass(frozen=True)
class History:
    """The entries of one part of a history, in the order of the file.

    Parameters
    ----------
    service : str
    entries : iterator of Entry
    owner : str
        Whose history it is, as far as the part as a whole tells.
    """

    service: str
    entries: Iterator[Entry]
    owner: str = ""


@dataclass(frozen=True)
class RecordFormat:
    """A service's JSON: how a record is known, and what it says.

    Parameters
    ----------
    service : str
    knows : callable
        Told a record's path inside the document and a record.
    read : callable
        From a record to a Listen or None; `Unusable` errors are the record's fault.
    """

    service: str
    knows: Callable[[str, dict[str, Any]], bool]
    read: Callable[[dict[str, Any], tzinfo], Listen | None]


Unusable = (ValueError, KeyError, TypeError, AttributeError, OverflowError, IndexError)


def name_of(artist: Any, title: Any, album: Any = "", mbid: Any = "", duration_s: Any = 0) -> Name:
    """Check and tidy what a service calls a track.

    Raises
    ------
    ValueError
        If there is neither an artist and a title nor a MusicBrainz id, or one of them is no text.
    """
    texts = []
    for what, value in (("artist", artist), ("title", title), ("album", album)):
        text = " ".join(str(value if value is not None else "").split())
        if len(text) > LONGEST:
            raise ValueError(f"its {what} has {len(text)} letters")
        texts.append(text)
    recording = as_mbid(mbid) if isinstance(mbid, str) else ""
    if not recording and (missing := [w for w, text in zip(("artist", "title"), texts, strict=False) if not text]):
        raise ValueError(f"its {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} empty")
    try:
        length = float(duration_s or 0)
    except (TypeError, ValueError):
        length = 0.0
    return Name(texts[0], texts[1], texts[2], recording, length if 0 < length < 1e6 else 0.0)


def said(error: Exception) -> str:
    """Say what is wrong with an entry."""
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
