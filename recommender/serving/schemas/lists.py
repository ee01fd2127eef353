"""What a list of a user may be asked to be, as the query of an address."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recommender.ranking.recommendation import ARTIST_GAP, CALIBRATION, DIVERSITY
from recommender.serving.schemas.base import MAX_TOP
from recommender.serving.schemas.recommendations import DIALS


class ListQuery(BaseModel):
    """The query of a request for a user's list."""

    model_config = ConfigDict(frozen=True)
    top: int = Field(default=20, ge=1, le=MAX_TOP, description="Length of the list.")
    include_heard: bool = Field(default=False, description="Whether heard tracks may come back.")
    max_per_artist: int = Field(default=2, ge=0, le=MAX_TOP, description="0 sets no cap.")
    max_listeners: int | None = Field(
        default=None, ge=0, le=10**9, description="Only tracks with at most so many listeners; 0 asks for new ones."
    )
    explore: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of the places that try something; the server's setting if left out.",
    )
    diversity: float = Field(default=DIVERSITY, ge=0, le=1, description=DIALS["diversity"])
    discovery: float = Field(default=0.5, ge=0, le=1, description=DIALS["discovery"])
    calibration: float = Field(default=CALIBRATION, ge=0, le=1, description=DIALS["calibration"])
    popularity: float = Field(default=0.0, ge=-1, le=1, description=DIALS["popularity"])
    distaste: float = Field(default=1.0, ge=0, le=1, description=DIALS["distaste"])
    artist_gap: int = Field(default=ARTIST_GAP, ge=0, le=MAX_TOP, description=DIALS["artist_gap"])


async def list_query(request: Request) -> ListQuery:
    """Read the query of a request: a dependency. Most are alike, and a dozen fields take longer than they should."""
    return _read(request.scope["query_string"])


def query_parameters(model: type[BaseModel]) -> dict[str, Any]:
    """Return what OpenAPI should say of a route that reads its query by such a model, as ``openapi_extra``."""
    described = []
    for name, schema in model.model_json_schema()["properties"].items():
        described.append({"name": name, "in": "query", "required": False, "schema": schema})
        if "description" in schema:
            described[-1]["description"] = schema["description"]
    return {"parameters": described}


@lru_cache(maxsize=1024)
def _read(query: bytes) -> ListQuery:
    try:
        return ListQuery.model_validate(dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)))
    except ValidationError as error:
        raise RequestValidationError(
            [{**one, "loc": ("query", *one["loc"])} for one in error.errors(include_url=False)]
        ) from None
