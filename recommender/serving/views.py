"""From rows of the model to what the API shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.ranking.exploration import ExploreConfig, ExploredList, explore
from recommender.ranking.ranker import HybridModel, RecommendOptions, reasons_for, recommend
from recommender.serving.live import Snapshot
from recommender.serving.schemas import Evidence, Recommendations, RecommendedTrack, Track


def tracks_of(snapshot: Snapshot, rows: Sequence[int] | npt.NDArray[np.integer]) -> list[Track]:
    """Show the tracks of some catalog rows."""
    model = snapshot.model
    table = model.catalog.table.iloc[np.asarray(rows, dtype=np.int64)]
    ids = model.catalog.tracks.ids
    has_vector = model.has_vector
    return [
        Track(
            id=ids[row],
            title=title or ids[row],
            artist=artist,
            album=album,
            duration_s=None if math.isnan(duration_s) else round(duration_s, 2),
            released=released,
            listeners=int(model.evidence[row]),
            playable=path != "",
            heard_by_model=bool(has_vector[row]),
            uploaded=ids[row] in snapshot.upload_ids,
        )
        for row, title, artist, album, duration_s, path, released in zip(
            map(int, rows),
            *(table[column] for column in ("title", "artist", "album", "duration_s", "path", "released")),
            strict=True,
        )
    ]


def evidence_of(track: Track) -> Evidence:
    """Return what is known about a track."""
    return Evidence(listeners=track.listeners, sound_known=track.heard_by_model)


def recommendations_for(
    snapshot: Snapshot,
    plays: sparse.csr_matrix,
    heard: sparse.csr_matrix,
    options: RecommendOptions,
    *,
    user: str | None,
    unknown_tracks: Sequence[str] = (),
    exploring: ExploreConfig | None = None,
    rng: np.random.Generator | None = None,
) -> Recommendations:
    """Recommend to one user.

    Parameters
    ----------
    plays, heard : csr_matrix, shape (1, n_tracks)
    exploring : ExploreConfig, optional
        What part of the list tries something; nothing if None.
    rng : Generator, optional
        Draws what is tried; needed where something is.
    """
    model = snapshot.model
    ranked = recommend(model, plays, heard, options)[0]
    found = ExploredList(ranked, np.ones(len(ranked)), np.zeros(len(ranked), dtype=bool))
    if exploring is not None and exploring.share > 0 and rng is not None:
        found = explore(model, snapshot.uncertainty, plays, heard, ranked, options, exploring, rng)
        ranked = found.ranked
    known = informative_plays(model, plays)
    items = [
        RecommendedTrack(
            rank=place + 1,
            track=track,
            score=round(float(score), 4),
            source=source,
            reason=reason,
            evidence=evidence_of(track),
            explored=bool(found.explored[place]),
            propensity=float(found.propensities[place]),
        )
        for place, (track, score, source, reason) in enumerate(
            zip(
                tracks_of(snapshot, ranked.track_rows),
                ranked.scores,
                ranked.sources,
                reasons_for(model, plays, ranked),
                strict=True,
            )
        )
    ]
    played = f"{known} track{'s' if known != 1 else ''} played"
    note = f"from {played}" if known else "no plays are known yet: these are the tracks that most listeners play"
    return Recommendations(
        bundle=snapshot.manifest.version,
        user=user,
        basis="plays" if known else "popularity",
        note=note,
        plays_known=known,
        unknown_tracks=list(unknown_tracks),
        items=items,
    )


def informative_plays(model: HybridModel, plays: sparse.csr_matrix) -> int:
    """Return how many of a user's tracks, plays (1, n_tracks), the model knows by their listeners or their sound."""
    rows = plays.indices[plays.data > 0]
    return int(np.count_nonzero((model.evidence[rows] > 0) | model.has_vector[rows]))


def clock(seconds: float) -> str:
    """Return minutes and seconds.

    Examples
    --------
    >>> clock(64.6)
    '1:04'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
