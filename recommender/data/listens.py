"""Listening histories of other services: read by `recommender.data.histories`, matched to the catalog, accounted for.

What a history says once is kept in a few bytes a play: names are kept once, plays as numbers.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path

import numpy as np
import pandas as pd

from recommender.data.histories import Broken, History, read_histories
from recommender.data.matching import RULES, Match, Name, TrackMatcher
from recommender.data.tables import MAX_BROKEN, MAX_NAMED
from recommender.errors import DataError

NAME_COLUMNS = (
    "history", "service", "artist", "title", "album", "recording_mbid", "plays",
    "rule", "score", "item_id", "matched", "reason",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class MatchReport:
    """What became of a history: ``n_read = n_matched + n_unmatched + n_unusable + n_broken``.

    Parameters
    ----------
    path : Path
    service : str
    users : tuple of str
        The users that the plays were given to.
    n_read, n_matched, n_unmatched : int
        Entries of the file; those in the result; those of tracks that the catalog does not have.
    n_unusable : int
        Entries that are no plays of music: podcasts, private sessions, plays cut short by other things than a skip.
    n_broken : int
    rules : tuple of (str, int)
        Entries matched by each rule of `recommender.data.matching.RULES` that matched any.
    names : DataFrame, one row a distinct name, the most played first
        `NAME_COLUMNS`: how the service calls the track, its entries (plays), and what it was matched to, by which rule
        and how likely (score, 0 to 100); or why not (reason), the nearest candidate named.
    problems : tuple of str
        Entries that cannot be read, by place.
    """

    path: Path
    service: str
    users: tuple[str, ...]
    n_read: int
    n_matched: int
    n_unmatched: int
    n_unusable: int
    n_broken: int
    rules: tuple[tuple[str, int], ...]
    names: pd.DataFrame
    problems: tuple[str, ...] = ()

    @property
    def unmatched(self) -> tuple[tuple[str, int], ...]:
        """The most frequent tracks that the catalog does not have, as ``artist - title``, and their entries."""
        lost = self.names[self.names["rule"] == ""].head(20)
        labels = lost["artist"] + " - " + lost["title"]
        return tuple(zip(labels.tolist(), lost["plays"].tolist(), strict=True))

    def summary(self) -> str:
        """Return one line for a person."""
        by = ", ".join(f"{count} by {rule}" for rule, count in self.rules)
        counts = ((self.n_unmatched, "of tracks not in the catalog"), (self.n_unusable, "no plays of music"))
        extra = "".join(f", {count} {what}" for count, what in (*counts, (self.n_broken, "broken")) if count)
        of = ", ".join(self.users[:3]) or "nobody"
        of += f" and {len(self.users) - 3} more" if len(self.users) > 3 else ""
        matched = f"{self.n_matched} of {self.n_read} plays matched for {of}{f' ({by})' if by else ''}"
        return f"{self.path.name}: {self.service}, {matched}{extra}"

    def examples(self, count: int = 5) -> tuple[str, ...]:
        """Return a line for each of the most played names without a match, and why."""
        lost = self.names[self.names["rule"] == ""].head(count)
        columns = (lost[name].tolist() for name in ("artist", "title", "recording_mbid", "plays", "reason"))
        return tuple(
            f"{f'{artist} - {title}' if artist or title else mbid} ({plays} play{'s' * (plays != 1)}): {reason}"
            for artist, title, mbid, plays, reason in zip(*columns, strict=True)
        )


class _Plays:
    """Entries on their way in: each distinct name and user once, the rest as numbers."""

    def __init__(self) -> None:
        self.names: dict[Name, int] = {}
        self.users: dict[str, int] = {}
        self.name_rows, self.user_rows = array("l"), array("l")
        self.times, self.weights, self.loved = array("q"), array("d"), array("b")
        self.broken: list[str] = []
        self.n_broken = 0
        self.n_unusable = 0

    def take(self, history: History) -> None:
        for entry in history.entries:
            if entry is None:
                self.n_unusable += 1
            elif isinstance(entry, Broken):
                self.n_broken += 1
                if len(self.broken) < MAX_NAMED:
                    self.broken.append(f"{entry.place}: is no listen: {entry.reason}")
            else:
                user = entry.user or history.owner
                self.name_rows.append(self.names.setdefault(entry.name, len(self.names)))
                self.user_rows.append(self.users.setdefault(user, len(self.users)))
                self.times.append(entry.time)
                self.weights.append(entry.weight)
                self.loved.append(entry.loved)


def read_listens(
    path: Path, matcher: TrackMatcher, user: str | None = None, zone: tzinfo = UTC
) -> tuple[pd.DataFrame, MatchReport]:
    """Read a listening history and find its tracks in the catalog.

    Parameters
    ----------
    path : Path
        Any file of `recommender.data.histories.UNDERSTOOD`; recognised by its content.
    matcher : TrackMatcher
        Of the catalog.
    user : str, optional
        Whose history it is. Without it: the name that the file gives, else the file's own name.
    zone : tzinfo
        Of times that the file gives without one.

    Returns
    -------
    frame : DataFrame
        user_id, item_id, weight, timestamp (datetime64[s], UTC). A play is 1, a track skipped at once 0, a dislike -1;
        the same play is kept once. Counts and loves have no time (NaT) and one row a track: the plays added up, as
        many as the listener's most played track has if it is loved, -1 if it is disliked.
    report : MatchReport

    Raises
    ------
    DataError
        If the file cannot be read, is of no known format, or more than a fifth of its entries is broken.
    """
    return match_histories(path, read_histories(path, zone), matcher, user)


def match_histories(
    path: Path, histories: Iterable[History], matcher: TrackMatcher, user: str | None = None
) -> tuple[pd.DataFrame, MatchReport]:
    """Find the tracks of histories in the catalog, as `read_listens` does; `path` names them in the report."""
    plays, services, owner = _Plays(), list[str](), ""
    for history in histories:
        owner = owner or history.owner
        if history.service:
            services.append(history.service)
        plays.take(history)
    n_read = len(plays.times) + plays.n_broken + plays.n_unusable
    if plays.n_broken > MAX_BROKEN * n_read:
        raise DataError(
            f"{path}: {plays.n_broken} of {n_read} entries cannot be used, at most {MAX_BROKEN:.0%} may be; "
            f"{'; '.join(plays.broken[:3])}; export the history again"
        )
    names = list(plays.names)
    matches = matcher.match(names)
    name_rows = np.frombuffer(plays.name_rows, dtype=np.dtype("l")) if names else np.zeros(0, np.int64)
    rows = np.array([-1 if match.row is None else match.row for match in matches], dtype=np.int64)[name_rows]
    users = np.array([user or name or owner or path.stem for name in plays.users] or [""], dtype=object)
    frame = _frame(plays, rows, users, matcher)
    counts = np.bincount(name_rows, minlength=len(names))
    service = Counter(services).most_common(1)[0][0] if services else ""
    problems = list(plays.broken)
    if rest := plays.n_broken - len(problems):
        problems.append(f"and {rest} more entries")
    by_rule = Counter[str]()
    for match, count in zip(matches, counts.tolist(), strict=True):
        by_rule[match.rule] += count
    lost = by_rule.pop("", 0)
    return frame, MatchReport(
        path, service, tuple(sorted(set(frame["user_id"]))), n_read, len(plays.times) - lost, lost,
        plays.n_unusable, plays.n_broken, tuple((rule, by_rule[rule]) for rule in RULES if by_rule[rule]),
        _names_table(path, service, names, matches, counts.tolist(), matcher), tuple(problems),
    )  # fmt: skip


def _frame(plays: _Plays, rows: np.ndarray, users: np.ndarray, matcher: TrackMatcher) -> pd.DataFrame:
    """Lay out the matched plays; those without a time become one row a user and track."""
    found = rows >= 0
    ids = np.array(matcher.catalog.tracks.ids, dtype=object)
    frame = pd.DataFrame(
        {
            "user_id": pd.Series(users[np.array(plays.user_rows, dtype=np.int64)[found]], dtype="str"),
            "item_id": pd.Series(ids[rows[found]] if len(ids) else [], dtype="str"),
            "weight": np.array(plays.weights, dtype=np.float64)[found],
            "timestamp": np.array(plays.times, dtype=np.int64)[found].view("datetime64[s]"),
            "loved": np.array(plays.loved, dtype=bool)[found],
        }
    )
    timeless = frame["timestamp"].isna()
    timed = frame[~timeless].drop_duplicates(["user_id", "item_id", "timestamp"])
    if not timeless.any():
        return timed.drop(columns="loved").reset_index(drop=True)
    pair = ["user_id", "item_id"]
    counts = frame[timeless].groupby(pair, sort=False, as_index=False).agg(
        weight=("weight", "sum"), worst=("weight", "min"), loved=("loved", "max")
    )  # fmt: skip
    totals = pd.concat([timed[[*pair, "weight"]], counts[[*pair, "weight"]]]).groupby(pair)["weight"].sum()
    most = totals.groupby(level=0).max().clip(lower=1.0).reindex(counts["user_id"]).to_numpy()
    weight = np.where(counts["loved"], np.maximum(counts["weight"], most), counts["weight"])
    counts["weight"] = np.where(counts["worst"] < 0, -1.0, weight)
    counts["timestamp"] = np.full(len(counts), np.datetime64("NaT", "s"))
    columns = [*pair, "weight", "timestamp"]
    return pd.concat([timed[columns], counts[columns]], ignore_index=True)


def _names_table(
    path: Path, service: str, names: list[Name], matches: list[Match], counts: list[int], matcher: TrackMatcher
) -> pd.DataFrame:
    rows = sorted(range(len(names)), key=lambda at: (-counts[at], names[at]))
    ids = matcher.catalog.tracks.ids
    lines = []
    for at in rows:
        name, match = names[at], matches[at]
        item, matched = ("", "") if match.row is None else (ids[match.row], matcher.label(match.row))
        what = (name.artist, name.title, name.album, name.recording_mbid, counts[at])
        lines.append((path.name, service, *what, match.rule, round(match.score, 1), item, matched, match.reason))
    return pd.DataFrame(lines, columns=list(NAME_COLUMNS))
