"""Which route asks for what of a key.

A key *may speak of* the user that it is bound to; an unbound one of every user if it has *listen* (the server of an
app, which knows its users), else of none. What is personal takes *read* and such a user:

=====================  ========================================================  ====================================
rule                   routes                                                    keys
=====================  ========================================================  ====================================
open                   the page, its files, the API's description, whether the    everybody
                       server lives and is ready
known                  who am I, the login                                       any key
catalog                tracks, similar, audio, map, model, what rests on no user  read
personal               recommendations, explanations, verdicts, export           read, and may speak of that user
everyone               the users, and who would like a track                     read and listen, unbound
listen                 listens, verdicts                                         listen, and may speak of that user
erase                  erasing a user                                            listen, and bound to that user
upload                 adding a track, what became of it                         upload
metrics                metrics                                                   admin, or anybody on this machine
admin                  loading a bundle, naming a cluster, whatever has no rule  admin
=====================  ========================================================  ====================================

So a key that only reads gives away nobody's listening when it leaks; one that only listens can add, but not look; a
listener's own app gets a bound key and sees its own listener only. Nobody but the listener and an administrator erases.
"""

from __future__ import annotations

import re
from typing import Literal

Rule = Literal["open", "known", "catalog", "personal", "everyone", "listen", "erase", "upload", "metrics", "admin"]
RULES: dict[str, Rule] = {
    "GET /": "open",
    "GET /docs": "open",
    "GET /healthz": "open",
    "GET /readyz": "open",
    "GET /metrics": "metrics",
    "GET /v1/session": "known",
    "POST /v1/session": "known",
    "DELETE /v1/session": "open",
    "GET /v1/model": "catalog",
    "POST /v1/model/reload": "admin",
    "GET /v1/tracks": "catalog",
    "POST /v1/tracks": "upload",
    "GET /v1/uploads/{upload_id:path}": "upload",
    "GET /v1/tracks/{track_id:path}": "catalog",
    "GET /v1/tracks/{track_id:path}/similar": "catalog",
    "GET /v1/tracks/{track_id:path}/audio": "catalog",
    "HEAD /v1/tracks/{track_id:path}/audio": "catalog",
    "GET /v1/tracks/{track_id:path}/listeners": "everyone",
    "GET /v1/map": "catalog",
    "GET /v1/clusters": "catalog",
    "GET /v1/clusters/{cluster_id:path}/playlist": "catalog",
    "PUT /v1/clusters/{cluster_id}": "admin",
    "POST /v1/playlists": "catalog",
    "POST /v1/recommendations": "catalog",
    "GET /v1/users": "everyone",
    "GET /v1/users/{user_id:path}/recommendations": "personal",
    "GET /v1/users/{user_id:path}/explanations/{track_id:path}": "personal",
    "GET /v1/users/{user_id:path}/shares": "personal",
    "GET /v1/users/{user_id:path}/export": "personal",
    "DELETE /v1/users/{user_id:path}": "erase",
    "GET /v1/users/{user_id:path}/feedback": "personal",
    "PUT /v1/users/{user_id:path}/feedback/{track_id:path}": "listen",
    "POST /v1/listens": "listen",
    "POST /1/submit-listens": "listen",
    "POST /1/feedback/recording-feedback": "listen",
    "GET /1/validate-token": "open",
    "GET /1/user/{user_id:path}/listens": "personal",
    "GET /1/user/{user_id:path}/listen-count": "personal",
}
"""By method and path of a route. What is not here is for administrators."""

SUBSONIC = "/rest/"
"""What begins so is Subsonic's: its keys come in an address or a form, see `recommender.serving.subsonic.access`."""

SUBSONIC_RULES: dict[str, Rule] = {
    "getOpenSubsonicExtensions": "open",
    "ping": "known",
    "getLicense": "known",
    "getUser": "known",
    "tokenInfo": "known",
    "getScanStatus": "known",
    "getMusicFolders": "catalog",
    "getArtists": "catalog",
    "getArtist": "catalog",
    "getAlbum": "catalog",
    "getSong": "catalog",
    "getGenres": "catalog",
    "getAlbumList2": "catalog",
    "getRandomSongs": "catalog",
    "getCoverArt": "catalog",
    "search3": "catalog",
    "stream": "catalog",
    "download": "catalog",
    "getSonicSimilarTracks": "catalog",
    "findSonicPath": "catalog",
    "getSimilarSongs": "catalog",
    "getSimilarSongs2": "catalog",
    "getStarred2": "personal",
    "getPlaylists": "personal",
    "getPlaylist": "personal",
    "scrobble": "listen",
    "star": "listen",
    "unstar": "listen",
    "setRating": "listen",
    "createPlaylist": "listen",
    "updatePlaylist": "listen",
    "deletePlaylist": "listen",
}
RULES |= {
    f"{verb} {SUBSONIC}{name}{view}": rule
    for name, rule in SUBSONIC_RULES.items()
    for verb in ("GET", "POST")
    for view in ("", ".view")
}

BEFORE_BODY: dict[tuple[str, str], Rule] = {
    ("POST", "/v1/tracks"): "upload",
    ("POST", "/1/submit-listens"): "listen",
    ("GET", "/metrics"): "metrics",
}
"""Looked at before a body is read: nobody sends a large file only to learn that they may not."""

UPLOAD = ("POST", "/v1/tracks")


def rule_of_template(operation: str) -> Rule:
    """Return the rule of a route as OpenAPI spells it, such as ``GET /v1/tracks/{track_id}``."""
    by_template = {re.sub(r":\w+}", "}", route): rule for route, rule in RULES.items()}
    return by_template.get(operation, "admin")
