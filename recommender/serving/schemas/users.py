"""Users, and why a track has its score."""

from __future__ import annotations

from pydantic import BaseModel, Field

from recommender.ranking.recommendation import Source
from recommender.serving.schemas.base import with_example
from recommender.serving.schemas.feedback import Verdict
from recommender.serving.schemas.tracks import EVIDENCE_EXAMPLE, TRACK_EXAMPLE, Evidence, Track


class User(BaseModel):
    """Somebody who listens."""

    model_config = with_example({"id": "u17", "tracks_played": 42})
    id: str
    tracks_played: int


class UserPage(BaseModel):
    """A page of users."""

    model_config = with_example(
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

    model_config = with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "user": "u17",
            "track": TRACK_EXAMPLE,
            "score": 2.31,
            "parts": {"factors": 0.08, "neighbours": 0.02, "content": 2.4, "popularity": 0.01, "distaste": -0.2},
            "source": "content",
            "reason": "new: it sounds like Low Tide by Mirela Voss",
            "heard": False,
            "taste_weight": 0.98,
            "play_weight": 0.0,
            "user_plays": 42,
            "evidence": EVIDENCE_EXAMPLE,
            "from_plays": [],
            "sounds_like": [],
            "confidence": 0.33,
            "held_back_because": "held back because it sounds like Rust by Ida Kane, which you skipped",
            "held_back_by": [{"track": TRACK_EXAMPLE, "verdict": "skipped", "amount": 0.2}],
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
