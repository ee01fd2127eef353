"""Listens, and what became of them."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from recommender.serving.schemas.base import MAX_LISTENS, Identifier, with_example

LISTEN_EXAMPLE = {
    "user_id": "u17",
    "track_id": "t3f9a01c2b4d5e6f7",
    "listened_at": "2026-01-18T20:15:00Z",
    "skipped": False,
    "id": "phone-000123",
}


class ListenIn(BaseModel):
    """One listen."""

    model_config = with_example(LISTEN_EXAMPLE, closed=True)
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

    model_config = with_example({"listens": [LISTEN_EXAMPLE]}, closed=True)
    listens: list[ListenIn] = Field(min_length=1, max_length=MAX_LISTENS)


class ListenResult(BaseModel):
    """What became of one listen."""

    model_config = with_example({"index": 0, "status": "stored", "reason": None})
    index: int
    status: Literal["stored", "duplicate", "rejected"]
    reason: str | None = Field(description="Why it was rejected.")


class ListensReport(BaseModel):
    """What became of a batch; what is reported as stored is on disk."""

    model_config = with_example(
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
