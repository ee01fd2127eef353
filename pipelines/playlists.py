"""Playlists from a workspace's current bundle: one from seeds and rules, or one for everyone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from pipelines import console
from pipelines.recommend import load_current
from pipelines.workspace import Workspace
from recommender.data.catalog import Catalog
from recommender.data.table_stream import write_frames
from recommender.errors import DataError
from recommender.playlists.builder import Playlist, Rules, Seeds, build_playlist, build_playlists
from recommender.playlists.energy import Arc
from recommender.playlists.formats import file_names_of, playlist_format, write_playlist
from recommender.playlists.path import SoundPath, find_path

BLOCK_USERS = 2000


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


def batch(workspace: Workspace, out: Path, *, length: int, seed: int, absolute: bool) -> None:
    """Write a playlist of unheard tracks for everyone: one M3U8 a user, and playlists.parquet with all of them.

    Users are taken in blocks, and the table grows by a block at a time. It appears when all is done; a repeated run
    replaces the files of the same names.

    Parameters
    ----------
    workspace : Workspace
    out : Path
        A folder.
    length : int
        Tracks in a playlist.
    seed : int
    absolute : bool
        Absolute paths in the M3U8 files.
    """
    current = load_current(workspace)
    model = current.model
    if not len(model.users):
        raise DataError(f"{workspace.folder} has no users; ingest --interactions or --listens, then train")
    files = file_names_of(model.users.ids)
    made_at = datetime.now(UTC)
    rules = Rules(length=length, unheard=True)
    with_files = bool((model.catalog.table["path"] != "").any())

    def blocks() -> Iterator[pd.DataFrame]:
        with console.progress("Playlists") as bar:
            for start in range(0, len(model.users), BLOCK_USERS):
                end = min(start + BLOCK_USERS, len(model.users))
                made = build_playlists(
                    model,
                    model.plays[start:end],
                    model.heard[start:end],
                    rules,
                    names=[f"First Listen for {user}" for user in model.users.ids[start:end]],
                    made_at=made_at,
                    bundle_version=current.manifest.version,
                    seed=seed + start,
                    signatures=current.signatures,
                )
                frames = []
                for place, playlist in enumerate(made, start):
                    if with_files:
                        target = out / f"{files[place]}.m3u8"
                        write_playlist(target, playlist, model.catalog, workspace.uploads, absolute=absolute)
                    frames.append(_frame(model.users.ids[place], playlist))
                    bar(place + 1, len(model.users))
                yield pd.concat(frames, ignore_index=True)

    rows = write_frames(out / "playlists.parquet", blocks())
    what = f"{len(model.users)} playlists" if with_files else "no M3U8 files, since no track has a path"
    console.out.print(f"{out}: {what}, playlists.parquet with {rows} rows", markup=False)


def _frame(user: str, playlist: Playlist) -> pd.DataFrame:
    count = len(playlist.track_ids)
    return pd.DataFrame(
        {
            "user_id": [user] * count,
            "item_id": list(playlist.track_ids),
            "position": np.arange(1, count + 1, dtype=np.int32),
            "playlist": [playlist.name] * count,
            "bundle": [playlist.bundle_version] * count,
            "relaxed_rules": ["; ".join(playlist.relaxed_rules)] * count,
        }
    )
