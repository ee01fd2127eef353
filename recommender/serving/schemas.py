"""What goes in and out of the API. Every answer names its bundle, every recommended track its source and evidence.

One file though it is long: it is the API's vocabulary, and no schema does more than say what it holds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from recommender.ranking.confidence import Basis
from recommender.ranking.recommendation import ARTIST_GAP, CALIBRATION, DIVERSITY, Source

MAX_TOP = 500
MAX_LISTENS = 1000
MAX_IDS = 5000
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]

Verdict = Literal["hated", "loved", "skipped"]

DIALS = {
    "diversity": "0 takes the best scores, 1 the tracks that are least alike.",
    "discovery": "Exposure of new tracks: 0 hardly any, .5 what found most on hidden plays, 1 mostly.",
    "calibration": "How strongly the mix of kinds of music follows the user's own, 0 to 1.",
    "popularity": "Raises (above 0) or lowers (below 0) popular tracks, -1 to 1.",
    "distaste": "How much skipped and hated tracks hold back what is like them, 0 to 1.",
    "artist_gap": "So many other tracks between two of one artist, where that is possible.",
}

_SIGNATURE = {
    "tempo_bpm": 122.0,
    "tempo_confidence": 0.83,
    "rival_bpm": 61.0,
    "key": "A minor",
    "camelot": "8A",
    "key_confidence": 0.57,
    "loudness_lufs": -13.8,
    "loudness_confidence": 0.81,
    "brightness_hz": 2240,
    "brightness_confidence": 0.86,
    "density_hz": 4.6,
    "density_confidence": 0.78,
    "pulse": 0.71,
    "pulse_confidence": 0.95,
}
_TRACK = {
    "id": "t3f9a01c2b4d5e6f7",
    "title": "Salt Flats",
    "artist": "Mirela Voss",
    "album": "Long Exposure",
    "duration_s": 27.4,
    "released": "2024-11-02",
    "listeners": 0,
    "playable": True,
    "heard_by_model": True,
    "uploaded": False,
    "signature": _SIGNATURE,
}
_EVIDENCE = {"listeners": 0, "sound_known": True}
_RECOMMENDED = {
    "rank": 1,
    "track": _TRACK,
    "score": 2.31,
    "source": "content",
    "reason": "new: it sounds like Low Tide by Mirela Voss",
    "confidence": 0.33,
    "evidence": _EVIDENCE,
    "explored": False,
    "propensity": 0.9,
}


def _with_example(example: dict[str, Any], *, closed: bool = False) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]}, extra="forbid" if closed else "ignore")


class TrackSignature(BaseModel):
    """What can be said of a track's sound in words and numbers; confidences are from 0 to 1."""

    model_config = _with_example(_SIGNATURE)
    tempo_bpm: float
    tempo_confidence: float = Field(description="About the share of such tracks whose tempo is right within 4 %.")
    rival_bpm: float = Field(
        description="The same beat counted at the next likely of 1/3, 1/2, 2 and 3 times the tempo."
    )
    key: str = Field(description="Tonic and major or minor; other modes count as the one whose third they have.")
    camelot: str = Field(description="The key's place on the Camelot wheel: neighbours mix well.")
    key_confidence: float = Field(description="About the share of such tracks whose key is right.")
    loudness_lufs: float = Field(description="Integrated (BS.1770) over the clips heard, mixed down to mono.")
    loudness_confidence: float
    brightness_hz: float = Field(description="Spectral centroid.")
    brightness_confidence: float
    density_hz: float = Field(description="Onsets a second.")
    density_confidence: float
    pulse: float = Field(description="How regular the beat is: 0 none, 1 a machine.")
    pulse_confidence: float


class Track(BaseModel):
    """A track of the catalog."""

    model_config = _with_example(_TRACK)
    id: str
    title: str
    artist: str = Field(description="Empty where unknown.")
    album: str = Field(description="Empty where unknown.")
    duration_s: float | None
    released: str = Field(description="ISO date, or a part of one; empty where unknown.")
    listeners: int = Field(description="How many users have played it so far, live plays included.")
    playable: bool = Field(description="Whether there is a file to play at /v1/tracks/{id}/audio.")
    heard_by_model: bool = Field(description="Whether the model knows its sound.")
    uploaded: bool = Field(description="Whether it came in through the API since the bundle was made.")
    signature: TrackSignature | None = Field(default=None, description="Null where the sound was not analysed.")


