"""Spotify: the extended streaming history, and the history of the last year that comes with the account data.

Shapes: Spotify's "Understanding your data" page and ``ReadMeFirst_ExtendedStreamingHistory.pdf``; the rules of
`metabrainz/listenbrainz-server`, ``listens_importer/spotify.py``. Of an entry only the fields named here are looked at:
addresses, countries and devices (``ip_addr``, ``user_agent``, ``platform``) are not. Private sessions stay private.
"""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

from recommender.data.histories.dates import seconds_of
from recommender.data.histories.listen import Listen, RecordFormat, name_of

PLAYED_MS = 30_000
"""A play this long counts, as it does for the services."""
_SKIP_ENDS = ("fwdbtn", "backbtn", "clickrow", "clickside", "playbtn")


def _is_extended(_: str, record: dict[str, Any]) -> bool:
    return "ms_played" in record and "ts" in record and "master_metadata_track_name" in record


def _extended(record: dict[str, Any], zone: tzinfo) -> Listen | None:
    title, artist = record["master_metadata_track_name"], record["master_metadata_album_artist_name"]
    played_ms, time = _played_ms(record["ms_played"]), seconds_of(record["ts"], zone)
    if not title or not artist or record.get("incognito_mode") is True:
        return None
    name = name_of(artist, title, record.get("master_metadata_album_album_name"))
    if played_ms >= PLAYED_MS or record.get("reason_end") == "trackdone":
        return Listen(name, time)
    skipped = record.get("skipped") is True or record.get("reason_end") in _SKIP_ENDS
    return Listen(name, time, 0.0) if skipped else None


def _is_account_data(_: str, record: dict[str, Any]) -> bool:
    return "msPlayed" in record and "endTime" in record and ("trackName" in record or "episodeName" in record)


def _account_data(record: dict[str, Any], _: tzinfo) -> Listen | None:
    """Read a play; a short one is none, for this does not say whether it was skipped. Times are UTC."""
    if not record.get("trackName") or not record.get("artistName"):
        return None
    played_ms, time = _played_ms(record["msPlayed"]), seconds_of(record["endTime"])
    return Listen(name_of(record["artistName"], record["trackName"]), time) if played_ms >= PLAYED_MS else None


def _played_ms(value: Any) -> float:
    played_ms = float(value)
    if not 0 <= played_ms < 1e9:
        raise ValueError(f"ms_played {played_ms:g} is no length of a play")
    return played_ms


EXTENDED = RecordFormat("Spotify", _is_extended, _extended)
ACCOUNT_DATA = RecordFormat("Spotify account data", _is_account_data, _account_data)
