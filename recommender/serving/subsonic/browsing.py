"""The library: artists, albums, songs, searching them, playing them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby, islice
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import Query, Response

from recommender.serving.context import Now, ServerContext
from recommender.serving.live import Snapshot
from recommender.serving.media import audio_response, find_audio
from recommender.serving.problems import problems
from recommender.serving.routes.tracks import AUDIO_RESPONSES
from recommender.serving.search import fold
from recommender.serving.shelf import Album, Artist, Library
from recommender.serving.subsonic.children import album_entry, artist_entry, song_entries
from recommender.serving.subsonic.envelope import GENERIC, NOT_FOUND, SubsonicError
from recommender.serving.subsonic.route import CONTENT, MaybePerson, Reply, endpoint

MOST = 500
Item = TypeVar("Item")
Id = Annotated[str, Query(alias="id")]
Count = Annotated[int, Query()]
SOUND: dict[int | str, dict[str, Any]] = {
    **AUDIO_RESPONSES,
    200: {"description": "The file, or the error.", "content": {**CONTENT, **AUDIO_RESPONSES[200]["content"]}},
    **problems(416),
}


@endpoint("getMusicFolders", "Folders")
def get_music_folders(reply: Reply) -> Response:
    """List the one that there is."""
    return reply(musicFolders={"musicFolder": [{"id": 1, "name": "Music"}]})


@endpoint("getGenres", "Genres")
def get_genres(reply: Reply) -> Response:
    """List none: the catalog keeps no genres."""
    return reply(genres={})


@endpoint("getCoverArt", "A cover")
def get_cover_art(item_id: Id) -> Response:
    """Have none."""
    raise SubsonicError(NOT_FOUND, f"there is no cover of {item_id[:100]!r}; this server keeps no pictures")


@endpoint("getArtists", "All artists")
def get_artists(reply: Reply, now: Now, context: ServerContext) -> Response:
    """List them by the first letter of their names."""
    artists = context.shelf.of(now.model.catalog).artists.values()
    index = [
        {"name": letter, "artist": [artist_entry(artist) for artist in several]}
        for letter, several in groupby(sorted(artists, key=lambda one: (_letter(one), one.folded)), _letter)
    ]
    return reply(artists={"ignoredArticles": "", "index": index})


@endpoint("getArtist", "An artist and the albums")
def get_artist(reply: Reply, now: Now, context: ServerContext, item_id: Id) -> Response:
    """Show both."""
    artist = _known(context.shelf.of(now.model.catalog).artists, item_id, "artist")
    albums = [album_entry(now, album) for album in artist.albums]
    return reply(artist={**artist_entry(artist), "album": albums})


@endpoint("getAlbum", "An album and its songs")
def get_album(reply: Reply, now: Now, context: ServerContext, person: MaybePerson, item_id: Id) -> Response:
    """Show both."""
    library = context.shelf.of(now.model.catalog)
    album = _known(library.albums, item_id, "album")
    return reply(album={**album_entry(now, album), "song": song_entries(now, library, album.rows, person)})


@endpoint("getSong", "A song")
def get_song(reply: Reply, now: Now, context: ServerContext, person: MaybePerson, item_id: Id) -> Response:
    """Show it."""
    row = now.model.catalog.tracks.row(item_id)
    return reply(song=song_entries(now, context.shelf.of(now.model.catalog), [row], person)[0])


@endpoint("getAlbumList2", "Albums in some order")
def get_album_list(
    reply: Reply,
    now: Now,
    context: ServerContext,
    kind: Annotated[str, Query(alias="type")],
    size: Count = 10,
    offset: Count = 0,
    from_year: Annotated[int, Query(alias="fromYear")] = 0,
    to_year: Annotated[int, Query(alias="toYear")] = 0,
) -> Response:
    """List albums; of users' own orders (*recent*, *starred*) and of genres there are none."""
    library = context.shelf.of(now.model.catalog)
    albums = _in_order(now, library, kind, from_year, to_year)
    return reply(albumList2={"album": [album_entry(now, album) for album in _page(albums, size, offset)]})


@endpoint("getRandomSongs", "Songs by chance")
def get_random_songs(reply: Reply, now: Now, context: ServerContext, person: MaybePerson, size: Count = 10) -> Response:
    """Draw some."""
    n_tracks = len(now.model.catalog)
    rows = np.random.default_rng().permutation(n_tracks)[: at_most(size)].tolist()
    return reply(randomSongs={"song": song_entries(now, context.shelf.of(now.model.catalog), rows, person)})