class Evidence(BaseModel):
    """What is known about a track when it is recommended."""

    model_config = _with_example(_EVIDENCE)
    listeners: int = Field(description="How many users have played it so far.")
    sound_known: bool


class RecommendedTrack(BaseModel):
    """One place of a list."""

    model_config = _with_example(_RECOMMENDED)
    rank: int
    track: Track
    score: float = Field(description="Comparable inside this list only.")
    source: Source = Field(
        description="Who put it here: plays (cf), sound (content), popularity, several (mixed); new in a default list."
    )
    reason: str
    confidence: float = Field(
        description="How much evidence of the user and of the track it rests on: 0 none of the user, towards 1 much of "
        "both. It is no chance of a hit."
    )
    evidence: Evidence
    explored: bool = Field(default=False, description="Whether this place tries a track that may be better than known.")
    propensity: float = Field(default=1.0, description="The probability with which this track was shown here.")


class Recommendations(BaseModel):
    """A list for one user."""

    model_config = _with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "user": "u17",
            "basis": "taste",
            "note": "from 42 tracks played",
            "plays_known": 42,
            "unknown_tracks": [],
            "items": [_RECOMMENDED],
        }
    )
    bundle: str
    user: str | None = Field(description="Null for an anonymous request.")
    basis: Basis = Field(
        description="What the list rests on: the user's taste, few plays, or, where none are known, nothing of theirs: "
        "the default, popular tracks and new releases by turns."
    )
    note: str
    plays_known: int = Field(description="How many different tracks the user is known to have played.")
    unknown_tracks: list[str] = Field(description="Ids in the request that are not in the catalog; they are left out.")
    items: list[RecommendedTrack]


class AnonymousRequest(BaseModel):
    """Tracks that somebody likes and dislikes."""

    model_config = _with_example(
        {"liked": ["t3f9a01c2b4d5e6f7", "t00aa11bb22cc33dd"], "disliked": ["t99ff88ee77dd66cc"], "top": 10}, closed=True
    )
    liked: list[Identifier] = Field(default_factory=list, max_length=MAX_IDS)
    disliked: list[Identifier] = Field(
        default_factory=list,
        max_length=MAX_IDS,
        description="Never recommended, and held against what is like it; a track in both lists is disliked.",
    )
    top: int = Field(default=20, ge=1, le=MAX_TOP)
    include_heard: bool = Field(default=False, description="Whether liked tracks may come back.")
    max_per_artist: int | None = Field(default=2, ge=1, le=MAX_TOP)
    artist_gap: int = Field(default=ARTIST_GAP, ge=0, le=MAX_TOP, description=DIALS["artist_gap"])
    diversity: float = Field(default=DIVERSITY, ge=0, le=1, description=DIALS["diversity"])
    discovery: float = Field(default=0.5, ge=0, le=1, description=DIALS["discovery"])
    calibration: float = Field(default=CALIBRATION, ge=0, le=1, description=DIALS["calibration"])
    popularity: float = Field(default=0.0, ge=-1, le=1, description=DIALS["popularity"])


class TrackPage(BaseModel):
    """A page of tracks."""

    model_config = _with_example(
        {"bundle": "20260118T101500-3fa94c", "total": 1, "offset": 0, "limit": 20, "next": None, "items": [_TRACK]}
    )
    bundle: str
    total: int
    offset: int
    limit: int
    next: str | None = Field(description="The address of the next page; null on the last one.")
    items: list[Track]


class TrackAnswer(BaseModel):
    """One track."""

    model_config = _with_example({"bundle": "20260118T101500-3fa94c", "track": _TRACK})
    bundle: str
    track: Track


class SimilarItem(BaseModel):
    """A track that sounds like another, and the seconds that match."""

    model_config = _with_example(
        {
            "rank": 1,
            "track": _TRACK,
            "similarity": 0.83,
            "query_start_s": 10.0,
            "match_start_s": 4.5,
            "source": "content",
            "reason": "it sounds alike: 0:10 of yours, 0:04 of this one",
            "evidence": _EVIDENCE,
        }
    )
    rank: int
    track: Track
    similarity: float = Field(description="Cosine of the two audio vectors, -1 to 1.")
    query_start_s: float | None = Field(description="Where the matching clip starts in the track asked about.")
    match_start_s: float | None = Field(description="Where it starts in this track.")
    source: Literal["content"]
    reason: str
    evidence: Evidence


