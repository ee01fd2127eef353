"""What a player asks first: whether this is a server, what it can do, and who the user is."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from recommender.serving.context import Now
from recommender.serving.security import CallerNow
from recommender.serving.subsonic.envelope import FORBIDDEN, UNSUPPORTED, SubsonicError
from recommender.serving.subsonic.route import MaybePerson, Reply, endpoint

EXTENSIONS = ("apiKeyAuthentication", "formPost", "sonicSimilarity")


@endpoint("ping", "Is this a server?")
def ping(reply: Reply) -> Response:
    """Say that it is one."""
    return reply()


@endpoint("getLicense", "Is it licensed?")
def get_license(reply: Reply) -> Response:
    """Say that it is."""
    return reply(license={"valid": True})


@endpoint("getOpenSubsonicExtensions", "What it can do besides")
def get_extensions(reply: Reply) -> Response:
    """Name the extensions."""
    return reply(openSubsonicExtensions=[{"name": name, "versions": [1]} for name in EXTENSIONS])


@endpoint("tokenInfo", "Whose API key this is")
def get_token_info(reply: Reply, person: MaybePerson) -> Response:
    """Name the user of the key."""
    if person is None:
        raise SubsonicError(UNSUPPORTED, "this key is bound to no user")
    return reply(tokenInfo={"username": person})


@endpoint("getUser", "What the user may do")
def get_user(reply: Reply, person: MaybePerson, caller: CallerNow, username: Annotated[str, Query()] = "") -> Response:
    """Tell the user's own rights; other users are not told of."""
    if username and username != person:
        raise SubsonicError(FORBIDDEN, f"this login is not that of {username[:100]!r}")
    listens, reads = caller.has("listen"), caller.has("read")
    roles = {
        "username": person or "",
        "scrobblingEnabled": listens,
        "adminRole": False,
        "settingsRole": False,
        "downloadRole": reads,
        "uploadRole": False,
        "playlistRole": listens,
        "coverArtRole": False,
        "commentRole": False,
        "podcastRole": False,
        "streamRole": reads,
        "jukeboxRole": False,
        "shareRole": False,
        "videoConversionRole": False,
    }
    return reply(user={**roles, "folder": [1]})


@endpoint("getScanStatus", "Is it reading the library?")
def get_scan_status(reply: Reply, now: Now) -> Response:
    """Say how many tracks there are; the library is read when a bundle is made."""
    return reply(scanStatus={"scanning": False, "count": len(now.model.catalog)})
