"""What a playlist is told by name: tracks that must be in it, tracks that must not, artists that have to have one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.data.interactions import DISLIKED
from recommender.errors import DataError, RulesError
from recommender.playlists.account import Relaxation
from recommender.playlists.rules import Rows, Rules
from recommender.playlists.violations import Bound, by_artists, of_genres
from recommender.ranking.ranker import HybridModel

Floats = npt.NDArray[np.float64]


def forbidden(model: HybridModel, rules: Rules, heard: sparse.csr_matrix | None) -> list[Bound]:
    """Return what never is in a playlist: excluded tracks, artists and genres, and what a user dislikes.

    Parameters
    ----------
    heard : csr_matrix, shape (b, n_tracks), or None
        As `Interactions.heard` has it.
    """
    disliked = np.empty(0, dtype=np.int32) if heard is None else heard.indices[heard.data == DISLIKED]
    excluded = np.zeros(len(model.catalog), dtype=bool)
    excluded[rules.exclude] = True
    hated = np.zeros(len(model.catalog), dtype=bool)
    hated[disliked] = True
    found = [Bound("exclude", excluded.astype(np.int32), "not excluded")]
    if rules.exclude_artists:
        theirs = by_artists(model, rules.exclude_artists)
        found.append(Bound("exclude_artists", theirs.astype(np.int32), "not by an excluded artist"))
    if rules.exclude_genres:
        such = of_genres(model, rules.exclude_genres)
        found.append(Bound("exclude_genres", such.astype(np.int32), "not of an excluded genre"))
    return [*found, Bound("disliked", hated.astype(np.int32), "not disliked by a listener")]


def named_rows(
    model: HybridModel,
    rules: Rules,
    track_rows: Rows,
    artists: Sequence[str],
    never: Sequence[Bound],
    allowed: npt.NDArray[np.bool_],
    preferred: npt.NDArray[np.bool_],
    durations_s: Floats,
) -> tuple[Rows, list[Relaxation]]:
    """Return the rows that a playlist begins with, and what of the seeds has no place in it.

    Parameters
    ----------
    track_rows, artists
        Seeds.
    never : sequence of Bound
        What named tracks have to keep too.
    allowed, preferred : ndarray, shape (n_tracks,), bool
        What an artist's track may be, and had better be.

    Raises
    ------
    RulesError
        If what is included must not be in it, or cannot all be.
    """
    must = list(dict.fromkeys(rules.include.tolist()))
    _check_included(model, rules, must, never, durations_s)
    seeds = [row for row in dict.fromkeys(track_rows.tolist()) if row not in set(must)]
    cap = np.inf if rules.max_per_artist is None or "max_per_artist" in rules.soft else rules.max_per_artist
    places = np.inf if rules.length is None else rules.length - len(must)
    left_s = np.inf if rules.minutes is None else rules.minutes * 60 - durations_s[must].sum()
    counts = Counter(model.artist_codes[must].tolist())
    taken: list[int] = []

    def takes(row: int) -> str:
        """Take a seed, or say why not."""
        nonlocal places, left_s
        for bound in never:
            if bound.steps[row]:
                return f"is not {bound.asked}".replace("is not not", "is")
        code = int(model.artist_codes[row])
        if counts[code] >= cap:
            return "is one too many of its artist"
        if places < 1:
            return "does not fit into the length"
        if durations_s[row] > left_s:
            return "does not fit into the minutes"
        counts[code], places, left_s = counts[code] + 1, places - 1, left_s - durations_s[row]
        taken.append(row)
        return ""

    refused = Counter(why for why in map(takes, seeds) if why)
    relaxed = []
    if refused:
        whys = ", ".join(f"{count} {why}" for why, count in refused.items())
        n = len(seeds)
        relaxed.append(Relaxation("tracks", f"{n} seeds", str(n - refused.total()), refused.total(), f"since {whys}"))
    first = [row for row in dict.fromkeys(track_rows.tolist()) if row in set(must) | set(taken)]
    rows = list(dict.fromkeys([*first, *must]))
    for artist in artists:
        theirs = rows_by(model, artist)
        if set(rows) & set(theirs.tolist()):
            continue
        fit = theirs[allowed[theirs]]
        fit = fit[preferred[fit]] if preferred[fit].any() else fit
        why = "since none of their tracks keeps the hard rules"
        if len(fit):
            best = int(fit[np.argmax(model.evidence[fit])])
            why = takes(best)
            if not why:
                rows.append(best)
                continue
            why = f"since their track {why}"
        relaxed.append(Relaxation("artists", f"a track by {artist}", "none", 0, why))
    return np.array(rows, dtype=np.int32), relaxed


def rows_by(model: HybridModel, artist: str) -> npt.NDArray[np.intp]:
    """Return the rows of an artist's tracks, whatever the case of the name.

    Raises
    ------
    DataError
        If there is none.
    """
    code = model.catalog.code_of_artist.get(artist.casefold().strip())
    if code is None:
        raise DataError(f"no track is by the artist {artist!r}; look the name up in the catalog")
    return np.flatnonzero(model.artist_codes == code)


def check_seed_artists(rules: Rules, artists: Sequence[str]) -> None:
    """Raise RulesError if a seed artist is excluded."""
    excluded = {artist.casefold().strip() for artist in rules.exclude_artists}
    if both := [artist for artist in artists if artist.casefold().strip() in excluded]:
        raise RulesError(f"the artist {both[0]!r} is both asked for and excluded; take out one of the two")


def _check_included(
    model: HybridModel, rules: Rules, must: list[int], never: Sequence[Bound], durations_s: Floats
) -> None:
    for row in must:
        for bound in never:
            if bound.steps[row]:
                raise RulesError(
                    f"{model.catalog.label(row)} must be in the playlist and is not {bound.asked}; take out one of the "
                    "two rules".replace("is not not", "is")
                )
    if rules.max_per_artist is not None and "max_per_artist" not in rules.soft and must:
        code, most = Counter(model.artist_codes[must].tolist()).most_common(1)[0]
        if most > rules.max_per_artist:
            artist = model.catalog.columns["artist"][int(np.argmax(model.artist_codes == code))]
            raise RulesError(
                f"{most} tracks by {artist} must be in the playlist and at most {rules.max_per_artist} of an artist "
                "may; include fewer, or make max_per_artist soft"
            )
    if rules.minutes is not None and durations_s[must].sum() > rules.minutes * 60:
        raise RulesError(
            f"the tracks that must be in the playlist last {durations_s[must].sum() / 60:.1f} minutes and it may last "
            f"{rules.minutes:g}; include fewer, or ask for more"
        )