class SimilarTracks(BaseModel):
    """What sounds like a track."""

    bundle: str
    track: Track
    items: list[SimilarItem]


class UploadAnswer(BaseModel):
    """An uploaded track, recommendable from now on."""

    model_config = _with_example(
        {"bundle": "20260118T101500-3fa94c", "track": {**_TRACK, "uploaded": True}, "created": True, "warnings": []}
    )
    bundle: str
    track: Track
    created: bool = Field(description="False where the catalog already had this content: the same track comes back.")
    warnings: list[str] = Field(description="What of the file could not be used.")


class ListenIn(BaseModel):
    """One listen."""

    model_config = _with_example(
        {
            "user_id": "u17",
            "track_id": "t3f9a01c2b4d5e6f7",
            "listened_at": "2026-01-18T20:15:00Z",
            "skipped": False,
            "id": "phone-000123",
        },
        closed=True,
    )
    user_id: Identifier = Field(description="A user that is not known yet is known from now on.")
    track_id: Identifier
    listened_at: AwareDatetime | None = Field(
        default=None,
        description="With a time zone, or seconds since 1970; now if left out. At most ten minutes in the future.",
    )
    skipped: bool = Field(default=False, description="Heard and not liked: not recommended again, no evidence for it.")
    id: Identifier | None = Field(
        default=None, max_length=128, description="Of the client's choice: the same id of a user is stored once."
    )


class ListensIn(BaseModel):
    """A batch of listens."""

    model_config = ConfigDict(extra="forbid")
    listens: list[ListenIn] = Field(min_length=1, max_length=MAX_LISTENS)


class ListenResult(BaseModel):
    """What became of one listen."""

    model_config = _with_example({"index": 0, "status": "stored", "reason": None})
    index: int
    status: Literal["stored", "duplicate", "rejected"]
    reason: str | None = Field(description="Why it was rejected.")


class ListensReport(BaseModel):
    """What became of a batch; what is reported as stored is on disk."""

    model_config = _with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "stored": 1,
            "duplicates": 0,
            "rejected": 0,
            "items": [{"index": 0, "status": "stored", "reason": None}],
        }
    )
    bundle: str
    stored: int
    duplicates: int
    rejected: int
    items: list[ListenResult]


class User(BaseModel):
    """Somebody who listens."""

    model_config = _with_example({"id": "u17", "tracks_played": 42})
    id: str
    tracks_played: int


class UserPage(BaseModel):
    """A page of users."""

    model_config = _with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "total": 1,
            "offset": 0,
            "limit": 20,
            "next": None,
            "items": [{"id": "u17", "tracks_played": 42}],
        }
    )
    bundle: str
    total: int
    offset: int
    limit: int
    next: str | None
    items: list[User]


class Contribution(BaseModel):
    """What one play added to the collaborative score."""

    track: Track
    amount: float


class SoundsLike(BaseModel):
    """A play of the user that sounds like the track, and the seconds that match."""

    track: Track
    similarity: float
    here_start_s: float | None = Field(description="Where the matching clip starts in the explained track.")
    there_start_s: float | None = Field(description="Where it starts in the played track.")


class HeldBackBy(BaseModel):
    """A skip or hate that took from a track's score."""

    track: Track
    verdict: Verdict
    amount: float


class ExplanationAnswer(BaseModel):
    """Why a user would, or would not, get a track."""

    model_config = _with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "user": "u17",
            "track": _TRACK,
            "score": 2.31,
            "parts": {"factors": 0.08, "neighbours": 0.02, "content": 2.4, "popularity": 0.01, "distaste": -0.2},
            "source": "content",
            "reason": "new: it sounds like Low Tide by Mirela Voss",
            "heard": False,
            "taste_weight": 0.98,
            "play_weight": 0.0,
            "user_plays": 42,
            "evidence": _EVIDENCE,
            "from_plays": [],
            "sounds_like": [],
            "confidence": 0.33,
            "held_back_because": "held back because it sounds like Rust by Ida Kane, which you skipped",
            "held_back_by": [{"track": _TRACK, "verdict": "skipped", "amount": 0.2}],
        }
    )
    bundle: str
    user: str
    track: Track
    score: float = Field(description="The sum of the parts.")
    parts: dict[str, float] = Field(
        description="What plays (cf), sound (content) and popularity added, and distaste took; context is what a "
        "learned ranker makes of anything else."
    )
    source: Source
    reason: str
    heard: bool = Field(description="Whether the user has heard it; then it is not recommended.")
    taste_weight: float = Field(description="What the user's own taste weighs against popularity, 0 to 1.")
    play_weight: float = Field(description="What the track's plays weigh against its sound, 0 to 1.")
    user_plays: int
    evidence: Evidence
    from_plays: list[Contribution]
    sounds_like: list[SoundsLike]
    confidence: float = Field(description="As in a list of recommendations.")
    held_back_because: str = Field(
        description="One sentence on the first of `held_back_by`; empty where there is none."
    )
    held_back_by: list[HeldBackBy] = Field(description="The skips and hates that took most, the largest first.")


