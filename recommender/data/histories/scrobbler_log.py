"""``.scrobbler.log``: what Rockbox and other players write (Audioscrobbler 1.0 and 1.1).

Format: "Portable Player Logging" of audioscrobbler.net, as `Rockbox/rockbox` quotes it in ``lastfm_scrobbler.c``.
Fields are artist, album, title, number, length in s, L (heard) or S (skipped), Unix time, MusicBrainz id, separated by
tabs. ``#TZ/UTC`` says that times are UTC; ``#TZ/UNKNOWN`` that they are local, counted as if they were UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo

from recommender.data.histories.dates import seconds_of, wall_clock
from recommender.data.histories.listen import NO_TIME, Broken, Entry, History, Listen, Unusable, name_of, said
from recommender.data.histories.opening import Part

_NO_CLOCK_BEFORE = 315_532_800  # 1980: players without a clock count from 0


def read(part: Part, zone: tzinfo) -> History | None:
    """Read a log; None if the part is none.

    Parameters
    ----------
    part : Part
    zone : tzinfo
        Where the player was, if it did not know.
    """
    return History("scrobbler log", _entries(part, zone)) if part.beginning().startswith("#AUDIOSCROBBLER/") else None


def _entries(part: Part, zone: tzinfo) -> Iterator[Entry]:
    local = True
    with part.text() as file:
        for number, line in enumerate(file, start=1):
            text = line.rstrip("\r\n")
            if text.startswith("#"):
                if text.startswith("#TZ/"):
                    local = text[4:].strip().upper() != "UTC"
            elif text.strip():
                try:
                    yield _listen(text.split("\t"), zone if local else None)
                except Unusable as error:
                    reason = "has fewer than 7 fields" if isinstance(error, IndexError) else said(error)
                    yield Broken(f"{part.place}line {number}", reason)


def _listen(fields: list[str], zone: tzinfo | None) -> Listen | None:
    artist, album, title, _, length, rating, stamp = (
        fields[:7] if len(fields) >= 7 else [fields[place] for place in range(7)]
    )
    if artist.strip().lower() == "<untagged>" or title.strip().lower() == "<untagged>":
        return None
    if rating.strip() not in ("L", "S"):
        raise ValueError(f"rating {rating[:10]!r} is not L or S")
    seconds = int(stamp)
    time = NO_TIME
    if seconds >= _NO_CLOCK_BEFORE:
        time = seconds_of(seconds if zone is None else wall_clock(seconds, zone))
    name = name_of(artist, title, album, fields[7] if len(fields) > 7 else "", length)
    return Listen(name, time, 1.0 if rating.strip() == "L" else 0.0)
