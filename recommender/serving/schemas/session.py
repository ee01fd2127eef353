"""Who is asking, as the server sees it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from recommender.serving.schemas.base import with_example


class SessionAnswer(BaseModel):
    """What the key that came with a request may do."""

    model_config = with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "keys_required": True,
            "name": "Ada's phone",
            "scopes": ["read", "listen"],
            "user": "ada",
        }
    )
    bundle: str
    keys_required: bool = Field(description="False where nobody is asked for a key: everything is allowed.")
    name: str | None = Field(description="Of the key; null where none is required.")
    scopes: list[str]
    user: str | None = Field(description="The one user that the key may speak of; null where it is bound to none.")