class FeedbackIn(BaseModel):
    """What a user makes of a track."""

    model_config = _with_example({"value": "hate"}, closed=True)
    value: Literal["love", "hate", "clear"] = Field(description="clear takes a love, a hate or a skip back.")


class FeedbackAnswer(BaseModel):
    """What is stored now."""

    model_config = _with_example({"bundle": "20260118T101500-3fa94c", "user": "u17", "track": _TRACK, "value": "hate"})
    bundle: str
    user: str
    track: Track
    value: Literal["love", "hate", "clear"]


class HeldBack(BaseModel):
    """A track that a skip or hate holds back."""

    model_config = _with_example({"track": _TRACK, "amount": 0.41})
    track: Track
    amount: float = Field(description="What it takes from the track's score for this user.")


class FeedbackItem(BaseModel):
    """A verdict that stands."""

    model_config = _with_example(
        {"track": _TRACK, "verdict": "hated", "holds_back": [{"track": _TRACK, "amount": 0.41}]}
    )
    track: Track
    verdict: Verdict = Field(description="hated and loved were said; skipped was heard and never played.")
    holds_back: list[HeldBack] = Field(description="What it holds back most, among the user's best tracks.")


class FeedbackPage(BaseModel):
    """What a user hates, loves and skipped, in this order."""

    model_config = _with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "user": "u17",
            "total": 1,
            "offset": 0,
            "limit": 100,
            "items": [
                {"track": _TRACK, "verdict": "hated", "holds_back": [{"track": _TRACK, "amount": 0.41}]},
            ],
        }
    )
    bundle: str
    user: str
    total: int
    offset: int
    limit: int
    items: list[FeedbackItem]


class ModelAnswer(BaseModel):
    """What answers, and what it knows."""

    model_config = _with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "created_at": "2026-01-18T10:15:00+00:00",
            "data_digest": "3fa94c0b7d5e2a11",
            "tracks": 500,
            "tracks_with_sound": 500,
            "tracks_without_listeners": 51,
            "users": 800,
            "uploads": 1,
            "listens_since": 3,
            "can_hear_uploads": True,
            "ears_ready": True,
            "max_upload_bytes": 209715200,
            "metrics": {},
            "config": {},
            "packages": {"numpy": "2.4.0"},
        }
    )
    bundle: str
    created_at: str
    data_digest: str
    tracks: int
    tracks_with_sound: int
    tracks_without_listeners: int
    users: int
    uploads: int = Field(description="Tracks that came in through the API since the bundle was made.")
    listens_since: int = Field(description="Listens in the store that this answer takes into account.")
    can_hear_uploads: bool
    ears_ready: bool = Field(description="Whether the audio model is in memory already.")
    max_upload_bytes: int
    metrics: dict[str, Any]
    config: dict[str, Any]
    packages: dict[str, str]


class Health(BaseModel):
    """Whether the process lives, or is ready to answer."""

    model_config = _with_example({"status": "ok", "bundle": "20260118T101500-3fa94c"})
    status: Literal["ok", "ready"]
    bundle: str


class ProblemDocument(BaseModel):
    """An error, RFC 9457."""

    model_config = _with_example(
        {
            "type": "urn:firstlisten:problem:unknown-id",
            "title": "Not Found",
            "status": 404,
            "detail": "unknown track 't0': it is none of the 500 known",
            "instance": "/v1/tracks/t0",
            "bundle": "20260118T101500-3fa94c",
        }
    )
    type: str
    title: str
    status: int
    detail: str = Field(description="What is wrong, the value, what was expected, what to do next.")
    instance: str
    bundle: str
    errors: list[dict[str, str]] | None = Field(default=None, description="The fields that are wrong.")
