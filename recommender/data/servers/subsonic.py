"""Navidrome, Gonic, Airsonic, Supysonic: servers with the Subsonic API.

Shapes: subsonic.org/pages/api.jsp, and opensubsonic.netlify.app for ``apiKeyAuthentication`` and ``Child``.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from recommender.data.histories.listen import Unusable, name_of
from recommender.data.servers.server import PAGE, Caller, Song, whole
from recommender.errors import ServerError

VERSION, CLIENT = "1.16.1", "first-listen"
NO_TOKENS = (10, 41)
"""What servers answer that keep hashes of passwords themselves: that ``p`` is missing, or that tokens do not work."""
AT_ONCE = 300
"""Songs that are added to a playlist in one request."""


class Subsonic:
    """A user of a Subsonic server; see `MusicServer`."""

    def __init__(self, caller: Caller, user: str, secret: Mapping[str, str]) -> None:
        self._caller, self.user, self._secret = caller, user, dict(secret)
        self.service = "Subsonic"

    @classmethod
    def sign_in(cls, caller: Caller, user: str, *, password: str, api_key: str) -> Subsonic:
        """Sign in by a hash of the password; by the password itself only where the server knows no hashes."""
        if api_key:
            ways = [{"apiKey": api_key}]
        else:
            salt = secrets.token_hex(8)
            token = hashlib.md5((password + salt).encode(), usedforsecurity=False).hexdigest()
            ways = [{"u": user, "t": token, "s": salt}, {"u": user, "p": f"enc:{password.encode().hex()}"}]
        for way in ways:
            server = cls(caller, user, way)
            answer = server._answer("ping")
            if _code(answer) not in NO_TOKENS or way is ways[-1]:
                break
        server.service = str(server._checked("ping", answer).get("type") or server.service).capitalize()
        return server

    def songs(self) -> Iterator[Song]:
        """Yield every song: by an empty search where the server lists all for that, else album by album."""
        found = False
        for record in self._pages("search3", "searchResult3", "song", "songCount", "songOffset", query=""):
            found = True
            yield from _song(record)
        if found:
            return
        albums = self._pages("getAlbumList2", "albumList2", "album", "size", "offset", type="alphabeticalByName")
        for album in albums:
            for record in _records(self._ask("getAlbum", id=str(album["id"])).get("album"), "song"):
                yield from _song(record)

    def save_playlist(self, name: str, song_ids: Sequence[str]) -> bool:
        """Make or replace the user's own playlist of this name."""
        before = self._playlist(name)
        which = {"playlistId": before} if before else {"name": name}
        self._ask("createPlaylist", **which, songId=list(song_ids[:AT_ONCE]))
        target = before or self._playlist(name)
        for start in range(AT_ONCE, len(song_ids), AT_ONCE):
            if not target:
                raise ServerError(f"{self._caller.url} made the playlist {name!r} and does not list it")
            self._ask("updatePlaylist", playlistId=target, songIdToAdd=list(song_ids[start : start + AT_ONCE]))
        return bool(before)

    def download(self, song_id: str, path: Path) -> None:
        """Fetch a song's file as it is."""
        self._caller.save("/rest/download.view", path, params={**self._common(), "id": song_id})

    def close(self) -> None:
        """Give back the connection."""
        self._caller.client.close()

    def _playlist(self, name: str) -> str:
        lists = _records(self._ask("getPlaylists").get("playlists"), "playlist")
        mine = (one for one in lists if one.get("name") == name and one.get("owner", self.user) == self.user)
        return next((str(one["id"]) for one in mine), "")

    def _pages(
        self, call: str, answer: str, kind: str, size: str, offset: str, **fixed: str
    ) -> Iterator[dict[str, Any]]:
        start = 0
        others = {"artistCount": "0", "albumCount": "0"} if call == "search3" else {}
        while True:
            found = _records(
                self._ask(call, **fixed, **others, **{size: str(PAGE), offset: str(start)}).get(answer), kind
            )
            yield from found
            if len(found) < PAGE:
                return
            start += len(found)

    def _common(self) -> dict[str, str]:
        return {**self._secret, "v": VERSION, "c": CLIENT, "f": "json"}

    def _ask(self, call: str, **values: str | list[str]) -> dict[str, Any]:
        return self._checked(call, self._answer(call, **values))

    def _answer(self, call: str, **values: str | list[str]) -> dict[str, Any]:
        found = self._caller.json("POST", f"/rest/{call}.view", data={**self._common(), **values})
        answer = found.get("subsonic-response") if isinstance(found, dict) else None
        if not isinstance(answer, dict):
            raise ServerError(f"{self._caller.url} does not answer as a Subsonic server does; is the address right?")
        return answer

    def _checked(self, call: str, answer: dict[str, Any]) -> dict[str, Any]:
        if answer.get("status") != "ok":
            error = answer.get("error") or {}
            reason = f"{error.get('message', 'no reason given')} ({error.get('code')})"
            raise ServerError(f"{self._caller.url} refused {call}: {reason}")
        return answer


def _code(answer: Mapping[str, Any]) -> Any:
    return (answer.get("error") or {}).get("code")


def _records(holder: Any, kind: str) -> list[dict[str, Any]]:
    """Return the records of a kind; servers leave an empty list out."""
    found = holder.get(kind) if isinstance(holder, dict) else None
    return [each for each in found if isinstance(each, dict) and "id" in each] if isinstance(found, list) else []


def _song(record: Mapping[str, Any]) -> Iterator[Song]:
    """Yield the song of a record, nothing where it has no name."""
    try:
        name = name_of(
            record.get("artist"), record.get("title"), record.get("album"), record.get("musicBrainzId"),
            record.get("duration"),
        )  # fmt: skip
    except Unusable:
        return
    loved = bool(record.get("starred")) or whole(record, "userRating") == 5
    yield Song(str(record["id"]), name, whole(record, "playCount"), loved, str(record.get("suffix") or ""))
