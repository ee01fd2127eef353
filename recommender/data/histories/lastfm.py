"""Last.fm in JSON: answers of ``user.getRecentTracks`` and files of lastfmstats.com; CSV files are in `plays_table`.

Shapes: https://www.last.fm/api/show/user.getRecentTracks; `felhag/lastfm-stats-web`, ``export-service.ts``.
"""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

from recommender.data.histories.dates import seconds_of
from recommender.data.histories.listen import Listen, RecordFormat, name_of


def _is_scrobble(_: str, record: dict[str, Any]) -> bool:
    return {"artist", "name"} <= set(record) and isinstance(record["artist"], dict) and "url" in record


def _scrobble(record: dict[str, Any], zone: tzinfo) -> Listen | None:
    if (record.get("@attr") or {}).get("nowplaying"):
        return None
    artist, album = record["artist"], record.get("album") or {}
    name = name_of(
        artist.get("#text") or artist.get("name"),
        record["name"],
        album.get("#text") or album.get("title"),
        record.get("mbid"),
    )
    return Listen(name, seconds_of(record["date"]["uts"], zone))


def _is_lastfmstats(_: str, record: dict[str, Any]) -> bool:
    return {"artist", "track", "date"} <= set(record) and isinstance(record["track"], str)


def _lastfmstats(record: dict[str, Any], zone: tzinfo) -> Listen | None:
    return Listen(name_of(record["artist"], record["track"], record.get("album")), seconds_of(record["date"], zone))


SCROBBLES = RecordFormat("Last.fm", _is_scrobble, _scrobble)
LASTFMSTATS = RecordFormat("lastfmstats", _is_lastfmstats, _lastfmstats)
