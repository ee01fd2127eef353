"""Why a track is in a list: which plays pulled it up, what it sounds like, and how much each side weighed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.ranking.confidence import basis_of, confidences
from recommender.ranking.default_list import default_sources
from recommender.ranking.distaste import blame, distaste_of
from recommender.ranking.learned import LEARNED_PARTS, features
from recommender.ranking.listener import Listener, listener_of
from recommender.ranking.model import HybridModel
from recommender.ranking.recommendation import RankedList, Recommendation, Source
from recommender.ranking.scoring import (
    DEFAULT_DISCOVERY,
    PARTS,
    check_block,
    play_weight,
    score_parts,
    sources_of,
    user_vectors,
)
from recommender.ranking.sound import SimilarTrack, clock, matching_seconds, query_of_row, similar_tracks
from recommender.ranking.taste import binary, tastes_of


@dataclass(frozen=True)
class HeldAgainst:
    """A skip or dislike that holds a track back.

    Parameters
    ----------
    track_row : int
        What was skipped or disliked.
    disliked : bool
        False for a skip.
    amount : float
        What it takes from the score, > 0.
    """

    track_row: int
    disliked: bool
    amount: float


@dataclass(frozen=True, eq=False)
class Explanation:
    """All that a score is made of.

    Parameters
    ----------
    track_row : int
    score : float
        The sum of `parts`.
    parts : dict of str to float
        ``factors``, ``neighbours``, ``content``, ``popularity``: what each added to the score. ``distaste``, <= 0: what
        skips and dislikes of tracks like it took away. ``context``, where the model has a learned ranker: what that
        makes of anything else.
    source : str
    reason : str
    taste_weight : float
        What the user's own taste weighs against popularity, 0 to 1; grows with `user_plays`.
    play_weight : float
        What the track's plays weigh against its sound, 0 to 1; grows with `listeners`.
    user_plays, listeners : int
        The evidence.
    cf_score : float
        Dot product of the user's and the track's factors: the sum of `contributions`.
    played_rows : ndarray, shape (m,), int32
        What the user played, largest contribution first.
    contributions : ndarray, shape (m,), float64
        What each play added to `cf_score`.
    sounds_like : tuple of SimilarTrack
        The user's plays that sound most like the track, with the seconds that match: `query_start_s` is in the track.
    held_back_by : tuple of HeldAgainst
        The skips and dislikes behind ``parts["distaste"]``, the largest first; their amounts add up to it.
    held_back_because : str
        One sentence about the largest of them; empty where there is none.
    confidence : float
        See `recommender.ranking.confidence.confidences`.
    """

    track_row: int
    score: float
    parts: dict[str, float]
    source: Source
    reason: str
    taste_weight: float
    play_weight: float
    user_plays: int
    listeners: int
    cf_score: float
    played_rows: npt.NDArray[np.int32]
    contributions: npt.NDArray[np.float64]
    sounds_like: tuple[SimilarTrack, ...]
    held_back_by: tuple[HeldAgainst, ...]
    held_back_because: str
    confidence: float


def explain(
    model: HybridModel,
    plays: sparse.csr_matrix,
    track_row: int,
    neighbours: int = 3,
    *,
    heard: sparse.csr_matrix | None = None,
    distaste: float = 1.0,
    discovery: float = DEFAULT_DISCOVERY,
) -> Explanation:
    """Take the score of one track for one user apart.

    Parameters
    ----------
    model : HybridModel
    plays : csr_matrix, shape (1, n_tracks)
    track_row : int
    neighbours : int
        How many of the plays that sound alike are returned.
    heard : csr_matrix, shape (1, n_tracks), optional
        What was played, skipped or disliked; without it nothing is held against a track.
    distaste, discovery : float in [0, 1]
        As in `RecommendOptions`.

    Returns
    -------
    Explanation
    """
    check_block(model, plays, heard)
    presence = binary(plays)
    tastes = tastes_of(model, plays)
    users = user_vectors(tastes, model.standards, model.blend, discovery)
    parts = score_parts(model, users, 0, np.array([track_row]))
    named_parts = dict(zip(PARTS, map(float, parts[0]), strict=True))
    if model.learned is not None and tastes.known_plays[0]:
        learned = model.learned.parts(features(model, users, 0, plays, np.array([track_row])))[0]
        named_parts = {
            name: named_parts.get(name, 0.0) + float(more) for name, more in zip(LEARNED_PARTS, learned, strict=True)
        }
    contributions = contributions_to(model, plays, np.array([track_row]))[0]
    order = np.argsort(-contributions, kind="stable")
    sounds_like: list[SimilarTrack] = []
    if model.sound is not None and model.has_vector[track_row]:
        others = np.ones(len(model.catalog), dtype=bool)
        others[presence.indices] = False
        others[track_row] = True
        query = query_of_row(model.sound, track_row)
        sounds_like = similar_tracks(model.sound, query, neighbours, np.flatnonzero(others))
    held_back_by = _held_against(model, presence, heard, track_row, distaste)
    lost = sum(held.amount for held in held_back_by)
    known_plays = int(tastes.known_plays[0])
    listed = RankedList(
        np.array([track_row], dtype=np.int32),
        np.array([sum(named_parts.values()) - lost], dtype=np.float32),
        sources_of(parts) if known_plays else default_sources(model, np.array([track_row])),
        confidences(model, known_plays, np.array([track_row])),
        basis_of(known_plays),
        known_plays,
    )
    return Explanation(
        track_row=int(track_row),
        score=float(listed.scores[0]),
        parts=named_parts | {"distaste": 0.0 - lost},
        source=listed.sources[0],
        reason=reasons_for(model, plays, listed)[0],
        taste_weight=float(users.taste_weight[0]),
        play_weight=float(play_weight(model)[track_row]),
        user_plays=known_plays,
        listeners=int(model.evidence[track_row]),
        cf_score=float(contributions.sum()),
        played_rows=presence.indices[order].astype(np.int32),
        contributions=contributions[order],
        sounds_like=tuple(sounds_like),
        held_back_by=held_back_by,
        held_back_because=_held_sentence(model, held_back_by, track_row),
        confidence=float(listed.confidences[0]),
    )


def contributions_to(
    model: HybridModel, plays: sparse.csr_matrix, track_rows: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    """Split the factors' scores among the plays that they come from.

    Parameters
    ----------
    model : HybridModel
    plays : csr_matrix, shape (1, n_tracks)
        m of them above 0.
    track_rows : ndarray, shape (k,), int

    Returns
    -------
    ndarray, shape (k, m), float64
        In the order of the columns of `plays`. Rows add up to the dot products of the user's folded-in factors and the
        tracks' posterior factors.
    """
    return listener_of(model, plays, plays).contributions(track_rows)


def reasons_for(model: HybridModel, plays: sparse.csr_matrix, ranked: RankedList) -> list[str]:
    """Give one sentence for each track of a list.

    Parameters
    ----------
    model : HybridModel
    plays : csr_matrix, shape (1, n_tracks)
        Of the user whose list it is.
    ranked : RankedList

    Returns
    -------
    list of str, length of the list
        The play that contributed most to a CF score; the play that sounds most like a track that its sound put there,
        with the seconds that match;
        how many listeners a popular one has; in a default list, that a track is popular or new.
    """
    return reasons_of(listener_of(model, plays, plays), ranked)


def reasons_of(listener: Listener, ranked: RankedList) -> list[str]:
    """Do what `reasons_for` does, for a listener."""
    model, played = listener.model, listener.played
    if ranked.basis == "default":
        return [_default_sentence(model, int(row)) for row in ranked.track_rows]
    same = ranked.track_rows[:, None] == played
    contributions = np.where(same, -np.inf, listener.contributions(ranked.track_rows))
    alike = model.sound_vectors[ranked.track_rows] @ listener.played_sound.T
    alike[same | ~model.has_vector[played]] = -np.inf
    return [
        _sentence(model, played, row, source, *best)
        for row, source, *best in zip(
            ranked.track_rows.tolist(),
            ranked.sources,
            *_best_of(contributions),
            *_best_of(alike),
            strict=True,
        )
    ]


def _best_of(values: npt.NDArray[np.floating]) -> tuple[list[int], list[float]]:
    """Return the place of each row's largest value, and that value; -1 and -inf where there is none."""
    if not values.shape[1]:
        return [-1] * len(values), [-np.inf] * len(values)
    return values.argmax(axis=1).tolist(), values.max(axis=1).tolist()


