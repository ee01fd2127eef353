"""What all schemas share: limits, ids, examples, errors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_TOP = 500

MAX_LISTENS = 1000

MAX_IDS = 5000

Identifier = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]

AskedId = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
"""An id that somebody asks the store for. PostgreSQL takes no text with NUL, not even to look for it."""


def with_example(example: dict[str, Any], *, closed: bool = False) -> ConfigDict:
    """Return the config of a schema with an example; a closed one takes no unknown fields."""
    return ConfigDict(json_schema_extra={"examples": [example]}, extra="forbid" if closed else "ignore")


class Health(BaseModel):
    """Whether the process lives, or is ready to answer."""

    model_config = with_example({"status": "ok", "bundle": "20260118T101500-3fa94c"})
    status: Literal["ok", "ready"]
    bundle: str


class ProblemDocument(BaseModel):
    """An error, RFC 9457."""

    model_config = with_example(
        {
            "type": "urn:firstlisten:problem:unknown-id",
            "title": "Not Found",
            "status": 404,
            "detail": "unknown track 't0': it is none of the 500 known",
            "instance": "/v1/tracks/t0",
            "bundle": "20260118T101500-3fa94c",
        }
    )
    type: str
    title: str
    status: int
    detail: str = Field(description="What is wrong, the value, what was expected, what to do next.")
    instance: str
    bundle: str
    errors: list[dict[str, str]] | None = Field(default=None, description="The fields that are wrong.")
    code: int | None = Field(default=None, description="The status, where a client of ListenBrainz asks.")
    error: str | None = Field(default=None, description="What is wrong, where a client of ListenBrainz asks.")
