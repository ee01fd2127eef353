"""From a catalog path to a file that may be sent: inside the music folders, after every symbolic link is followed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

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
