"""From a catalog path to a file that may be sent: inside the music folders, after every symbolic link is followed."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from fastapi.responses import FileResponse, Response
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

MEDIA_TYPES = {
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".m4a": "audio/mp4",
    ".mp4": "audio/mp4",
    ".aac": "audio/aac",
    ".wav": "audio/wav",
    ".aif": "audio/aiff",
    ".aiff": "audio/aiff",
    ".wma": "audio/x-ms-wma",
    ".ape": "audio/x-ape",
    ".dsf": "audio/x-dsf",
    ".m4b": "audio/mp4",
    ".mka": "audio/x-matroska",
    ".mkv": "video/x-matroska",
    ".mpc": "audio/x-musepack",
    ".tta": "audio/x-tta",
    ".webm": "video/webm",
    ".wv": "audio/x-wavpack",
}

ONE_RANGE = re.compile(rb"\s*bytes\s*=\s*(\d{1,18}\s*-\s*(\d{1,18})?|-\s*\d{1,18})\s*", re.IGNORECASE)


class AudioResponse(FileResponse):
    """A file, or one part of it. A player asks for one part at a time.

    A request for several, which may make an answer of many times the file, gets the whole file, as RFC 9110 (14.2)
    lets a server do; so does one that is no request for bytes. Who has the file already, says If-None-Match, which
    goes before Range (13.2.2), gets no byte of it.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        held = Headers(scope=scope).get("if-none-match", "")
        if held.strip() == "*" or self.headers["etag"] in held:
            unchanged = {name: self.headers[name] for name in ("etag", "cache-control")}
            await Response(status_code=304, headers=unchanged)(scope, receive, send)
            return
        asked = [value for name, value in scope["headers"] if name == b"range"]
        if len(asked) > 1 or (asked and not ONE_RANGE.fullmatch(asked[0])):
            scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"range"]}
        await super().__call__(scope, receive, send)


def audio_response(path: Path) -> AudioResponse:
    """Return the answer that sends a file which `find_audio` found."""
    headers = {"Cache-Control": "private, max-age=3600"}
    return AudioResponse(path, media_type=media_type(path), headers=headers, stat_result=os.stat(path))


def find_audio(catalog_path: str, roots: Sequence[Path]) -> Path | None:
    """Find the file of a track.

    Parameters
    ----------
    catalog_path : str
        Absolute, or relative to one of `roots`, which are tried in order.
    roots : sequence of Path

    Returns
    -------
    Path or None
        With no symbolic link left in it; None where there is no such file, where it lies outside all roots, or where
        its ending is not one of audio.
    """
    if not catalog_path or "\0" in catalog_path:
        return None
    resolved_roots = [Path(os.path.realpath(root)) for root in roots]
    for candidate in [root / catalog_path for root in roots]:
        found = Path(os.path.realpath(candidate))
        inside = any(found.is_relative_to(root) for root in resolved_roots)
        if inside and found.suffix.lower() in MEDIA_TYPES and os.path.isfile(found):
            return found
    return None


def media_type(path: Path) -> str:
    """Return the media type that a file's ending stands for."""
    return MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")
