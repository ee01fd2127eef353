"""The model that answers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from recommender.serving.schemas.base import with_example


class ModelAnswer(BaseModel):
    """What answers, and what it knows."""

    model_config = with_example(
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
            "refused": "",
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
    refused: str = Field(description="Why the bundle that is current does not answer; empty where it does.")
    max_upload_bytes: int
    metrics: dict[str, Any]
    config: dict[str, Any]
    packages: dict[str, str]


class ReloadAnswer(BaseModel):
    """The bundle that answers from now on."""

    model_config = with_example({"bundle": "20260118T101500-3fa94c", "created_at": "2026-01-18T10:15:00+00:00"})
    bundle: str
    created_at: str