def explain_lists(
    model: HybridModel, plays: sparse.csr_matrix, lists: Sequence[RankedList]
) -> list[list[Recommendation]]:
    """Turn ranked lists of users (b, n_tracks) into recommendations with ids and reasons."""
    check_block(model, plays, None)
    return [
        [
            Recommendation(model.catalog.tracks.ids[row], float(score), source, reason, float(confidence))
            for row, score, source, reason, confidence in zip(
                ranked.track_rows,
                ranked.scores,
                ranked.sources,
                reasons_for(model, plays[user], ranked),
                ranked.confidences,
                strict=True,
            )
        ]
        for user, ranked in enumerate(lists)
    ]


def _sentence(
    model: HybridModel,
    played: npt.NDArray[np.integer],
    row: int,
    source: Source,
    pulled: int,
    pull: float,
    sounds: int,
    likeness: float,
) -> str:
    listeners = int(model.evidence[row])
    because = f"because you played {named(model, int(played[pulled]))}" if pull > 0 else ""
    told = source == "content" or (source == "mixed" and pulled != sounds) or (source != "popularity" and not because)
    like = _likeness(model, row, int(played[sounds])) if told and likeness > 0 and model.has_vector[row] else ""
    if source == "content" and like:
        return like if listeners else f"new: {like}"
    if source == "mixed" and because and like:
        return f"{because}, and {like}"
    if source != "popularity" and (because or like):
        return because or like
    if listeners:
        return f"popular: {listeners} listener{'s' if listeners > 1 else ''} played it"
    return "new: nobody has played it yet"


