"""Playlists from seeds and rules."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from recommender.playlists.energy import Arc
from recommender.serving.schemas.base import MAX_TOP, Identifier, with_example
from recommender.serving.schemas.tracks import TRACK_EXAMPLE, Track

MAX_SEEDS = 100
Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class PlaylistRequest(BaseModel):
    """What a playlist starts from, and what it has to look like; with nothing at all it starts from what is popular."""

    model_config = with_example(
        {
            "tracks": ["t3f9a01c2b4d5e6f7"],
            "users": ["u17"],
            "length": 20,
            "max_per_artist": 2,
            "tempo_from": 90,
            "tempo_to": 120,
        },
        closed=True,
    )
    name: Name = Field(default="", description="Made of the seeds if left out.")
    tracks: list[Identifier] = Field(
        default_factory=list, max_length=MAX_TOP, description="They are in it, the first of them at its beginning."
    )
    users: list[Identifier] = Field(
        default_factory=list, max_length=MAX_SEEDS, description="Whose taste it follows; of several, all alike."
    )
    cluster: Identifier | None = Field(default=None, description="Only tracks of this cluster of the map.")
    length: int | None = Field(default=None, ge=1, le=MAX_TOP, description="Tracks; 25 if no minutes are given either.")
    minutes: float | None = Field(default=None, gt=0, le=6000, description="At most so long.")
    max_per_artist: int | None = Field(default=3, ge=1, le=MAX_TOP, description="Null sets no cap.")
    artist_spacing: int = Field(default=2, ge=0, le=50, description="Tracks between two of one artist.")
    tempo_from: float | None = Field(default=None, gt=0, le=400, description="Beats a minute; seeds are excepted.")
    tempo_to: float | None = Field(default=None, gt=0, le=400)
    exclude: list[Identifier] = Field(default_factory=list, max_length=MAX_TOP)
    unheard: bool = Field(default=False, description="Only what none of the users has heard.")
    ordered: bool = Field(default=True, description="Whether neighbours are to sound alike; else the best come first.")
    arc: Arc = Field(default="none", description="How energy moves: peak is a warm-up, a peak and a cool-down.")
    as_given: bool = Field(
        default=False, description="The tracks are the playlist: nothing is added, left out or moved; for a download."
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Another one varies it.")

    @model_validator(mode="after")
    def _range_is_one(self) -> Self:
        if self.tempo_from is not None and self.tempo_to is not None and self.tempo_from > self.tempo_to:
            raise ValueError(f"tempo_from is {self.tempo_from:g}, expected at most tempo_to, {self.tempo_to:g}")
        return self


class PlaylistAnswer(BaseModel):
    """A playlist in playing order."""

    model_config = with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "name": "Low Tide",
            "made_at": "2026-01-18T10:15:00+00:00",
            "seed": 0,
            "minutes": 71.5,
            "relaxed_rules": ["max_per_artist: 4 instead of 3"],
            "tracks": [TRACK_EXAMPLE],
        }
    )
    bundle: str
    name: str
    made_at: str
    seed: int
    minutes: float = Field(description="Of the tracks whose duration is known.")
    relaxed_rules: list[str] = Field(description="One sentence for each rule that the music at hand could not keep.")
    tracks: list[Track]
