"""What ListenBrainz answers, as far as we do."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from recommender.serving.schemas.base import with_example

SUBMISSION: dict[str, Any] = {
    "type": "object",
    "required": ["listen_type", "payload"],
    "properties": {
        "listen_type": {"enum": ["single", "playing_now", "import"]},
        "payload": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1000,
            "items": {
                "type": "object",
                "required": ["track_metadata"],
                "properties": {
                    "listened_at": {"type": "integer", "description": "Unix time, UTC; not with playing_now."},
                    "track_metadata": {
                        "type": "object",
                        "required": ["artist_name", "track_name"],
                        "properties": {
                            "artist_name": {"type": "string", "minLength": 1},
                            "track_name": {"type": "string", "minLength": 1},
                            "release_name": {"type": "string"},
                            "additional_info": {"type": "object"},
                        },
                    },
                },
            },
        },
    },
    "example": {
        "listen_type": "single",
        "payload": [
            {
                "listened_at": 1768767300,
                "track_metadata": {
                    "artist_name": "Mirela Voss",
                    "track_name": "Salt Flats",
                    "release_name": "Long Exposure",
                    "additional_info": {"duration_ms": 27400, "media_player": "Rhythmbox"},
                },
            }
        ],
    },
}
FEEDBACK: dict[str, Any] = {
    "type": "object",
    "required": ["recording_mbid", "score"],
    "properties": {"recording_mbid": {"type": "string", "format": "uuid"}, "score": {"enum": [1, 0, -1]}},
    "example": {"recording_mbid": "98255a8c-017a-4bc7-8dd6-1fa36124572b", "score": 1},
}


class Accepted(BaseModel):
    """All of it is kept."""

    model_config = with_example({"status": "ok"})
    status: Literal["ok"] = "ok"


class TokenAnswer(BaseModel):
    """Whether a token is good."""

    model_config = with_example({"code": 200, "message": "Token valid.", "valid": True, "user_name": "ann"})
    code: Literal[200] = 200
    message: str
    valid: bool
    user_name: str | None = Field(default=None, description="Whose listens it may submit.")


class CountPayload(BaseModel):
    """A number."""

    count: int


class CountAnswer(BaseModel):
    """How many listens are kept."""

    model_config = with_example({"payload": {"count": 4711}})
    payload: CountPayload


class ListenOut(BaseModel):
    """One listen."""

    listened_at: int = Field(description="Unix time, UTC.")
    user_name: str
    track_metadata: dict[str, Any]


class ListensPayload(BaseModel):
    """Listens, the latest first."""

    count: int
    user_id: str
    listens: list[ListenOut]
    latest_listen_ts: int
    oldest_listen_ts: int = Field(description="Of those shown.")


class ListensAnswer(BaseModel):
    """A page of listens."""

    model_config = with_example(
        {
            "payload": {
                "count": 1,
                "user_id": "ann",
                "listens": [
                    {
                        "listened_at": 1768767300,
                        "user_name": "ann",
                        "track_metadata": {"artist_name": "Mirela Voss", "track_name": "Slow Water"},
                    }
                ],
                "latest_listen_ts": 1768767300,
                "oldest_listen_ts": 1768767300,
            }
        }
    )
    payload: ListensPayload
