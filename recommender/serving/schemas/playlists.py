"""Playlists from seeds and rules."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from recommender.playlists.energy import Arc
from recommender.playlists.rules import SOFT, VARIETY, RelaxableRule
from recommender.serving.schemas.base import MAX_TOP, Identifier, with_example
from recommender.serving.schemas.tracks import TRACK_EXAMPLE, Track

MAX_SEEDS = 100
Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Camelot = Annotated[str, StringConstraints(pattern=r"^(1[0-2]|[1-9])[ABab]$")]
Year = Annotated[int, Field(ge=0, le=9999)]
Energy = Annotated[float, Field(ge=0, le=1)]
Tempo = Annotated[float, Field(gt=0, le=400)]


class PlaylistRequest(BaseModel):
    """What a playlist starts from, and what it has to look like; with nothing at all it starts from what is popular.

    Tracks that are named, in `tracks` and `include`, are in it whatever their tempo, key, energy, year and genre.
    """

    model_config = with_example(
        {
            "tracks": ["t3f9a01c2b4d5e6f7"],
            "users": ["u17", "u3"],
            "minutes": 90,
            "max_per_artist": 2,
            "tempo_from": 90,
            "tempo_to": 120,
            "genre": ["rock"],
            "soft": ["tempo", "max_per_artist", "artist_spacing"],
        },
        closed=True,
    )
    name: Name = Field(default="", description="Made of the seeds if left out.")
    tracks: list[Identifier] = Field(
        default_factory=list,
        max_length=MAX_TOP,
        description="They are in it, the first of them at its beginning; uploads too, by their id.",
    )
    artists: list[Identifier] = Field(
        default_factory=list, max_length=MAX_SEEDS, description="By name; one track at least of each is in it."
    )
    users: list[Identifier] = Field(
        default_factory=list,
        max_length=MAX_SEEDS,
        description="Whose taste it follows. Of several, a track counts half by everybody's mean and half by whoever "
        "likes it least; what one of them hates is not in it.",
    )
    cluster: Identifier | None = Field(default=None, description="Only tracks of this cluster of the map.")
    to: Identifier | None = Field(
        default=None,
        description="A path: from the one track in `tracks` to this one, in `length` steps that each sound alike; of "
        "the rules, only `exclude` goes with it.",
    )
    length: int | None = Field(default=None, ge=1, le=MAX_TOP, description="Tracks; 25 if no minutes are given either.")
    minutes: float | None = Field(default=None, gt=0, le=6000, description="At most so long.")
    max_per_artist: int | None = Field(default=3, ge=1, le=MAX_TOP, description="Null sets no cap.")
    artist_spacing: int = Field(default=2, ge=0, le=50, description="Tracks between two of one artist.")
    album_spacing: int = Field(default=0, ge=0, le=50, description="Tracks between two of one album.")
    tempo_from: Tempo | None = Field(default=None, description="Beats a minute; what is named is excepted.")
    tempo_to: Tempo | None = None
    key: list[Camelot] = Field(
        default_factory=list,
        max_length=24,
        description="Places on the Camelot wheel, such as 8A: what is there or one step away from one of them fits.",
    )
    energy_from: Energy | None = Field(default=None, description="In shares of the library that have less of it.")
    energy_to: Energy | None = None
    year_from: Year | None = None
    year_to: Year | None = None
    genre: list[Name] = Field(
        default_factory=list, max_length=50, description="One of these words is, or is in, one of the track's genres."
    )
    include: list[Identifier] = Field(
        default_factory=list, max_length=MAX_TOP, description="They must be in it, and say nothing of its taste."
    )
    exclude: list[Identifier] = Field(default_factory=list, max_length=MAX_TOP)
    exclude_artists: list[Identifier] = Field(default_factory=list, max_length=MAX_TOP)
    exclude_genres: list[Name] = Field(default_factory=list, max_length=50)
    unheard: bool = Field(default=False, description="Only what none of the users has heard.")
    not_played_days: float | None = Field(
        default=None,
        gt=0,
        le=36_500,
        description="Not what one of the users played in so many days, as far as this server was told of it.",
    )
    variety: float = Field(default=VARIETY, ge=0, le=1, description="How unlike each other its tracks are to be.")
    soft: list[RelaxableRule] = Field(
        default_factory=lambda: sorted(SOFT),
        max_length=20,
        description="Rules that may give way where tracks are missing, always in this order: energy, key, tempo, year, "
        "genre, max_per_artist, recent (not_played_days), unheard, album_spacing, artist_spacing. All others hold.",
    )
    ordered: bool = Field(default=True, description="Whether neighbours are to sound alike; else the best come first.")
    arc: Arc = Field(default="none", description="How energy moves: peak is a warm-up, a peak and a cool-down.")
    as_given: bool = Field(
        default=False, description="The tracks are the playlist: nothing is added, left out or moved; for a download."
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Another one varies it.")

    @model_validator(mode="after")
    def _ranges_have_a_lower_end(self) -> Self:
        for name in ("tempo", "energy", "year"):
            low, high = getattr(self, f"{name}_from"), getattr(self, f"{name}_to")
            if low is not None and high is not None and low > high:
                raise ValueError(f"{name}_from is {low:g}, expected at most {name}_to, {high:g}")
        return self

    @model_validator(mode="after")
    def _path_has_one_start(self) -> Self:
        if self.to is not None and len(self.tracks) != 1:
            raise ValueError(f"a path to a track starts from one, expected 1 in tracks, found {len(self.tracks)}")
        return self


class RelaxedRule(BaseModel):
    """A rule that gave way."""

    rule: str
    asked: str
    given: str
    tracks: int = Field(description="That do not keep it as it was asked for.")
    reason: str


class UserShare(BaseModel):
    """What a playlist for several has for one of them."""

    user: str
    fit: float = Field(
        description="How much of the library suits the user less than these tracks do, 0 to 1; .5 is chance."
    )
    tracks: int = Field(description="That are in the tenth of the library that suits the user best.")


class PlaylistAnswer(BaseModel):
    """A playlist in playing order."""

    model_config = with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "name": "Low Tide",
            "made_at": "2026-01-18T10:15:00+00:00",
            "seed": 0,
            "minutes": 71.5,
            "relaxed_rules": [
                "tempo: 86 to 124 BPM instead of between 90 and 120 BPM (4 tracks), "
                "since there are only 16 of 20 tracks without"
            ],
            "relaxed": [
                {
                    "rule": "tempo",
                    "asked": "between 90 and 120 BPM",
                    "given": "86 to 124 BPM",
                    "tracks": 4,
                    "reason": "since there are only 16 of 20 tracks without",
                }
            ],
            "shortage": "",
            "shares": [{"user": "u17", "fit": 0.91, "tracks": 14}, {"user": "u3", "fit": 0.84, "tracks": 9}],
            "tracks": [TRACK_EXAMPLE],
        }
    )
    bundle: str
    name: str
    made_at: str
    seed: int
    minutes: float = Field(description="Of the tracks whose duration is known.")
    relaxed_rules: list[str] = Field(
        description="One sentence for each rule that the music at hand could not keep, and for what made it short."
    )
    relaxed: list[RelaxedRule] = Field(description="The rules that gave way, in figures.")
    shortage: str = Field(description="What made it shorter than was asked for; empty where it is not.")
    shares: list[UserShare] = Field(description="What it has for each user, where there are several.")
    tracks: list[Track]
