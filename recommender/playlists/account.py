"""The account that a playlist gives of itself: which rules gave way, how far and why, and what made it short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recommender.playlists.rules import Rows, Rules
from recommender.playlists.selection import Selected, Wanted
from recommender.playlists.spacing import smallest_gap, too_close
from recommender.playlists.violations import UNKNOWN, Bound
from recommender.ranking.ranker import HybridModel


@dataclass(frozen=True)
class Relaxation:
    """A rule that gave way.

    Parameters
    ----------
    rule : str
    asked, given : str
        What it was, and what became of it.
    tracks : int
        That do not keep it as it was asked for.
    reason : str
    """

    rule: str
    asked: str
    given: str
    tracks: int
    reason: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.given} instead of {self.asked} ({_tracks(self.tracks)}), {self.reason}"


def tracks_relaxed(
    model: HybridModel, selected: Selected, soft: Sequence[Bound], rules: Rules, named: Rows
) -> list[Relaxation]:
    """Tell of the rules on single tracks, and of the artist cap, that the tracks which were chosen do not keep."""
    found = []
    chosen = selected.rows[~np.isin(selected.rows, named)]
    for bound in soft:
        steps = bound.steps[chosen]
        if count := int((steps > 0).sum()):
            found.append(
                Relaxation(bound.rule, bound.asked, _given(bound, chosen), count, _reason(selected, rules, bound.rule))
            )
    if rules.max_per_artist is not None and len(selected.rows):
        counts = np.bincount(model.artist_codes[selected.rows])
        if (most := int(counts.max())) > rules.max_per_artist:
            beyond = int(np.maximum(counts - rules.max_per_artist, 0).sum())
            why = _reason(selected, rules, "max_per_artist")
            found.append(Relaxation("max_per_artist", str(rules.max_per_artist), str(most), beyond, why))
    return sorted(found, key=lambda each: selected.had.get(each.rule, 0))


def spacing_relaxed(model: HybridModel, rows: Rows, rules: Rules) -> list[Relaxation]:
    """Tell of the gaps that the order does not keep; `rows` are in playing order."""
    found = []
    groups = (model.artist_codes[rows], model.catalog.albums[rows])
    for rule, codes, gap in zip(("artist_spacing", "album_spacing"), groups, rules.gaps, strict=True):
        if (smallest := smallest_gap(codes, gap)) < gap:
            why = "no order of these tracks was found that keeps it"
            found.append(Relaxation(rule, str(gap), str(smallest), too_close(codes, gap), why))
    return found


def shortage_of(
    model: HybridModel, selected: Selected, hard: Sequence[Bound], rules: Rules, wanted: Wanted, most_of_one: int | None
) -> str:
    """Say what made a playlist shorter than was asked for.

    Parameters
    ----------
    hard : sequence of Bound
        What no track may break.
    most_of_one : int or None
        The cap that hard gaps set.
    """
    rows, total = selected.rows, len(model.catalog)
    head = f"{len(rows)} of {_tracks(rules.length)}" if rules.length is not None else ""
    if rules.minutes is not None:
        minutes = f"{wanted.durations_s[rows].sum() / 60:.1f} of {rules.minutes:g} minutes"
        head = f"{head}, {minutes}" if head else minutes
    binding = [bound for bound in hard if (bound.steps > 0).any()]
    count = int(wanted.allowed.sum())
    why = f"the library has {'only ' if total else 'no tracks'}{_tracks(total) if total else ''}"
    few = f"{f'only {count}' if count else 'none'} of the library's {_tracks(total)} {'are' if count > 1 else 'is'}"
    if len(binding) == 1:
        why = f"{few} {binding[0].asked}"
    elif binding:
        parts = [f"{bound.asked} ({int((bound.steps == 0).sum())})" for bound in binding]
        why = f"{few} {' and '.join(parts)}"
    for bound in binding:
        if unknown := int((bound.steps == UNKNOWN).sum()):
            why += f"; the {bound.rule} of {'all' if unknown == total else unknown} is unknown"
    outside = int((~wanted.allowed[wanted.named]).sum())
    why += f", and {outside} more {'was' if outside == 1 else 'were'} named" if outside else ""
    if count > len(rows) - outside:
        if rules.max_per_artist is not None and "max_per_artist" not in rules.soft:
            why += f", at most {rules.max_per_artist} of each artist may be in it"
        if most_of_one is not None:
            why += ", and more of one artist cannot be kept apart"
        if rules.minutes is not None:
            why += ", and none of the rest fits into the time that is left"
    return f"{head}: {why}"


def _given(bound: Bound, chosen: Rows) -> str:
    steps = bound.steps[chosen]
    outside, unknown = chosen[(steps > 0) & (steps < UNKNOWN)], int((steps == UNKNOWN).sum())
    parts = []
    if len(outside) and bound.values is not None:
        low, high = np.min(bound.values[outside]), np.max(bound.values[outside])
        parts.append(bound.words.format(f"{low:.4g} to {high:.4g}" if low < high else f"{low:.4g}"))
    elif len(outside):
        most = int(bound.steps[outside].max())
        other = {"key": f"up to {most} steps further", "genre": "other genres", "recent": "heard lately"}
        parts.append(other.get(bound.rule, "heard"))
    if unknown:
        parts.append(f"{unknown} unknown")
    return " and ".join(parts)


def _reason(selected: Selected, rules: Rules, rule: str) -> str:
    if rule not in selected.had:
        return "since they were named"
    of = (
        f" of {_tracks(rules.length)}"
        if rules.length is not None
        else (" tracks" if selected.had[rule] != 1 else " track")
    )
    return f"since there are {f'only {selected.had[rule]}' if selected.had[rule] else 'none'}{of} without"


def _tracks(count: int | None) -> str:
    return f"{count} track{'s' if count != 1 else ''}"
