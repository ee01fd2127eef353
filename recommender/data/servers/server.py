"""What First Listen asks of a music server, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from recommender.data.histories.listen import NO_TIME, Entry, History, Listen
from recommender.data.matching import Name
from recommender.data.storage import atomic_path
from recommender.errors import ConfigError, ServerError

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 30.0
PAGE = 500
"""Songs that are asked for at once."""


@dataclass(frozen=True)
class Song:
    """A song of a server, and what its user thinks of it.

    Parameters
    ----------
    song_id : str
    name : Name
    plays : int
    loved : bool
    suffix : str
        Of its file, such as ``flac``; ``""`` where the server does not say.
    """

    song_id: str
    name: Name
    plays: int = 0
    loved: bool = False
    suffix: str = ""


class MusicServer(Protocol):
    """One user's view of a music server.

    Every method raises ServerError where the server cannot be reached, refuses, or answers what it should not.
    """

    service: str
    user: str

    def songs(self) -> Iterator[Song]:
        """Yield every song that the user may hear."""

    def save_playlist(self, name: str, song_ids: Sequence[str]) -> bool:
        """Make a playlist, or replace what the user's playlist of that name holds; tell whether there was one."""

    def download(self, song_id: str, path: Path) -> None:
        """Fetch a song's file as it is; whole or not at all."""

    def close(self) -> None:
        """Give back the connection."""


def history_of(server: MusicServer, songs: Sequence[Song]) -> History:
    """Return play counts and loves of a server's songs as a history."""
    entries: Iterator[Entry] = (
        Listen(song.name, NO_TIME, float(song.plays), song.loved) for song in songs if song.plays > 0 or song.loved
    )
    return History(server.service, entries, server.user)


def connect(
    url: str,
    user: str,
    *,
    kind: str = "auto",
    password: str = "",
    api_key: str = "",
    client: httpx.Client | None = None,
) -> MusicServer:
    """Sign in to a music server.

    Parameters
    ----------
    url : str
        ``http://`` or ``https://``, a path in front of the API included.
    user : str
    kind : {"auto", "subsonic", "jellyfin"}
        Navidrome, Gonic, Airsonic and the like are ``"subsonic"``. Found out if "auto".
    password, api_key : str
        One of them.
    client : httpx.Client, optional
        To connect with.

    Raises
    ------
    ConfigError
        If the address, the kind or the credentials cannot be used.
    ServerError
        If there is no such server, or it refuses.
    """
    import httpx

    from recommender.data.servers.jellyfin import Jellyfin
    from recommender.data.servers.subsonic import Subsonic

    kinds: dict[str, Callable[..., MusicServer]] = {"subsonic": Subsonic.sign_in, "jellyfin": Jellyfin.sign_in}
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"{url!r} is no address of a server; expected http:// or https:// and a host")
    if kind != "auto" and kind not in kinds:
        raise ConfigError(f"kind is {kind!r}; expected auto, {' or '.join(kinds)}")
    if bool(password) == bool(api_key):
        raise ConfigError("give either the user's password or an API key")
    caller = Caller(url.rstrip("/"), client or httpx.Client(timeout=TIMEOUT_S, follow_redirects=True))
    if kind == "auto":
        kind = "jellyfin" if _is_jellyfin(caller) else "subsonic"
    return kinds[kind](caller, user, password=password, api_key=api_key)


def _is_jellyfin(caller: Caller) -> bool:
    try:
        found = caller.json("GET", "/System/Info/Public")
    except ServerError as error:
        if error.__cause__ is not None:
            raise
        return False
    return isinstance(found, dict) and "ServerName" in found


class Caller:
    """Asks one server, and says in a sentence what went wrong; never names what is secret.

    Parameters
    ----------
    url : str
        Of the API, without a slash at the end.
    client : httpx.Client
    """

    def __init__(self, url: str, client: httpx.Client) -> None:
        self.url, self.client = url, client
        self.headers: dict[str, str] = {}

    def json(self, method: str, path: str, **options: Any) -> Any:
        """Ask for JSON; None where the answer is empty."""
        response = self.ask(method, path, **options)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            kind = response.headers.get("content-type", "no content type")
            raise ServerError(
                f"{self.url}{path} answered {kind}, expected JSON; is this the address of the music server?"
            ) from None

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask, and return an answer that is none of refusal."""
        import httpx

        try:
            response = self.client.request(method, self.url + path, headers=self.headers, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ServerError(f"{self.url} cannot be reached: {_said(error)}; is the server running?") from error
        self._check(response, path)
        return response

    def save(self, path: str, target: Path, **options: Any) -> None:
        """Write an answer into a file, whole or not at all."""
        import httpx

        try:
            with (
                self.client.stream("GET", self.url + path, headers=self.headers, **options) as response,
                atomic_path(target) as part,
                part.open("wb") as file,
            ):
                self._check(response, path)
                if response.headers.get("content-type", "").startswith(("application/json", "text/xml")):
                    raise ServerError(f"{self.url}{path} answered no audio")
                for chunk in response.iter_bytes():
                    file.write(chunk)
        except httpx.HTTPError as error:
            raise ServerError(f"{self.url}{path} broke off: {_said(error)}; try again") from error

    def _check(self, response: httpx.Response, path: str) -> None:
        if response.status_code in (401, 403):
            raise ServerError(f"{self.url} refuses the user or the password ({response.status_code})")
        if response.status_code >= 400:
            raise ServerError(f"{self.url}{path} answered {response.status_code} {response.reason_phrase}")


def _said(error: Exception) -> str:
    return str(error).split("\n")[0] or type(error).__name__


def whole(record: Mapping[str, Any], field: str) -> int:
    """Return a count of a record; 0 where there is none."""
    try:
        return max(0, int(record.get(field) or 0))
    except (TypeError, ValueError):
        return 0
