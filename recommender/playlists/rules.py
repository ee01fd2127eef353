"""What a playlist has to look like, which of it may give way, and in which order it does."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from recommender.errors import ConfigError, RulesError
from recommender.playlists.energy import ARCS, Arc

Rows = npt.NDArray[np.int32]

RelaxableRule = Literal[
    "energy", "key", "tempo", "year", "genre", "max_per_artist", "recent", "unheard", "album_spacing", "artist_spacing"
]
RELAX_ORDER: tuple[RelaxableRule, ...] = get_args(RelaxableRule)
"""The order in which soft rules give way while tracks are missing: `energy` first, and the next one only once that is
given up whole. Each gives way only as far as it must: ranges by `STEPS`, the artist cap by one. The last two concern
the order alone. Everything else is hard always: include, exclude, length, minutes, cluster, and that nobody dislikes a
track."""

SOFT: frozenset[RelaxableRule] = frozenset({"max_per_artist", "recent", "album_spacing", "artist_spacing"})
"""What is soft unless it is said otherwise; ranges and `unheard` are hard."""

STEPS = {"energy": 0.05, "key": 1.0, "tempo": 2.0, "year": 1.0}
"""How far a range is widened at a time: share of the library, steps on the Camelot wheel, BPM, years."""

VARIETY = 0.15
_WORD = re.compile(r"[^\W_]+")
_CAMELOT = re.compile(r"(1[0-2]|[1-9])([AB])")


@dataclass(frozen=True)
class Span:
    """A range with both ends in it; None leaves an end open."""

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for value in (self.low, self.high):
            if value is not None and not np.isfinite(value):
                raise RulesError(f"the end of a range is {value}, expected a number")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise RulesError(f"a range goes from {self.low:g} to {self.high:g}, expected the lower end first")

    def __str__(self) -> str:
        if self.low is None:
            return f"at most {self.high:g}" if self.high is not None else "any"
        if self.high is None:
            return f"at least {self.low:g}"
        return f"between {self.low:g} and {self.high:g}" if self.low < self.high else f"{self.low:g}"


@dataclass(frozen=True, eq=False)
class Rules:
    """What a playlist has to look like.

    Tracks that are named, seeds and `include`, are in it whatever their tempo, key, energy, year and genre, and whether
    they were heard lately.

    Parameters
    ----------
    length : int or None
        Tracks; None goes by `minutes` alone.
    minutes : float or None
        At most so long.
    max_per_artist : int or None
    artist_spacing, album_spacing : int
        Tracks between two of one artist, or of one album.
    include, exclude : ndarray, shape (n,), int32
        Catalog rows that must, and must not, be in it.
    within : ndarray, shape (n_tracks,), bool, optional
        Nothing but these catalog rows, and what is named.
    exclude_artists, exclude_genres : tuple of str
        Whatever their case.
    unheard : bool
        Only what none of the users has heard.
    tempo : Span, optional
        Beats a minute.
    key : tuple of str
        Places on the Camelot wheel, such as ``8A``: what is there or one step away from one of them fits.
    energy : Span, optional
        In shares of the library that have less of it, 0 to 1.
    year : Span, optional
    genre : tuple of str
        One of these words is, or is in, one of the track's genres.
    variety : float, 0 to 1
        How much it counts that a track is unlike those chosen before; 0 takes what fits best.
    ordered : bool
        Whether neighbours are to sound alike; else the seeds come first and then what fits best.
    arc : {"none", "flat", "rising", "falling", "peak"}
        How energy moves over the playlist; ``peak`` is a warm-up, a peak and a cool-down.
    soft : frozenset of str
        Which of `RELAX_ORDER` may give way; the others hold always.

    Raises
    ------
    RulesError
        If a value is out of its range, or two rules contradict each other.
    """

    length: int | None = 25
    minutes: float | None = None
    max_per_artist: int | None = 3
    artist_spacing: int = 2
    album_spacing: int = 0
    include: Rows = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    exclude: Rows = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    within: npt.NDArray[np.bool_] | None = None
    exclude_artists: tuple[str, ...] = ()
    exclude_genres: tuple[str, ...] = ()
    unheard: bool = False
    tempo: Span | None = None
    key: tuple[str, ...] = ()
    energy: Span | None = None
    year: Span | None = None
    genre: tuple[str, ...] = ()
    variety: float = VARIETY
    ordered: bool = True
    arc: Arc = "none"
    soft: frozenset[RelaxableRule] = SOFT

    def __post_init__(self) -> None:
        if self.length is None and self.minutes is None:
            raise RulesError("a playlist needs a length in tracks or in minutes")
        for name in ("length", "minutes", "max_per_artist"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise RulesError(f"playlist {name} is {value}, expected more than 0")
        for name in ("artist_spacing", "album_spacing"):
            if getattr(self, name) < 0:
                raise RulesError(f"playlist {name} is {getattr(self, name)}, expected 0 or more")
        if not 0 <= self.variety <= 1:
            raise RulesError(f"playlist variety is {self.variety:g}, expected 0 to 1")
        if self.arc not in ARCS:
            raise ConfigError(f"playlist arc is {self.arc!r}, expected one of {', '.join(ARCS)}")
        if unknown := sorted(set(self.soft) - set(RELAX_ORDER)):
            raise RulesError(f"{unknown[0]!r} cannot be soft; what can: {', '.join(RELAX_ORDER)}")
        for key in self.key:
            camelot_place(key)
        if len(self.include) and self.length is not None and len(set(self.include.tolist())) > self.length:
            raise RulesError(
                f"{len(set(self.include.tolist()))} tracks must be in the playlist and its length is {self.length}; "
                "include fewer, or ask for more"
            )
        if self.exclude_genres and (both := set(map(words_of, self.genre)) & set(map(words_of, self.exclude_genres))):
            raise RulesError(f"the genre {min(both).strip()!r} is both asked for and excluded; take out one of the two")

    @property
    def gaps(self) -> tuple[int, int]:
        """Tracks between two of one artist, and between two of one album: an album's are an artist's."""
        return self.artist_spacing, self.album_spacing

    @property
    def hard_gaps(self) -> tuple[int, int]:
        """`gaps` where they are hard, 0 where they may give way."""
        return (
            0 if "artist_spacing" in self.soft else self.artist_spacing,
            0 if "album_spacing" in self.soft else self.album_spacing,
        )


def camelot_place(key: str) -> tuple[int, int]:
    """Return a key's hour on the Camelot wheel, from 0, and 1 for minor, 0 for major.

    Examples
    --------
    >>> camelot_place("8a")
    (7, 1)
    """
    found = _CAMELOT.fullmatch(key.strip().upper())
    if found is None:
        raise RulesError(f"the key {key!r} is no place on the Camelot wheel, expected one from 1A to 12B, such as 8A")
    return int(found[1]) - 1, int(found[2] == "A")


def words_of(text: str) -> str:
    """Return a genre's words without case and signs, a space around each, so that one can be looked for in another.

    Examples
    --------
    >>> words_of("Hip-Hop") in words_of("French hip hop")
    True
    """
    return f" {' '.join(_WORD.findall(text.casefold()))} "
