"""Cue sheets: which files hold a whole album."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

MAX_BYTES = 1 << 20
_FILE = re.compile(r'\s*FILE\s+(?:"([^"]+)"|(\S+))', re.IGNORECASE)
_TRACK = re.compile(r"\s*TRACK\s+\d+\s+AUDIO", re.IGNORECASE)


def albums_in_one_file(sheet: Path) -> dict[str, int]:
    """Return the files that a cue sheet cuts into several tracks: name without its ending -> number of tracks.

    The ending is left out because sheets go on naming the WAV that a FLAC was made from. A sheet that cannot be read
    cuts nothing.
    """
    try:
        with sheet.open("rb") as stream:
            text = stream.read(MAX_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return {}
    counts: dict[str, int] = {}
    name = ""
    for line in text.splitlines():
        if found := _FILE.match(line):
            name = PurePosixPath((found[1] or found[2]).replace("\\", "/")).stem
        elif name and _TRACK.match(line):
            counts[name] = counts.get(name, 0) + 1
    return {name: count for name, count in counts.items() if count > 1}
