"""The map of the library and its clusters."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from recommender.serving.schemas.base import with_example
from recommender.serving.schemas.tracks import TRACK_EXAMPLE, Track

CLUSTER_EXAMPLE = {
    "id": "3-9c1f",
    "name": "Slow water",
    "label": "Mirela Voss, Ida Kane",
    "traits": "slower (96 BPM), darker (910 Hz)",
    "size": 41,
    "stability": 0.86,
    "tempo_bpm": 96.0,
    "x": 3021,
    "y": 11200,
    "typical": [TRACK_EXAMPLE],
}


class MapAnswer(BaseModel):
    """Where tracks lie; all lists but `artists` are of the same length, one entry a track."""

    model_config = with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "total": 2,
            "side": 16383,
            "ids": ["t3f9a01c2b4d5e6f7", "t00aa11bb22cc33dd"],
            "x": [120, 16383],
            "y": [0, 9021],
            "cluster": [0, 1],
            "tempo": [96, 0],
            "artist": [0, 0],
            "artists": ["Mirela Voss"],
        }
    )
    bundle: str
    total: int = Field(description="Tracks of the catalog; those of unknown sound are not on the map.")
    side: int = Field(description="Coordinates are whole numbers from 0 to this.")
    ids: list[str]
    x: list[int]
    y: list[int]
    cluster: list[int] = Field(description="Place in the list of clusters.")
    tempo: list[int] = Field(description="Beats a minute; 0 where unknown.")
    artist: list[int] = Field(description="Place in `artists`.")
    artists: list[str]


class Cluster(BaseModel):
    """Tracks that sound alike."""

    model_config = with_example(CLUSTER_EXAMPLE)
    id: str = Field(description="Of this cluster in this bundle.")
    name: str | None = Field(description="What people call it; null until somebody names it.")
    label: str = Field(description="The artists who have most tracks in it.")
    traits: str = Field(description="What sets its tracks apart from the library; empty where nothing does.")
    size: int
    stability: float = Field(description="How surely it is found again in a part of the tracks (Jaccard); from .75 on.")
    tempo_bpm: float | None = Field(description="The middle one of its tracks.")
    x: int = Field(description="The middle of its tracks on the map.")
    y: int
    typical: list[Track] = Field(description="The tracks nearest to its centre.")


class ClusterList(BaseModel):
    """All clusters, the largest first."""

    model_config = with_example({"bundle": "20260118T101500-3fa94c", "items": [CLUSTER_EXAMPLE]})
    bundle: str
    items: list[Cluster]


class ClusterName(BaseModel):
    """What a cluster shall be called."""

    model_config = with_example({"name": "Slow water"}, closed=True)
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$")] = (
        Field(description="Empty takes the name away.")
    )


class ClusterAnswer(BaseModel):
    """One cluster."""

    model_config = with_example({"bundle": "20260118T101500-3fa94c", "cluster": CLUSTER_EXAMPLE})
    bundle: str
    cluster: Cluster


class FanItem(BaseModel):
    """A user who would like a track."""

    model_config = with_example({"user": "u17", "standing": 3.1, "place": 2, "tracks_played": 42})
    user: str
    standing: float = Field(description="The track's score in this user's standard deviations over the mean track.")
    place: int = Field(description="Its place among everything that the user has not heard, from 1.")
    tracks_played: int


class Fans(BaseModel):
    """Who would like a track, those first for whom it stands out most."""

    model_config = with_example(
        {
            "bundle": "20260118T101500-3fa94c",
            "track": TRACK_EXAMPLE,
            "tracks": 500,
            "items": [{"user": "u17", "standing": 3.1, "place": 2, "tracks_played": 42}],
        }
    )
    bundle: str
    track: Track
    tracks: int = Field(description="How many tracks the catalog has.")
    items: list[FanItem]


SHARES_EXAMPLE = {"track": "t3f9a01c2b4d5e6f7", "listeners": 0.62, "sound": 0.3, "popularity": 0.08}


class Shares(BaseModel):
    """What a track rests on for a user; the three sum to 1."""

    model_config = with_example(SHARES_EXAMPLE)
    track: str
    listeners: float = Field(description="What others who listen alike play.")
    sound: float
    popularity: float


class SharesAnswer(BaseModel):
    """What tracks rest on for a user."""

    model_config = with_example({"bundle": "20260118T101500-3fa94c", "user": "u17", "items": [SHARES_EXAMPLE]})
    bundle: str
    user: str
    items: list[Shares]
