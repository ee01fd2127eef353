"""Verdicts, and what they hold back."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from recommender.serving.schemas.base import with_example
from recommender.serving.schemas.tracks import TRACK_EXAMPLE, Track

Verdict = Literal["hated", "loved", "skipped"]


class FeedbackIn(BaseModel):
    """What a user makes of a track."""

    model_config = with_example({"value": "hate"}, closed=True)
    value: Literal["love", "hate", "clear"] = Field(description="clear takes a love, a hate or a skip back.")


class FeedbackAnswer(BaseModel):
    """What is stored now."""

    model_config = with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "user": "u17",
            "track": TRACK_EXAMPLE,
            "value": "hate",
        }
    )
    bundle: str
    user: str
    track: Track
    value: Literal["love", "hate", "clear"]


class HeldBack(BaseModel):
    """A track that a skip or hate holds back."""

    model_config = with_example({"track": TRACK_EXAMPLE, "amount": 0.41})
    track: Track
    amount: float = Field(description="What it takes from the track's score for this user.")


class FeedbackItem(BaseModel):
    """A verdict that stands."""

    model_config = with_example(
        {"track": TRACK_EXAMPLE, "verdict": "hated", "holds_back": [{"track": TRACK_EXAMPLE, "amount": 0.41}]}
    )
    track: Track
    verdict: Verdict = Field(description="hated and loved were said; skipped was heard and never played.")
    holds_back: list[HeldBack] = Field(description="What it holds back most, among the user's best tracks.")


class FeedbackPage(BaseModel):
    """What a user hates, loves and skipped, in this order."""

    model_config = with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "user": "u17",
            "total": 1,
            "offset": 0,
            "limit": 100,
            "items": [
                {"track": TRACK_EXAMPLE, "verdict": "hated", "holds_back": [{"track": TRACK_EXAMPLE, "amount": 0.41}]},
            ],
        }
    )
    bundle: str
    user: str
    total: int
    offset: int
    limit: int
    items: list[FeedbackItem]
