"""Navidrome, Jellyfin and other music servers: pull plays and music, push playlists. A part of the command line.

A password or an API key is read from the environment, or asked for: the command line is visible to others.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.workspace import Workspace
    from recommender.data.progress import Progress
    from recommender.data.servers import MusicServer, Song
    from recommender.playlists.entries import Entry

PASSWORD, KEY = "FIRSTLISTEN_SERVER_PASSWORD", "FIRSTLISTEN_SERVER_KEY"
ENDINGS = (".m3u8", ".m3u", ".xspf", ".jspf")

servers_app = typer.Typer(help="Music servers: pull plays and music, push playlists.", no_args_is_help=True)
UrlOption = Annotated[str, typer.Option(metavar="URL", help="The server's address.")]
UserOption = Annotated[str, typer.Option(metavar="NAME", help="The user's name on the server.")]
KindOption = Annotated[str, typer.Option(metavar="auto|subsonic|jellyfin", help="Navidrome and the like: subsonic.")]


@dataclass(frozen=True)
class Pushed:
    """What became of a playlist: how many of its tracks the server has, which it lacks, and whether it replaced one."""

    name: str
    n_tracks: int
    missing: tuple[str, ...]
    replaced: bool


@servers_app.callback()
def _choose_workspace(
    context: typer.Context, workspace: Annotated[Path, typer.Argument(metavar="W", help="The workspace: a folder.")]
) -> None:
    context.obj = workspace


@servers_app.command("pull")
def pull_command(
    context: typer.Context,
    url: UrlOption,
    user: UserOption,
    kind: KindOption = "auto",
    as_user: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose plays they are here; default: --user.")
    ] = None,
    download: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Fetch the audio of songs that the workspace lacks, and ingest it."),
    ] = None,
) -> None:
    """Read a server's library, play counts and loves; repeating it brings them up to date."""
    from pipelines import console
    from pipelines.workspace import open_workspace

    opened = open_workspace(context.obj, create=True)
    with _signed_in(url, user, kind) as server, console.progress("Reading") as bar:
        lines, problems = pull(opened, server, as_user, download, bar)
    for line in lines:
        console.out.print(line, markup=False)
    console.warn(problems)


@servers_app.command("push")
def push_command(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Playlists: .m3u8, .xspf, .jspf.")],
    url: UrlOption,
    user: UserOption,
    kind: KindOption = "auto",
) -> None:
    """Make playlists on a server, or replace those of the same names."""
    from pipelines import console
    from pipelines.workspace import open_workspace

    for file in files:
        if not file.is_file():
            raise typer.BadParameter(f"{file} is no file; expected a playlist: {', '.join(ENDINGS)}")
    opened = open_workspace(context.obj)
    with _signed_in(url, user, kind) as server:
        for done in push(opened, server, files):
            verb = "replaced" if done.replaced else "made"
            found = done.n_tracks - len(done.missing)
            console.out.print(
                f"{verb} {done.name!r}: {found} of {done.n_tracks} tracks are on the server", markup=False
            )
            console.warn([f"not on the server: {label}" for label in done.missing])


def pull(
    workspace: Workspace,
    server: MusicServer,
    as_user: str | None = None,
    download: Path | None = None,
    progress: Progress | None = None,
) -> tuple[list[str], list[str]]:
    """Bring what a server's user played into a workspace.

    Parameters
    ----------
    workspace : Workspace
    server : MusicServer
    as_user : str, optional
        Whose plays they are here; the server's user without it.
    download : Path, optional
        A folder for the audio of songs that are not in the catalog. What is there already is not fetched again.
    progress : Progress, optional
        Told of files fetched, and of files read.

    Returns
    -------
    lines, problems : list of str
        What was read and what came of it; what could not be used.
    """
    from pipelines.ingest import add_history, add_music
    from recommender.data.listens import match_histories
    from recommender.data.matching import TrackMatcher
    from recommender.data.progress import silent
    from recommender.data.servers.server import history_of

    lines: list[str] = []
    problems: list[str] = []
    songs, report = list(server.songs()), progress or silent
    matcher = TrackMatcher(workspace.catalog())
    known = [match.row is not None for match in matcher.match([song.name for song in songs])]
    lines.append(f"{server.service}: {len(songs)} songs, {sum(known)} of them in the catalog")
    with workspace.writing():
        if download is not None:
            lacking = [song for song, is_known in zip(songs, known, strict=True) if not is_known]
            problems += _fetch(server, lacking, download, report)
            add_music(workspace, download, lines, problems, report)
            matcher = TrackMatcher(workspace.catalog())
        name = Path(re.sub(r"[^\w.-]+", "_", f"{server.service}-{server.user}"))
        frame, match = match_histories(name, [history_of(server, songs)], matcher, as_user or server.user)
        add_history(workspace, frame, match, lines, problems)
    return lines, problems


