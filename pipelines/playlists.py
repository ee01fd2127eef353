"""Playlists from a workspace's current bundle, from seeds and rules; those for everyone are `playlist_batch`'s."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from pipelines import console
from pipelines.recommend import Current, load_current
from pipelines.workspace import Workspace
from recommender.audio.signatures import Signatures
from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError, ModelError, RulesError
from recommender.playlists.builder import Playlist, Rules, Seeds, Span, build_playlist
from recommender.playlists.energy import Arc
from recommender.playlists.formats import playlist_format, write_playlist
from recommender.playlists.path import SoundPath, find_path
from recommender.playlists.rules import SOFT, VARIETY, RelaxableRule
from recommender.ranking.ranker import HybridModel, with_new_tracks
from recommender.serving.store import Store

Rows = npt.NDArray[np.int32]
_NUMBER = r"\d*\.?\d+"
_SPAN = re.compile(rf"\s*(?:(?P<low>{_NUMBER})?\s*-\s*(?P<high>{_NUMBER})?|(?P<one>{_NUMBER}))\s*")


@dataclass(frozen=True)
class Asked:
    """What a playlist is asked for, in words; see `recommender.playlists.rules.Rules` and `Seeds`.

    Parameters
    ----------
    tempo, energy, year : Span or None
    not_played_days : float or None
        Not what one of the users played in so many days.
    files : tuple of Path
        Audio files that it is to be like; they need not be in the library.
    soft : tuple of str or None
        Rules that may give way; None for those that do by default.
    """

    tracks: tuple[str, ...] = ()
    artists: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    length: int | None = 25
    minutes: float | None = None
    max_per_artist: int | None = 3
    artist_spacing: int = 2
    album_spacing: int = 0
    tempo: Span | None = None
    key: tuple[str, ...] = ()
    energy: Span | None = None
    year: Span | None = None
    genre: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    exclude_artists: tuple[str, ...] = ()
    exclude_genres: tuple[str, ...] = ()
    unheard: bool = False
    not_played_days: float | None = None
    variety: float | None = None
    arc: str = "none"
    soft: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        self.rules(Vocabulary("track", tuple(dict.fromkeys([*self.include, *self.exclude]))))

    def rules(self, tracks: Vocabulary) -> Rules:
        """Return them with the tracks in rows.

        Raises
        ------
        RulesError
            If a value is out of its range, or two rules contradict each other.
        UnknownIdError
            If an included or excluded track is not known.
        """
        return Rules(
            length=self.length,
            minutes=self.minutes,
            max_per_artist=self.max_per_artist,
            artist_spacing=self.artist_spacing,
            album_spacing=self.album_spacing,
            include=tracks.rows(self.include, unknown="raise").astype(np.int32),
            exclude=tracks.rows(self.exclude, unknown="raise").astype(np.int32),
            exclude_artists=self.exclude_artists,
            exclude_genres=self.exclude_genres,
            unheard=self.unheard,
            tempo=self.tempo,
            key=self.key,
            energy=self.energy,
            year=self.year,
            genre=self.genre,
            variety=VARIETY if self.variety is None else self.variety,
            arc=cast(Arc, self.arc),
            soft=SOFT if self.soft is None else cast(frozenset[RelaxableRule], frozenset(self.soft)),
        )


def span_of(text: str) -> Span:
    """Read a range: ``120-130``, ``120-`` or ``-130``; one number is that alone.

    Raises
    ------
    RulesError
        If it is none.

    Examples
    --------
    >>> str(span_of(".5-.9"))
    'between 0.5 and 0.9'
    """
    found = _SPAN.fullmatch(text)
    if found is None or not (found["low"] or found["high"] or found["one"]):
        raise RulesError(f"{text!r} is no range, expected one like 120-130, 120- or -130")
    low, high = (float(found[end]) if found[end] else None for end in ("low", "high"))
    return Span(float(found["one"]), float(found["one"])) if found["one"] else Span(low, high)


def build(
    workspace: Workspace, asked: Asked, *, seed: int, name: str | None, absolute: bool | None, out: Path | None
) -> Playlist:
    """Build one playlist, print it, and write it where `out` says.

    Raises
    ------
    UnknownIdError
        If a track or a user is not known.
    DataError
        If no track is by a seed artist, or nothing is left after the rules.
    RulesError
        If rules contradict each other.
    """
    if out is not None:
        playlist_format(out)
    current = load_current(workspace)
    model, signatures, like = _with_files(current, asked.files)
    known = model.catalog.tracks
    rows = model.users.rows(asked.users, unknown="raise")
    seeds = Seeds(
        track_rows=known.rows(asked.tracks, unknown="raise").astype(np.int32),
        like_rows=like,
        artists=asked.artists,
        plays=model.plays[rows] if len(rows) else None,
        heard=model.heard[rows] if len(rows) else None,
        recent_rows=_recent_rows(workspace, model, asked),
        users=asked.users,
    )
    rules = asked.rules(known)
    rules = replace(rules, exclude=np.r_[rules.exclude, like])
    labels = [*(model.catalog.label(row) for row in seeds.track_rows[:2].tolist()), *asked.artists[:2]]
    title = name or " + ".join([*labels, *(file.stem for file in asked.files[:2]), *asked.users[:2]]) or "Playlist"
    playlist = build_playlist(
        model,
        seeds,
        rules,
        name=title,
        made_at=datetime.now(UTC),
        bundle_version=current.manifest.version,
        seed=seed,
        signatures=signatures,
    )
    if not playlist.track_ids:
        raise DataError(f"the playlist is empty: {playlist.shortage}")
    _show(workspace, playlist, model.catalog, absolute, out)
    for rule in playlist.relaxed_rules:
        console.err.print(f"relaxed: {rule}", markup=False)
    for share in playlist.shares:
        console.err.print(
            f"{share.user}: {share.tracks} of {len(playlist.track_ids)} tracks are in the best tenth of the library "
            f"for this user; on average they suit better than {100 * share.fit:.0f} % of it",
            markup=False,
        )
    return playlist


def _with_files(current: Current, files: tuple[Path, ...]) -> tuple[HybridModel, Signatures | None, Rows]:
    """Return the model with audio files as further tracks, and their rows."""
    model, signatures = current.model, current.signatures
    if not files:
        return model, signatures, np.empty(0, dtype=np.int32)
    if missing := [file for file in files if not file.is_file()]:
        raise DataError(f"{missing[0]} is not there; --file takes an audio file")
    if model.sound is None:
        raise ModelError("the current bundle knows no sound, so a file cannot be a seed; ingest --music, then train")
    heard = [current.hearing.hear(file) for file in files]
    ids = tuple(f"\0{place}" for place in range(len(files)))
    embeddings = Embeddings.without_clips(
        Vocabulary("track", ids), np.stack([each.vector for each in heard]), heard[0].version
    )
    extended = with_new_tracks(model, Catalog.of_ids(ids), embeddings)
    if signatures is not None:
        signatures = signatures.extended([each.signature for each in heard])
    return extended, signatures, np.arange(len(model.catalog), len(extended.catalog), dtype=np.int32)


def _recent_rows(workspace: Workspace, model: HybridModel, asked: Asked) -> Rows:
    """Return what the users played in the last days, of the plays that were ingested and of those in the store."""
    if asked.not_played_days is None or not asked.users:
        return np.empty(0, dtype=np.int32)
    since = datetime.now(UTC) - timedelta(days=asked.not_played_days)
    plays = workspace.interaction_table()
    lately = plays["timestamp"] >= since.replace(tzinfo=None)
    played = set(plays["item_id"][plays["user_id"].isin(asked.users) & lately & (plays["weight"] >= 0)])
    if workspace.has_store:
        with closing(Store.open(workspace.store_url)) as store:
            played |= store.played_since(asked.users, int(since.timestamp() * 1000))
    return model.catalog.tracks.rows(sorted(played), unknown="drop").astype(np.int32)


def path(
    workspace: Workspace,
    *,
    start: str,
    end: str,
    steps: int,
    exclude: tuple[str, ...],
    seed: int,
    name: str | None,
    absolute: bool | None,
    out: Path | None,
) -> SoundPath:
    """Find a path between two tracks, print it, and write it where `out` says.

    Raises
    ------
    UnknownIdError
        If a track is not known.
    DataError
        If there is no path, with the reason.
    """
    if out is not None:
        playlist_format(out)
    current = load_current(workspace)
    model, known = current.model, current.model.catalog.tracks
    ends = known.rows((start, end), unknown="raise").tolist()
    found = find_path(model, ends[0], ends[1], steps, exclude=known.rows(exclude, unknown="raise"), seed=seed)
    title = name or " to ".join(model.catalog.label(row) for row in ends)
    version, ids = current.manifest.version, tuple(known.ids_of(np.array(found.rows)))
    playlist = Playlist(title, ids, datetime.now(UTC), version, seed, ())
    _show(workspace, playlist, model.catalog, absolute, out, found.distances)
    for step in found.bridges:
        labels = " to ".join(model.catalog.label(row) for row in found.rows[step : step + 2])
        console.err.print(f"a bridge: no chain of near neighbours leads from {labels}", markup=False)
    return found


def _show(
    workspace: Workspace,
    playlist: Playlist,
    catalog: Catalog,
    absolute: bool | None,
    out: Path | None,
    distances: Sequence[float] | None = None,
) -> None:
    rows = catalog.tracks.rows(playlist.track_ids, unknown="raise").tolist()
    columns = {
        "": list(range(1, len(rows) + 1)),
        "track": [catalog.label(row) for row in rows],
        "item_id": list(playlist.track_ids),
    }
    if distances is not None:
        columns["distance"] = ["", *(f"{distance:.3f}" for distance in distances)]
    console.table(playlist.name, tuple(columns), list(zip(*columns.values(), strict=True)))
    if out is not None:
        written = write_playlist(out, playlist, catalog, workspace.uploads, absolute=absolute)
        console.out.print(f"{out}: {written} of {len(rows)} tracks have a file", markup=False)
