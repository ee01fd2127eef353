"""Playlists from a workspace's current bundle: one from seeds and rules, or one for everyone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines import console
from pipelines.recommend import load_current
from pipelines.workspace import Workspace
from recommender.data.table_stream import write_frames
from recommender.errors import DataError
from recommender.playlists.builder import Playlist, Rules, Seeds, build_playlist, build_playlists
from recommender.playlists.formats import file_names_of, playlist_format, write_playlist

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
    )
    if not playlist.track_ids:
        raise DataError("no track is left after the rules; exclude less, or drop --unheard")
    rows = [
        (place, model.catalog.label(r), known.ids[r])
        for place, r in enumerate(known.rows(playlist.track_ids, unknown="raise").tolist(), 1)
    ]
    console.table(playlist.name, ("", "track", "item_id"), rows)
    for rule in playlist.relaxed_rules:
        console.err.print(f"relaxed: {rule}", markup=False)
    if out is not None:
        written = write_playlist(out, playlist, model.catalog, workspace.uploads, absolute=absolute)
        console.out.print(f"{out}: {written} of {len(rows)} tracks have a file", markup=False)
    return playlist


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
