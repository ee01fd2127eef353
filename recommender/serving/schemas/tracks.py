"""Tracks, what is known of them, and what sounds like them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from recommender.serving.schemas.base import with_example

SIGNATURE_EXAMPLE = {
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

TRACK_EXAMPLE = {
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
    "signature": SIGNATURE_EXAMPLE,
}

EVIDENCE_EXAMPLE = {"listeners": 0, "sound_known": True}


class TrackSignature(BaseModel):
    """What can be said of a track's sound in words and numbers; confidences are from 0 to 1."""

    model_config = with_example(SIGNATURE_EXAMPLE)
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

    model_config = with_example(TRACK_EXAMPLE)
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

    model_config = with_example(EVIDENCE_EXAMPLE)
    listeners: int = Field(description="How many users have played it so far.")
    sound_known: bool


class TrackPage(BaseModel):
    """A page of tracks."""

    model_config = with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "total": 1,
            "offset": 0,
            "limit": 20,
            "next": None,
            "items": [TRACK_EXAMPLE],
        }
    )
    bundle: str
    total: int
    offset: int
    limit: int
    next: str | None = Field(description="The address of the next page; null on the last one.")
    items: list[Track]


class TrackAnswer(BaseModel):
    """One track."""

    model_config = with_example({"bundle": "20260118T101500-3fa94c", "track": TRACK_EXAMPLE})
    bundle: str
    track: Track


SIMILAR_EXAMPLE = {
    "rank": 1,
    "track": TRACK_EXAMPLE,
    "similarity": 0.83,
    "query_start_s": 10.0,
    "match_start_s": 4.5,
    "source": "content",
    "reason": "it sounds alike: 0:10 of yours, 0:04 of this one",
    "evidence": EVIDENCE_EXAMPLE,
}


class SimilarItem(BaseModel):
    """A track that sounds like another, and the seconds that match."""

    model_config = with_example(SIMILAR_EXAMPLE)
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

    model_config = with_example(
        {"bundle": "20260118T101500-3fa94c", "track": TRACK_EXAMPLE, "items": [SIMILAR_EXAMPLE]}
    )
    bundle: str
    track: Track
    items: list[SimilarItem]


class UploadAnswer(BaseModel):
    """An uploaded track, recommendable from now on."""

    model_config = with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "track": {**TRACK_EXAMPLE, "uploaded": True},
            "created": True,
            "warnings": [],
        }
    )
    bundle: str
    track: Track
    created: bool = Field(description="False where the catalog already had this content: the same track comes back.")
    warnings: list[str] = Field(description="What of the file could not be used.")