def _likeness(model: HybridModel, row: int, played: int) -> str:
    assert model.sound is not None
    here_s, there_s = matching_seconds(model.sound, query_of_row(model.sound, row), played)
    if here_s is None or there_s is None:
        return f"it sounds like {named(model, played)}"
    return f"it sounds like {named(model, played)} ({clock(here_s)} here, {clock(there_s)} there)"


def _default_sentence(model: HybridModel, row: int) -> str:
    if listeners := int(model.evidence[row]):
        return f"popular here: {listeners} listener{'s' if listeners > 1 else ''} played it"
    released = model.catalog.columns["released"][row]
    return f"new release of {released}" if released else "new: nobody has played it yet"


def _held_sentence(model: HybridModel, held_back_by: tuple[HeldAgainst, ...], track_row: int) -> str:
    if not held_back_by:
        return ""
    first = held_back_by[0]
    verb = "disliked" if first.disliked else "skipped"
    if first.track_row == track_row:
        return f"held back because you {verb} it"
    likeness = "sounds like" if model.has_vector[[track_row, first.track_row]].all() else "is like"
    return f"held back because it {likeness} {named(model, first.track_row)}, which you {verb}"


def _held_against(
    model: HybridModel, plays: sparse.csr_matrix, heard: sparse.csr_matrix | None, track_row: int, strength: float
) -> tuple[HeldAgainst, ...]:
    held = distaste_of(model, plays, heard) if heard is not None and strength else None
    if held is None:
        return ()
    amounts = blame(model, held, np.array([track_row]), strength)[0]
    return tuple(
        HeldAgainst(int(held.track_rows[at]), bool(held.disliked[at]), float(amounts[at]))
        for at in np.argsort(-amounts, kind="stable")
        if amounts[at] > 0
    )


def named(model: HybridModel, row: int) -> str:
    """Return ``Title by Artist``, or the title alone."""
    title, artist = (model.catalog.columns[column][row] for column in ("title", "artist"))
    title = title or model.catalog.tracks.ids[row]
    return f"{title} by {artist}" if artist and artist != title else title