def push(workspace: Workspace, server: MusicServer, files: Sequence[Path]) -> Iterator[Pushed]:
    """Yield what became of each playlist; the server's songs are found by MusicBrainz id, name or nearly the same name.

    Raises
    ------
    DataError
        If a playlist cannot be read, or the server has none of its tracks: an empty list replaces nothing.
    """
    import pandas as pd

    from recommender.data.catalog import Catalog
    from recommender.data.matching import Name, TrackMatcher
    from recommender.errors import DataError
    from recommender.playlists.formats import read_playlist

    read = [(file, *read_playlist(file)) for file in files]
    catalog, songs = workspace.catalog(), list(server.songs())
    columns = {
        "item_id": [song.song_id for song in songs],
        "artist": [song.name.artist for song in songs],
        "title": [song.name.title for song in songs],
        "album": [song.name.album for song in songs],
        "recording_mbid": [song.name.recording_mbid for song in songs],
        "duration_s": [song.name.duration_s or float("nan") for song in songs],
    }
    matcher = TrackMatcher(Catalog.from_frame(pd.DataFrame(columns, dtype=object)))

    def name_of(entry: Entry) -> Name:
        album, mbid = entry.album, ""
        if entry.track_id in catalog.tracks:
            row = catalog.tracks.row(entry.track_id)
            album, mbid = catalog.columns["album"][row], catalog.columns["recording_mbid"][row]
        seconds = entry.duration_s if entry.duration_s > 0 else 0.0
        return Name(entry.artist, entry.title, album, mbid, seconds)

    for file, name, entries in read:
        rows = [match.row for match in matcher.match([name_of(entry) for entry in entries])]
        found = [songs[row].song_id for row in rows if row is not None]
        if not found:
            raise DataError(f"{file}: the server has none of its {len(entries)} tracks; it is left as it is")
        missing = tuple(entry.label for entry, row in zip(entries, rows, strict=True) if row is None)
        title = name or file.stem
        yield Pushed(title, len(entries), missing, server.save_playlist(title, found))


def _fetch(server: MusicServer, songs: Sequence[Song], folder: Path, report: Progress) -> list[str]:
    """Fetch what is not there yet; what fails is told, and the rest fetched all the same."""
    from recommender.errors import ServerError

    problems: list[str] = []
    folder.mkdir(parents=True, exist_ok=True)
    for done, song in enumerate(songs, start=1):
        target = folder / f"{re.sub(r'[^A-Za-z0-9-]', '_', song.song_id)[:100]}.{_suffix(song)}"
        if not target.exists():
            try:
                server.download(song.song_id, target)
            except ServerError as error:
                problems.append(f"{song.name.artist} - {song.name.title}: {error}")
        report(done, len(songs))
    return problems


def _suffix(song: Song) -> str:
    return song.suffix.lower() if re.fullmatch(r"[A-Za-z0-9]{1,8}", song.suffix) else "mp3"


@contextmanager
def _signed_in(url: str, user: str, kind: str) -> Iterator[MusicServer]:
    from recommender.data.servers import connect

    key = os.environ.get(KEY, "")
    password = "" if key else os.environ.get(PASSWORD) or typer.prompt(f"Password of {user}", hide_input=True, err=True)
    with closing(connect(url, user, kind=kind, password=password, api_key=key)) as server:
        yield server
