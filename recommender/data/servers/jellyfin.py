"""Jellyfin, by its own API: api.jellyfin.org, "Items", "Playlists", "Users"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from recommender.data.histories.listen import Unusable, name_of
from recommender.data.servers.server import PAGE, Caller, Song, whole
from recommender.errors import ServerError

CLIENT = 'MediaBrowser Client="First Listen", Device="firstlisten", DeviceId="firstlisten", Version="1"'
TICKS_A_SECOND = 10_000_000
AT_ONCE = 100
"""Ids in one address: longer ones are cut off by proxies."""


class Jellyfin:
    """A user of a Jellyfin server; see `MusicServer`."""

    service = "Jellyfin"

    def __init__(self, caller: Caller, user: str, user_id: str) -> None:
        self._caller, self.user, self._user_id = caller, user, user_id

    @classmethod
    def sign_in(cls, caller: Caller, user: str, *, password: str, api_key: str) -> Jellyfin:
        """Sign in by password, or find the user with a key of the server's."""
        if api_key:
            caller.headers["Authorization"] = f'{CLIENT}, Token="{api_key}"'
            users = caller.json("GET", "/Users")
            found = next((one for one in users or () if one.get("Name", "").casefold() == user.casefold()), None)
            if found is None:
                raise ServerError(f"{caller.url} has no user {user!r}")
            return cls(caller, user, str(found["Id"]))
        caller.headers["Authorization"] = CLIENT
        found = caller.json("POST", "/Users/AuthenticateByName", json={"Username": user, "Pw": password})
        if not isinstance(found, dict) or "AccessToken" not in found:
            raise ServerError(f"{caller.url} does not answer as a Jellyfin server does; is the address right?")
        caller.headers["Authorization"] = f'{CLIENT}, Token="{found["AccessToken"]}"'
        return cls(caller, user, str(found["User"]["Id"]))

    def songs(self) -> Iterator[Song]:
        """Yield every song."""
        wanted = {"IncludeItemTypes": "Audio", "SortBy": "Id", "Fields": "ProviderIds,MediaSources"}
        for record in self._items(**wanted):
            yield from _song(record)

    def save_playlist(self, name: str, song_ids: Sequence[str]) -> bool:
        """Make or replace the user's playlist of this name."""
        lists = self._items(IncludeItemTypes="Playlist", MediaTypes="Audio")
        before = next((str(one["Id"]) for one in lists if one.get("Name") == name), "")
        target, rest = before, list(song_ids)
        if before:
            held = self._caller.json("GET", f"/Playlists/{before}/Items", params={"UserId": self._user_id})
            entries = [str(one["PlaylistItemId"]) for one in (held or {}).get("Items", ()) if "PlaylistItemId" in one]
            for some in _parts(entries):
                self._caller.ask("DELETE", f"/Playlists/{before}/Items", params={"EntryIds": ",".join(some)})
        else:
            made = {"Name": name, "Ids": rest, "UserId": self._user_id, "MediaType": "Audio"}
            target, rest = str(self._caller.json("POST", "/Playlists", json=made)["Id"]), []
        for some in _parts(rest):
            ids = {"Ids": ",".join(some), "UserId": self._user_id}
            self._caller.ask("POST", f"/Playlists/{target}/Items", params=ids)
        return bool(before)

    def download(self, song_id: str, path: Path) -> None:
        """Fetch a song's file as it is."""
        self._caller.save(f"/Items/{song_id}/Download", path)

    def close(self) -> None:
        """Give back the connection."""
        self._caller.client.close()

    def _items(self, **wanted: str) -> Iterator[dict[str, Any]]:
        start = 0
        while True:
            page = {"Recursive": "true", "EnableUserData": "true", "StartIndex": str(start), "Limit": str(PAGE)}
            answer = self._caller.json("GET", f"/Users/{self._user_id}/Items", params={**wanted, **page})
            if not isinstance(answer, dict) or not isinstance(answer.get("Items"), list):
                raise ServerError(
                    f"{self._caller.url} does not answer as a Jellyfin server does; is the address right?"
                )
            found = [each for each in answer["Items"] if isinstance(each, dict) and "Id" in each]
            yield from found
            if len(answer["Items"]) < PAGE:
                return
            start += len(answer["Items"])


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]


def _song(record: Mapping[str, Any]) -> Iterator[Song]:
    """Yield the song of a record, nothing where it has no name."""
    artists = record.get("Artists") or [record.get("AlbumArtist") or ""]
    mbid = (record.get("ProviderIds") or {}).get("MusicBrainzRecording")
    seconds = whole(record, "RunTimeTicks") / TICKS_A_SECOND
    try:
        name = name_of(", ".join(map(str, artists)), record.get("Name"), record.get("Album"), mbid, seconds)
    except Unusable:
        return
    data, sources = record.get("UserData") or {}, record.get("MediaSources") or [{}]
    suffix = str(sources[0].get("Container") or "").split(",")[0]
    yield Song(str(record["Id"]), name, whole(data, "PlayCount"), bool(data.get("IsFavorite")), suffix)
