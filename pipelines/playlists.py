"""Playlists from a workspace's current bundle, from seeds and rules; those for everyone are `playlist_batch`'s."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import numpy as np

from pipelines import console
from pipelines.recommend import load_current
from pipelines.workspace import Workspace
from recommender.data.catalog import Catalog
from recommender.errors import DataError
from recommender.playlists.builder import Playlist, Rules, Seeds, build_playlist
from recommender.playlists.energy import Arc
from recommender.playlists.formats import playlist_format, write_playlist
from recommender.playlists.path import SoundPath, find_path


def build(
    workspace: Workspace,
    *,
    tracks: tuple[str, ...],
    artists: tuple[str, ...],
    user: str | None,
    length: int,
    minutes: float | None,
    max_per_artist: int,
    exclude: tuple[str, ...],
    unheard: bool,
    arc: str,
    seed: int,
    name: str | None,
    absolute: bool | None,
    out: Path | None,
) -> Playlist:
    """Build one playlist, print it, and write it where `out` says.

    Raises
    ------
    UnknownIdError
        If a seed track, an excluded track or the user is not known.
    DataError
        If no track is by a seed artist, or nothing is left after the rules.
    """
    current = load_current(workspace)
    model, known = current.model, current.model.catalog.tracks
    row = model.users.row(user) if user is not None else None
    seeds = Seeds(
        track_rows=known.rows(tracks, unknown="raise"),
        artists=artists,
        plays=model.plays[row] if row is not None else None,
        heard=model.heard[row] if row is not None else None,
    )
    rules = Rules(
        length=length,
        minutes=minutes,
        max_per_artist=max_per_artist,
        exclude=known.rows(exclude, unknown="raise"),
        unheard=unheard,
        arc=cast(Arc, arc),
    )
    title = name or " + ".join([*(model.catalog.label(r) for r in seeds.track_rows[:2].tolist()), *artists[:2]]) or user
    assert title is not None
    if out is not None:
        playlist_format(out)
    playlist = build_playlist(
        model,
        seeds,
        rules,
        name=title,
        made_at=datetime.now(UTC),
        bundle_version=current.manifest.version,
        seed=seed,
        signatures=current.signatures,
    )
    if not playlist.track_ids:
        raise DataError("no track is left after the rules; exclude less, or drop --unheard")
    _show(workspace, playlist, model.catalog, absolute, out)
    for rule in playlist.relaxed_rules:
        console.err.print(f"relaxed: {rule}", markup=False)
    return playlist


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
