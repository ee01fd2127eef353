"""From rows of the model to what the API shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from fastapi import Response
from fastapi.concurrency import run_in_threadpool
from pydantic_core import to_json
from scipy import sparse

from recommender.errors import UnknownIdError
from recommender.ranking.confidence import ENOUGH_PLAYS
from recommender.ranking.explain import reasons_of
from recommender.ranking.exploration import ExploreConfig
from recommender.ranking.listener import Listener
from recommender.ranking.prepared import is_prepared, prepare, recommend_and_explore
from recommender.ranking.ranker import RecommendOptions, listener_of_user
from recommender.serving.live import Snapshot
from recommender.serving.schemas import Evidence, Track

QUICK_TOP = 50
"""Longer lists are made in a thread: choosing hundreds of unlike tracks takes a while."""


def tracks_of(snapshot: Snapshot, rows: Sequence[int] | npt.NDArray[np.integer]) -> list[Track]:
    """Show the tracks of some catalog rows."""
    return [Track(**values) for values in track_values(snapshot, rows)]


def track_values(snapshot: Snapshot, rows: Sequence[int] | npt.NDArray[np.integer]) -> list[dict[str, Any]]:
    """Return the fields of `Track` for some catalog rows."""
    model = snapshot.model
    at = np.asarray(rows, dtype=np.int64)
    ids, texts = model.catalog.tracks.ids, model.catalog.columns
    shown: list[int] = at.tolist()
    numbers = zip(
        shown,
        [texts["duration_s"][row] for row in shown],
        model.evidence[at].tolist(),
        model.has_vector[at].tolist(),
        strict=True,
    )
    return [
        {
            "id": ids[row],
            "title": texts["title"][row] or ids[row],
            "artist": texts["artist"][row],
            "album": texts["album"][row],
            "duration_s": None if math.isnan(duration_s) else round(duration_s, 2),
            "released": texts["released"][row],
            "listeners": int(listeners),
            "playable": texts["path"][row] != "",
            "heard_by_model": has_vector,
            "uploaded": ids[row] in snapshot.upload_ids,
            "signature": _signature_of(snapshot, row),
        }
        for row, duration_s, listeners, has_vector in numbers
    ]


def _signature_of(snapshot: Snapshot, row: int) -> dict[str, Any] | None:
    found = snapshot.signatures.row(row)
    if found is None:
        return None
    return {
        "tempo_bpm": round(found.tempo_bpm, 1),
        "tempo_confidence": round(found.tempo_confidence, 2),
        "rival_bpm": round(found.rival_bpm, 1),
        "key": found.key,
        "camelot": found.camelot,
        "key_confidence": round(found.key_confidence, 2),
        "loudness_lufs": round(found.loudness_lufs, 1),
        "loudness_confidence": round(found.loudness_confidence, 2),
        "brightness_hz": float(round(found.brightness_hz)),
        "brightness_confidence": round(found.brightness_confidence, 2),
        "density_hz": round(found.density_hz, 2),
        "density_confidence": round(found.density_confidence, 2),
        "pulse": round(found.pulse, 2),
        "pulse_confidence": round(found.pulse_confidence, 2),
    }


def evidence_of(track: Track) -> Evidence:
    """Return what is known about a track."""
    return Evidence(listeners=track.listeners, sound_known=track.heard_by_model)


def recommendations_for(
    snapshot: Snapshot,
    listener: Listener,
    options: RecommendOptions,
    *,
    user: str | None,
    unknown_tracks: Sequence[str] = (),
    exploring: ExploreConfig | None = None,
    rng: np.random.Generator | None = None,
) -> dict[str, Any]:
    """Recommend to one user.

    Parameters
    ----------
    listener : Listener
        Made with ``options.discovery``.
    exploring : ExploreConfig, optional
        What part of the list tries something; nothing if None.
    rng : Generator, optional
        Draws what is tried; needed where something is.

    Returns
    -------
    dict
        The fields of `Recommendations`.
    """
    found = recommend_and_explore(listener, options, exploring, rng)
    ranked = found.ranked
    known, tracks = ranked.plays_known, track_values(snapshot, ranked.track_rows)
    items = [
        {
            "rank": place,
            "track": track,
            "score": round(score, 4),
            "source": source,
            "reason": reason,
            "confidence": round(confidence, 4),
            "evidence": {"listeners": track["listeners"], "sound_known": track["heard_by_model"]},
            "explored": tried,
            "propensity": propensity,
        }
        for place, track, score, source, reason, confidence, tried, propensity in zip(
            range(1, len(tracks) + 1),
            tracks,
            ranked.scores.tolist(),
            ranked.sources,
            reasons_of(listener, ranked),
            ranked.confidences.tolist(),
            found.explored.tolist(),
            found.propensities.tolist(),
            strict=True,
        )
    ]
    note = f"from {known} track{'s' if known != 1 else ''} played"
    if ranked.basis == "default":
        note = "no plays are known yet: these are popular tracks and new releases by turns, the same for everybody"
    elif ranked.basis == "few plays":
        note += f", which is little: from {ENOUGH_PLAYS} on a taste shows"
    return {
        "bundle": snapshot.manifest.version,
        "user": user,
        "basis": ranked.basis,
        "note": note,
        "plays_known": known,
        "unknown_tracks": list(unknown_tracks),
        "items": items,
    }


def json_answer(values: dict[str, Any]) -> Response:
    """Write the fields of an answer as they are: what makes them keeps to the schema that the route names."""
    return Response(to_json(values), media_type="application/json")


def is_quick(snapshot: Snapshot, top: int = 0) -> bool:
    """Tell whether an answer takes a millisecond or few, so that it is best made where it is asked for.

    Long lists take longer, and so does the first of a model, for which much is found out once.
    """
    return top <= QUICK_TOP and is_prepared(snapshot.model)


async def at_once(make: Callable[[], Response], snapshot: Snapshot, top: int = 0) -> Response:
    """Make an answer here and now where that is quick, else in a thread."""
    return make() if is_quick(snapshot, top) else await run_in_threadpool(make)


def rehearse(snapshot: Snapshot) -> None:
    """Find out what all answers have in common, and make one: nobody has to wait for what the first one takes."""
    model = snapshot.model
    prepare(model)
    for user in np.flatnonzero(np.diff(model.plays.indptr))[:1].tolist():
        exploring, rng = ExploreConfig(share=0.1), np.random.default_rng(0)
        listener = listener_of_user(model, user)
        recommendations_for(snapshot, listener, RecommendOptions(), user=None, exploring=exploring, rng=rng)


def history(snapshot: Snapshot, user_id: str) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Return what a user played and heard, each (1, n_tracks).

    Raises
    ------
    UnknownIdError
        If nothing is known of the user.
    """
    row = user_row(snapshot, user_id)
    return snapshot.model.plays[row], snapshot.model.heard[row]


def user_row(snapshot: Snapshot, user_id: str) -> int:
    """Return a user's row.

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
    return model.users.row(user_id)
