"""ListenBrainz: exports (``listens/YEAR/MONTH.jsonl``, ``feedback.jsonl``), answers of its API, and what is sent to it.

Shapes: `metabrainz/listenbrainz-server`, ``listenbrainz/background/export.py`` (export) and ``docs/users/json.rst``
(API). The recording's MusicBrainz id is the listener's own where there is one, else the one that ListenBrainz found.
"""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

from recommender.data.histories.dates import seconds_of
from recommender.data.histories.listen import NO_TIME, Listen, RecordFormat, name_of
from recommender.data.matching import Name

SHORT_S = 30.0
"""A play that ended earlier is no listen, for Spotify and others."""


def _is_listen(_: str, record: dict[str, Any]) -> bool:
    return "track_metadata" in record and "score" not in record


def _listen(record: dict[str, Any], zone: tzinfo) -> Listen | None:
    if record.get("playing_now"):
        return None
    data = record["track_metadata"]
    return Listen(_name(data), seconds_of(record["listened_at"], zone), _weight(data), user=_user(record))


def _is_feedback(_: str, record: dict[str, Any]) -> bool:
    return "score" in record and ("recording_mbid" in record or "recording_msid" in record)


def _feedback(record: dict[str, Any], _: tzinfo) -> Listen | None:
    score = int(record["score"])
    data = record.get("track_metadata") or {}
    mbid = record.get("recording_mbid") or ""
    if score == 0 or not (mbid or data):
        return None
    name = (
        _name(data)._replace(recording_mbid=name_of("", "", "", mbid).recording_mbid)
        if data
        else name_of("", "", "", mbid)
    )
    return Listen(name, NO_TIME, 0.0 if score > 0 else -1.0, loved=score > 0, user=_user(record))


def _name(data: dict[str, Any]) -> Name:
    more, found = data.get("additional_info") or {}, data.get("mbid_mapping") or {}
    length = float(more.get("duration_ms") or 0) / 1000 or more.get("duration")
    mbid = more.get("recording_mbid") or found.get("recording_mbid") or ""
    return name_of(data["artist_name"], data["track_name"], data.get("release_name"), mbid, length)


def _weight(data: dict[str, Any]) -> float:
    """Return 0 for a skip: one that is called so, or a short play, of less than half of the track where that is known.

    Services count a listen from half of a track or four minutes on; what is shorter and sent all the same was heard.
    """
    more = data.get("additional_info") or {}
    played_s = more.get("duration_played")
    if more.get("skipped") is True:
        return 0.0
    if isinstance(played_s, bool) or not isinstance(played_s, int | float):
        return 1.0
    length_s = _name(data).duration_s
    return 0.0 if 0 <= played_s < min(SHORT_S, length_s / 2 if length_s else SHORT_S) else 1.0


def _user(record: dict[str, Any]) -> str:
    return str(record.get("user_name") or record.get("user_id") or "")


LISTENS = RecordFormat("ListenBrainz", _is_listen, _listen)
FEEDBACK = RecordFormat("ListenBrainz", _is_feedback, _feedback)
