"""Recommended tracks, for users and for anybody."""

from __future__ import annotations

from pydantic import BaseModel, Field

from recommender.ranking.confidence import Basis
from recommender.ranking.recommendation import ARTIST_GAP, CALIBRATION, DIVERSITY, Source
from recommender.serving.schemas.base import MAX_IDS, MAX_TOP, Identifier, with_example
from recommender.serving.schemas.tracks import EVIDENCE_EXAMPLE, TRACK_EXAMPLE, Evidence, Track

DIALS = {
    "diversity": "0 takes the best scores, 1 the tracks that are least alike.",
    "discovery": "Exposure of new tracks: 0 hardly any, .5 what found most on hidden plays, 1 mostly.",
    "calibration": "How strongly the mix of kinds of music follows the user's own, 0 to 1.",
    "popularity": "Raises (above 0) or lowers (below 0) popular tracks, -1 to 1.",
    "distaste": "How much skipped and hated tracks hold back what is like them, 0 to 1.",
    "artist_gap": "So many other tracks between two of one artist, where that is possible.",
}

RECOMMENDED_EXAMPLE = {
    "rank": 1,
    "track": TRACK_EXAMPLE,
    "score": 2.31,
    "source": "content",
    "reason": "new: it sounds like Low Tide by Mirela Voss",
    "confidence": 0.33,
    "evidence": EVIDENCE_EXAMPLE,
    "explored": False,
    "propensity": 0.9,
}


class RecommendedTrack(BaseModel):
    """One place of a list."""

    model_config = with_example(RECOMMENDED_EXAMPLE)
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

    model_config = with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "user": "u17",
            "basis": "taste",
            "note": "from 42 tracks played",
            "plays_known": 42,
            "unknown_tracks": [],
            "items": [RECOMMENDED_EXAMPLE],
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

    model_config = with_example(
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
