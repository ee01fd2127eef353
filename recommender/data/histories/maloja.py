"""Maloja: ``maloja export``, ``{"maloja": {...}, "scrobbles": [...]}``.

Shape: `krateng/maloja`, ``maloja/proccontrol/tasks/export.py`` and ``database/sqldb.py`` (`get_scrobbles`).
"""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

from recommender.data.histories.dates import seconds_of
from recommender.data.histories.listen import Listen, RecordFormat, name_of


def _is_scrobble(_: str, record: dict[str, Any]) -> bool:
    track = record.get("track")
    return "time" in record and ("artists" in (track if isinstance(track, dict) else record))


def _scrobble(record: dict[str, Any], zone: tzinfo) -> Listen | None:
    track = record["track"] if isinstance(record.get("track"), dict) else record
    album = track.get("album")
    title = (album.get("albumtitle") or album.get("name")) if isinstance(album, dict) else album
    length = track.get("length") if track is not record else record.get("duration")
    name = name_of(", ".join(map(str, track["artists"])), track["title"], title, "", length)
    return Listen(name, seconds_of(record["time"], zone))


SCROBBLES = RecordFormat("Maloja", _is_scrobble, _scrobble)