@endpoint("search3", "Find artists, albums and songs")
def search(
    reply: Reply,
    now: Now,
    context: ServerContext,
    person: MaybePerson,
    query: Annotated[str, Query(description="Words; everything where it is empty.")],
    artist_count: Annotated[int, Query(alias="artistCount")] = 20,
    artist_offset: Annotated[int, Query(alias="artistOffset")] = 0,
    album_count: Annotated[int, Query(alias="albumCount")] = 20,
    album_offset: Annotated[int, Query(alias="albumOffset")] = 0,
    song_count: Annotated[int, Query(alias="songCount")] = 20,
    song_offset: Annotated[int, Query(alias="songOffset")] = 0,
) -> Response:
    """Find what holds every word of the query."""
    library, wanted = context.shelf.of(now.model.catalog), query.strip().strip('"')[:256]
    words = fold(wanted).split()
    rows = now.index.find(wanted, now.model.evidence) if words else range(len(now.model.catalog))
    artists = (each for each in library.artists.values() if all(word in each.folded for word in words))
    albums = (each for each in library.albums.values() if all(word in each.folded for word in words))
    return reply(
        searchResult3={
            "artist": [artist_entry(each) for each in _page(artists, artist_count, artist_offset)],
            "album": [album_entry(now, each) for each in _page(albums, album_count, album_offset)],
            "song": song_entries(now, library, _page(rows, song_count, song_offset), person),
        }
    )


def _send(item_id: str, now: Snapshot, context: ServerContext) -> Response:
    row = now.model.catalog.tracks.row(item_id)
    path = find_audio(str(now.model.catalog.columns["path"][row]), context.audio_roots)
    if path is None:
        raise SubsonicError(NOT_FOUND, f"there is no file to play for track {item_id[:100]!r} in the music folders")
    return audio_response(path)


@endpoint("stream", "Play a song", responses=SOUND)
def stream(now: Now, context: ServerContext, item_id: Id) -> Response:
    """Send the file as it is, in parts where the player asks for parts; nothing is transcoded."""
    return _send(item_id, now, context)


@endpoint("download", "Download a song", responses=SOUND)
def download(now: Now, context: ServerContext, item_id: Id) -> Response:
    """Send the file."""
    return _send(item_id, now, context)


def at_most(count: int) -> int:
    """Return how many are shown where so many are asked for."""
    return min(max(count, 0), MOST)


def _page(items: Iterable[Item], count: int, offset: int) -> list[Item]:
    start = min(max(offset, 0), 10**9)
    return list(islice(items, start, start + at_most(count)))


def _known(items: dict[str, Item], item_id: str, kind: str) -> Item:
    if item_id not in items:
        raise SubsonicError(NOT_FOUND, f"unknown {kind} {item_id[:100]!r}: it is none of the {len(items)} known")
    return items[item_id]


def _letter(artist: Artist) -> str:
    letter = artist.folded[:1].upper()
    return letter if letter.isalpha() else "#"


def _in_order(now: Snapshot, library: Library, kind: str, from_year: int, to_year: int) -> list[Album]:
    albums, released, evidence = (
        list(library.albums.values()),
        now.model.catalog.columns["released"],
        now.model.evidence,
    )
    if kind in ("alphabeticalByArtist", "alphabeticalByName"):
        return albums if kind == "alphabeticalByArtist" else sorted(albums, key=lambda one: one.name.casefold())
    if kind == "newest":
        return sorted(albums, key=lambda one: max(released[row] for row in one.rows), reverse=True)
    if kind in ("frequent", "highest"):
        return sorted(albums, key=lambda one: -float(evidence[list(one.rows)].sum()))
    if kind == "random":
        return [albums[at] for at in np.random.default_rng().permutation(len(albums))]
    if kind == "byYear":
        low, high = sorted((from_year, to_year))
        shown = [(album_entry(now, one)["year"] or 0, one) for one in albums]
        inside = sorted((pair for pair in shown if low <= pair[0] <= high), key=lambda pair: pair[0])
        return [one for _, one in (inside if from_year <= to_year else reversed(inside))]
    if kind in ("recent", "starred", "byGenre"):
        return []
    raise SubsonicError(GENERIC, f"type is {kind[:50]!r}, expected newest, frequent, random, alphabeticalByName, ...")
