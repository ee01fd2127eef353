"""From rows of the model to what the API shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel
from scipy import sparse

from recommender.errors import UnknownIdError
from recommender.ranking.confidence import ENOUGH_PLAYS
from recommender.ranking.exploration import ExploreConfig, ExploredList, explore
from recommender.ranking.ranker import RecommendOptions, reasons_for, recommend
from recommender.serving.live import Snapshot
from recommender.serving.schemas import Evidence, Recommendations, RecommendedTrack, Track, TrackSignature


def tracks_of(snapshot: Snapshot, rows: Sequence[int] | npt.NDArray[np.integer]) -> list[Track]:
    """Show the tracks of some catalog rows."""
    model = snapshot.model
    ids, columns = model.catalog.tracks.ids, model.catalog.columns
    shown = [int(row) for row in rows]
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
            signature=_signature_of(snapshot, row),
        )
        for row, title, artist, album, duration_s, path, released in zip(
            shown,
            *(
                [columns[name][row] for row in shown]
                for name in ("title", "artist", "album", "duration_s", "path", "released")
            ),
            strict=True,
        )
    ]


def _signature_of(snapshot: Snapshot, row: int) -> TrackSignature | None:
    found = snapshot.signatures.row(row)
    if found is None:
        return None
    return TrackSignature(
        tempo_bpm=round(found.tempo_bpm, 1),
        tempo_confidence=round(found.tempo_confidence, 2),
        rival_bpm=round(found.rival_bpm, 1),
        key=found.key,
        camelot=found.camelot,
        key_confidence=round(found.key_confidence, 2),
        loudness_lufs=round(found.loudness_lufs, 1),
        loudness_confidence=round(found.loudness_confidence, 2),
        brightness_hz=round(found.brightness_hz),
        brightness_confidence=round(found.brightness_confidence, 2),
        density_hz=round(found.density_hz, 2),
        density_confidence=round(found.density_confidence, 2),
        pulse=round(found.pulse, 2),
        pulse_confidence=round(found.pulse_confidence, 2),
    )


def to_json(answer: BaseModel) -> bytes:
    """Return the JSON of an answer that is known to be valid."""
    return answer.__pydantic_serializer__.to_json(answer)


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
    known = ranked.plays_known
    items = [
        RecommendedTrack(
            rank=place + 1,
            track=track,
            score=round(float(score), 4),
            source=source,
            reason=reason,
            confidence=round(float(confidence), 4),
            evidence=evidence_of(track),
            explored=bool(found.explored[place]),
            propensity=float(found.propensities[place]),
        )
        for place, (track, score, source, reason, confidence) in enumerate(
            zip(
                tracks_of(snapshot, ranked.track_rows),
                ranked.scores,
                ranked.sources,
                reasons_for(model, plays, ranked),
                ranked.confidences,
                strict=True,
            )
        )
    ]
    note = f"from {known} track{'s' if known != 1 else ''} played"
    if ranked.basis == "default":
        note = "no plays are known yet: these are popular tracks and new releases by turns, the same for everybody"
    elif ranked.basis == "few plays":
        note += f", which is little: from {ENOUGH_PLAYS} on a taste shows"
    return Recommendations(
        bundle=snapshot.manifest.version,
        user=user,
        basis=ranked.basis,
        note=note,
        plays_known=known,
        unknown_tracks=list(unknown_tracks),
        items=items,
    )


def rehearse(snapshot: Snapshot) -> None:
    """Recommend to somebody once: what is found at the first time, nobody has to wait for then."""
    played = np.flatnonzero(np.diff(snapshot.model.plays.indptr))
    if len(played):
        plays, heard = history(snapshot, snapshot.model.users.ids[played[0]])
        rng = np.random.default_rng(0)
        recommendations_for(
            snapshot, plays, heard, RecommendOptions(), user=None, exploring=ExploreConfig(share=0.1), rng=rng
        )


def history(snapshot: Snapshot, user_id: str) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Return what a user played and heard, each (1, n_tracks).

    Raises
    ------
    UnknownIdError
        If nothing is known of the user.
    """
    model = snapshot.model
    if user_id not in model.users:
        raise UnknownIdError(
            f"unknown user {user_id!r}: none of the {len(model.users)} known; POST /v1/listens makes a user known, "
            "POST /v1/recommendations recommends without one"
        )
    row = model.users.row(user_id)
    return model.plays[row], model.heard[row]
