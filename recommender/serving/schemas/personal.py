"""What is kept of a user, and that it is kept no more."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from recommender.serving.schemas.base import with_example


class PersonalItem(BaseModel):
    """One thing that is kept of a user."""

    model_config = with_example(
        {
            "kind": "listens",
            "data": {
                "track_id": "t3f9a01c2b4d5e6f7",
                "listened_at_ms": 1768767300000,
                "weight": 1.0,
                "client_id": "phone-000123",
                "received_at_ms": 1768767301234,
            },
        }
    )
    kind: str = Field(description="listens, feedback (verdicts), served (places of lists that were shown), api_keys.")
    data: dict[str, Any] = Field(description="Times are milliseconds since 1970, UTC.")


class PersonalPage(BaseModel):
    """A page of what is kept of a user."""

    model_config = with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "user": "u17",
            "learned_from": ["t3f9a01c2b4d5e6f7"],
            "items": [],
            "next": None,
        }
    )
    bundle: str
    user: str
    learned_from: list[str] = Field(
        description="Tracks that the model counts as heard by the user; on the first page only."
    )
    items: list[PersonalItem]
    next: str | None = Field(description="Address of the next page; none where this is the last.")


class ErasedAnswer(BaseModel):
    """That a user was erased."""

    model_config = with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "erased": {"api_keys": 0, "feedback": 2, "listens": 41, "served": 320},
            "note": "What the model's numbers learned from this user goes with the next training.",
        }
    )
    bundle: str
    erased: dict[str, int] = Field(description="Rows that were deleted, by kind.")
    note: str
