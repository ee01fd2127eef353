"""What becomes of an upload that is heard in the background."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from recommender.serving.schemas.base import with_example
from recommender.serving.schemas.tracks import TRACK_EXAMPLE, Track


class UploadStatus(BaseModel):
    """An upload on its way into the catalog."""

    model_config = with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "id": "t3f9a01c2b4d5e6f7",
            "status": "done",
            "track": {**TRACK_EXAMPLE, "uploaded": True},
            "reason": "",
            "warnings": [],
        }
    )
    bundle: str
    id: str = Field(description="Of the upload, and of the track that it becomes.")
    status: Literal["queued", "analysing", "done", "failed"]
    track: Track | None = Field(description="Once it is done: it can be recommended and played.")
    reason: str = Field(description="Why it failed; empty else.")
    warnings: list[str] = Field(description="What of the file could not be used.")
