"""Find a service's tracks in the catalog: by MusicBrainz id, by name, by nearly the same name; and say why not.

Names are compared in the order of `RULES`, each on what the one before it left over. The last compares by edit
distance, inside the artists that are called nearly the same, so that a history of 100,000 plays is matched to 20,000
tracks in seconds. Every distinct name is looked at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from rapidfuzz import fuzz, process
from rapidfuzz.distance import Levenshtein

from recommender.data.catalog import Catalog
from recommender.data.names import Title, artist_keys, latin, normalise, title_of

RULES = ("MusicBrainz id", "name", "name without edition", "similar name")
THRESHOLD = 86.0
"""Likeness of artist and of title, of 100, from which two names are one: `tests/data/test_matching_quality.py`."""
_NEAR = 70.0
"""An artist this much alike is named as the nearest one."""
_AMBIGUOUS = 2.0
_DURATION_S = 15.0
"""Recordings whose lengths differ more are not taken for one another on a similar name."""
_CHUNK = 256


class Name(NamedTuple):
    """What a service calls a track; ``""`` and 0 where it does not say."""

    artist: str = ""
    title: str = ""
    album: str = ""
    recording_mbid: str = ""
    duration_s: float = 0.0


@dataclass(frozen=True)
class Match:
    """What became of a name.

    Parameters
    ----------
    row : int or None
        The track's row in the catalog.
    rule : str
        One of `RULES`; ``""`` without a match.
    score : float
        Likeness, 0 to 100, of the track or of the nearest one.
    reason : str
        Why nothing was matched, the nearest candidate named; or that several tracks carry the name.
    """

    row: int | None
    rule: str
    score: float
    reason: str


class TrackMatcher:
    """An index of a catalog's names; make it once, ask it often.

    Parameters
    ----------
    catalog : Catalog
    threshold : float
        In 0 to 100; above 100 nothing is matched by likeness.
    """

    def __init__(self, catalog: Catalog, threshold: float = THRESHOLD) -> None:
        self.catalog = catalog
        self.threshold = threshold
        columns = (
            catalog.table[name].tolist() for name in ("artist", "title", "album", "duration_s", "recording_mbid")
        )
        self._names: list[tuple[str, str]] = []
        self._albums: list[str] = []
        self._durations: list[float] = []
        self._titles: list[Title] = []
        self._by_mbid: dict[str, list[int]] = defaultdict(list)
        self._by_name: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._by_core: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._by_artist: dict[str, list[int]] = defaultdict(list)
        self._core_by_first: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._by_first: dict[str, list[int]] = defaultdict(list)
        for row, (artist, title, album, duration_s, mbid) in enumerate(zip(*columns, strict=True)):
            self._names.append((artist, title))
            self._albums.append(title_of(album).core if album else "")
            self._durations.append(float(duration_s))
            self._titles.append(title_of(title))
            if mbid:
                self._by_mbid[mbid].append(row)
            if artist and title:
                self._by_name[normalise(artist), normalise(title)].append(row)
                whole, *first = artist_keys(artist)
                self._by_core[whole, self._titles[row].core].append(row)
                self._by_artist[whole].append(row)
                for key in first:
                    self._core_by_first[key, self._titles[row].core].append(row)
                    self._by_first[key].append(row)
        self._artists = list(self._by_artist)
        self._sorted_artists = [_sorted(artist) for artist in self._artists]

    def match(self, names: Sequence[Name]) -> list[Match]:
        """Return one answer a name, in their order."""
        known: dict[Name, Match] = {}
        waiting: dict[str, list[Name]] = defaultdict(list)
        for name in dict.fromkeys(names):
            found = self._exactly(name)
            if found is None:
                waiting[latin(name.artist)].append(name)
            else:
                known[name] = found
        for artist, near in self._similar_artists(list(waiting)):
            for name in waiting[artist]:
                known[name] = self._similar(name, near)
        return [known[name] for name in names]

    def label(self, row: int) -> str:
        """Return ``Artist - Title``, as `Catalog.label` and faster."""
        artist, title = self._names[row]
        return f"{artist} - {title}" if artist and title else self.catalog.label(row)

    def _exactly(self, name: Name) -> Match | None:
        if rows := self._by_mbid.get(name.recording_mbid) if name.recording_mbid else None:
            return self._chosen(rows, name, RULES[0], 100.0)
        if not name.artist.strip() or not name.title.strip():
            reason = "its MusicBrainz id is not in the library" if name.recording_mbid else "no name"
            return Match(None, "", 0.0, reason)
        if rows := self._by_name.get((normalise(name.artist), normalise(name.title))):
            return self._chosen(rows, name, RULES[1], 100.0)
        core = title_of(name.title).core
        whole, *first = artist_keys(name.artist)
        of_whole = self._by_core.get((whole, core)) or self._core_by_first.get((whole, core))
        rows = of_whole or next((rows for key in first if (rows := self._by_core.get((key, core)))), None)
        return self._chosen(rows, name, RULES[2], 100.0) if rows else None

    def _chosen(self, rows: list[int], name: Name, rule: str, score: float) -> Match:
        """Take the track of the same album, else of the nearest length, else the first."""
        album = title_of(name.album).core if name.album else ""
        same = [row for row in rows if album and self._albums[row] == album] or rows
        if name.duration_s > 0:
            best = min(same, key=lambda row: (_apart(self._durations[row], name.duration_s), row))
        else:
            best = same[0]
        several = f"{len(rows)} tracks carry this name; the album or the length decided, or the first was taken"
        return Match(best, rule, score, several if len(rows) > 1 else "")

    def _similar_artists(self, artists: list[str]) -> Iterable[tuple[str, dict[str, float]]]:
        """Yield of each artist the catalog's artists that are called nearly the same, with their likeness."""
        for start in range(0, len(artists) if self._artists else 0, _CHUNK):
            part = artists[start : start + _CHUNK]
            table = np.maximum(
                process.cdist(part, self._artists, scorer=fuzz.ratio, score_cutoff=_NEAR, dtype=np.float32),
                process.cdist(
                    [_sorted(artist) for artist in part], self._sorted_artists,
                    scorer=fuzz.ratio, score_cutoff=min(100.0, self.threshold), dtype=np.float32,
                ),
            )  # fmt: skip
            for artist, row in zip(part, table, strict=True):
                near = [self._artists[at] for at in np.flatnonzero(row >= min(100.0, self.threshold)).tolist()]
                alike = {name: score for name in near if (score := likeness(artist, name)) >= self.threshold}
                nearest = int(row.argmax())
                if not alike and row[nearest]:
                    alike = {self._artists[nearest]: min(float(row[nearest]), self.threshold - 1.0)}
                yield artist, alike
        if not self._artists:
            yield from ((artist, {}) for artist in artists)

    def _similar(self, name: Name, artists: dict[str, float]) -> Match:
        whole, *first = artist_keys(name.artist)
        of = {row: score for key, score in artists.items() if score >= self.threshold for row in self._by_artist[key]}
        of |= dict.fromkeys(self._by_first.get(whole, ()), 100.0)
        of |= dict.fromkeys((row for key in first for row in self._by_artist.get(key, ())), 100.0)
        if not of:
            if swapped := self._by_core.get((latin(name.title), title_of(name.artist).core)):
                return self._chosen(swapped, name, RULES[3], 100.0)
            nearest = max(artists, key=lambda key: artists[key], default="")
            told = f"; the nearest is {self._artist(nearest)} ({artists[nearest]:.0f})" if nearest else ""
            return Match(None, "", artists.get(nearest, 0.0), f"no such artist{told}")
        wanted = title_of(name.title)
        scores = {row: min(score, likeness(wanted.core, self._titles[row].core)) for row, score in of.items()}
        ranked = sorted(scores, key=lambda row: (-scores[row], row))
        usable = [row for row in ranked if scores[row] >= self.threshold and self._may_be(row, wanted, name)]
        if not usable and scores[ranked[0]] < self.threshold:
            cores = {row: self._titles[row].core for row in ranked}
            _, score, row = process.extractOne(wanted.core, cores, scorer=fuzz.ratio)
            told = f"no such title by this artist; the nearest is {self.label(row)} ({score:.0f})"
            return Match(None, "", score, told)
        if not usable:
            return Match(None, "", scores[ranked[0]], self._why_not(ranked[0], wanted, name))
        best = usable[0]
        alike = [row for row in usable if scores[row] > scores[best] - _AMBIGUOUS]
        same = [row for row in alike if self._titles[row].core == self._titles[best].core]
        if len(same) < len(alike):
            other = next(row for row in alike if row not in same)
            told = f"{self.label(best)} or {self.label(other)} ({scores[best]:.0f})"
            return Match(None, "", scores[best], f"ambiguous: {told}")
        return self._chosen(same, name, RULES[3], scores[best])

    def _may_be(self, row: int, wanted: Title, name: Name) -> bool:
        known_length = name.duration_s > 0 and self._durations[row] > 0
        if known_length and abs(self._durations[row] - name.duration_s) > _DURATION_S:
            return False
        return self._titles[row].marks == wanted.marks

    def _why_not(self, row: int, wanted: Title, name: Name) -> str:
        label = self.label(row)
        if self._titles[row].marks != wanted.marks:
            return f"another recording or part than {label}"
        return f"another length than {label}: {name.duration_s:.0f} s, not {self._durations[row]:.0f} s"

    def _artist(self, key: str) -> str:
        return self._names[self._by_artist[key][0]][0]


def _apart(duration_s: float, wanted_s: float) -> float:
    return abs(duration_s - wanted_s) if duration_s > 0 else float("inf")


def _sorted(name: str) -> str:
    return " ".join(sorted(name.split()))


def likeness(one: str, other: str) -> float:
    """Compare two reduced names, 0 to 100; a word more or less is another name, a space more or less is none.

    Examples
    --------
    >>> likeness("weird fishes", "wierd fishes") > 90, likeness("fishes weird", "weird fishes")
    (True, 100.0)
    >>> likeness("weird fishes tonight", "weird fishes"), likeness("weirdfishes", "weird fishes")
    (0.0, 100.0)
    """
    if one.count(" ") == other.count(" "):
        return max(fuzz.ratio(one, other), fuzz.ratio(_sorted(one), _sorted(other)))
    one, other = one.replace(" ", ""), other.replace(" ", "")
    return fuzz.ratio(one, other) if Levenshtein.distance(one, other, score_cutoff=2) <= 2 else 0.0
