"""What happened since the training: plays, verdicts, uploads. Nothing is fitted again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import DISLIKED, Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError, VersionError
from recommender.models.als import play_confidence
from recommender.models.cold_start import posterior_track_factors, predict_prior
from recommender.models.factors import Factors
from recommender.ranking.model import Float32s, HybridModel, known_artists
from recommender.ranking.sound import place_clips, to_unit
from recommender.ranking.taste import fold_in


def with_live_plays(model: HybridModel, plays: Interactions) -> HybridModel:
    """Take plays in that arrived after the training.

    The posterior factors and the evidence of the tracks that were played or skipped are solved again from all their
    plays; every other track keeps its row. Users that the model does not know are appended and folded in.

    Parameters
    ----------
    model : HybridModel
    plays : Interactions
        Over the model's tracks; any users. Pairs that the model has already may come again.

    Returns
    -------
    HybridModel

    Raises
    ------
    DataError
        If the tracks are not the model's.
    """
    if plays.tracks != model.catalog.tracks:
        raise DataError("live plays have other tracks than the model; build them with the model's catalog")
    if len(plays) == 0:
        return model
    users = _with_users(model.users, plays.users)
    rows = users.rows(plays.users, unknown="raise")
    touched_tracks = np.unique(plays.track_rows)
    touched_users = np.unique(rows[plays.user_rows])
    own = np.searchsorted(touched_users, rows)
    shape = (len(touched_users), len(model.catalog))
    more_plays, more_heard = (_place(matrix, own, shape) for matrix in (plays.to_csr(), plays.heard()))
    played, heard = _grown(model.plays, len(users)), _grown(model.heard, len(users))
    their_heard = _joined(heard[touched_users], more_heard)
    their_plays = without_disliked(played[touched_users] + more_plays, their_heard)
    all_heard = _spliced(heard, touched_users, their_heard)
    all_plays = _spliced(played, touched_users, their_plays)
    columns = _confidence_in(all_plays, touched_tracks, model.factors.config.play_emphasis)
    evidence = model.evidence.copy()
    evidence[touched_tracks] = np.bincount(columns.indices, minlength=len(touched_tracks))
    user_factors = np.zeros((len(users), model.factors.dim), dtype=np.float32)
    user_factors[: len(model.users)] = model.factors.user_factors
    # new tracks count by their sound here, not by what live plays made of them: the same plays give the same answer
    by_sound = replace(model, posterior_factors=model.prior_means * np.float32(model.posterior.scale))
    emphasis = model.factors.config.play_emphasis
    before = user_factors[touched_users].astype(np.float64)
    user_factors[touched_users] = fold_in(by_sound, play_confidence(their_plays, emphasis))
    after = user_factors[touched_users].astype(np.float64)
    user_gram = model.user_gram + after.T @ after - before.T @ before
    posterior_factors = model.posterior_factors
    if model.knows_plays:
        posterior_factors = posterior_factors.copy()
        posterior_factors[touched_tracks] = posterior_track_factors(
            columns,
            user_factors,
            model.prior_means[touched_tracks],
            model.has_vector[touched_tracks],
            model.factors.config,
            model.posterior,
            gram=user_gram,
        )
    factors = Factors(users, model.factors.tracks, user_factors, model.factors.track_factors, model.factors.config)
    live = replace(
        model,
        users=users,
        plays=all_plays,
        heard=all_heard,
        evidence=evidence,
        factors=factors,
        posterior_factors=posterior_factors,
        index=model.retrieval,
        changed_rows=np.union1d(model.changed_rows, touched_tracks).astype(np.int32),
    )
    live.__dict__["user_gram"] = user_gram  # where cached_property keeps it: summing it anew reads all users
    return live


def with_feedback(model: HybridModel, feedback: Interactions) -> HybridModel:
    """Take in what listeners said of tracks: it changes what is known of them, and nothing else.

    Evidence and factors stay as they are, so that a verdict that is taken back leaves no trace.

    Parameters
    ----------
    model : HybridModel
    feedback : Interactions
        Over the model's tracks; any users. At most one of a user and track, of weight 1: loved, so counted as more than
        the user's most played; `DISLIKED`: no longer among the plays; or 0: taken back, so that no skip and no dislike
        stands.

    Returns
    -------
    HybridModel

    Raises
    ------
    DataError
        If the tracks are not the model's.
    """
    if feedback.tracks != model.catalog.tracks:
        raise DataError("feedback is on other tracks than the model's; build it with the model's catalog")
    if len(feedback) == 0:
        return model
    users = _with_users(model.users, feedback.users)
    all_rows, columns = users.rows(feedback.users, unknown="raise")[feedback.user_rows], feedback.track_rows
    touched, rows = np.unique(all_rows, return_inverse=True)
    everyones = _grown(model.plays, len(users)), _grown(model.heard, len(users))
    plays, heard = (matrix[touched] for matrix in everyones)
    played_before = np.asarray(plays[rows, columns]).ravel()
    most_played = np.asarray(plays.max(axis=1).todense()).ravel()[rows] if plays.nnz else np.zeros(len(rows))
    loved = np.maximum(np.maximum(played_before, most_played), 1) + 1
    played = np.select([feedback.weights > 0, feedback.weights < 0], [loved, 0], played_before)
    knows = np.where(feedback.weights != 0, feedback.weights, played > 0)
    factors = replace(
        model.factors, users=users, user_factors=_longer(model.factors.user_factors, len(users) - len(model.users))
    )
    return replace(
        model,
        users=users,
        plays=_spliced(everyones[0], touched, _with_values(plays, rows, columns, played)),
        heard=_spliced(everyones[1], touched, _with_values(heard, rows, columns, knows)),
        factors=factors,
        index=model.retrieval,
    )


def with_new_tracks(model: HybridModel, new: Catalog, embeddings: Embeddings | None = None) -> HybridModel:
    """Append tracks that were uploaded after the training; they are recommendable at once.

    Their factors are predicted from their embeddings; the rows of all other tracks stay as they were.

    Parameters
    ----------
    model : HybridModel
    new : Catalog
        Tracks that the model does not have.
    embeddings : Embeddings, optional
        Raw vectors of those tracks, and of their clips, by the network that the model's were made by. A track without
        one can be found and played, and waits for its first plays.

    Returns
    -------
    HybridModel

    Raises
    ------
    DataError
        If a track is in the model already.
    VersionError
        If the embeddings were made by another network.
    """
    known = [identifier for identifier in new.tracks if identifier in model.catalog.tracks]
    if known:
        raise DataError(f"track {known[0]!r} is in the model already; only new tracks can be appended")
    if embeddings is not None and model.sound is not None and embeddings.version != model.sound.version:
        raise VersionError(
            f"the new tracks' embeddings are of version {embeddings.version!r}, the model's of "
            f"{model.sound.version!r}: embed them with the model's own network"
        )
    table = pd.concat([model.catalog.table, new.table], ignore_index=True)
    catalog = Catalog(Vocabulary("track", model.catalog.tracks.ids + new.tracks.ids), table)
    count, sound = len(new), model.sound
    means = np.zeros((count, model.prior_means.shape[1]), dtype=np.float32)
    if sound is not None:
        raw, has_vector = np.zeros((count, len(sound.center)), dtype=np.float32), np.zeros(count, dtype=bool)
        clip_vectors, clip_tracks, clip_starts_s = sound.clip_vectors, sound.clip_tracks, sound.clip_starts_s
        if embeddings is not None:
            raw, has_vector = embeddings.of(new.tracks)
            more_vectors, more_rows, more_starts_s = place_clips(sound, embeddings, new.tracks)
            clip_vectors = np.vstack([clip_vectors, more_vectors])
            clip_tracks = np.r_[clip_tracks, more_rows + np.int32(len(model.catalog))].astype(np.int32)
            clip_starts_s = np.r_[clip_starts_s, more_starts_s]
        if model.prior is not None and has_vector.any():
            means[has_vector] = predict_prior(
                model.prior, raw[has_vector], known_artists(catalog)[len(model.catalog) :][has_vector]
            )
        sound = replace(
            sound,
            vectors=np.vstack([sound.vectors, np.where(has_vector[:, None], to_unit(sound, raw), np.float32(0))]),
            has_vector=np.r_[sound.has_vector, has_vector],
            clip_vectors=clip_vectors,
            clip_tracks=clip_tracks,
            clip_starts_s=clip_starts_s,
        )
    factors = replace(model.factors, tracks=catalog.tracks, track_factors=_longer(model.factors.track_factors, count))
    return replace(
        model,
        catalog=catalog,
        plays=_wider(model.plays, count),
        heard=_wider(model.heard, count),
        evidence=np.r_[model.evidence, np.zeros(count, dtype=np.float32)],
        factors=factors,
        neighbours=_wider(_grown(model.neighbours, len(catalog)), count),
        posterior_factors=np.vstack([model.posterior_factors, means * np.float32(model.posterior.scale)]),
        prior_means=np.vstack([model.prior_means, means]),
        sound=sound,
        index=model.retrieval,
        changed_rows=np.r_[model.changed_rows, np.arange(len(model.catalog), len(catalog))].astype(np.int32),
    )


def without_users(model: HybridModel, user_ids: Collection[str]) -> HybridModel:
    """Take users out who want to be forgotten; what the tracks' factors have learned from them stays.

    Parameters
    ----------
    model : HybridModel
    user_ids : collection of str

    Returns
    -------
    HybridModel
    """
    if not user_ids:
        return model
    kept = np.flatnonzero(~np.isin(np.array(model.users.ids, dtype=object), list(user_ids)))
    users = Vocabulary("user", tuple(model.users.ids_of(kept)))
    factors = replace(model.factors, users=users, user_factors=np.ascontiguousarray(model.factors.user_factors[kept]))
    plays, heard = (sparse.csr_matrix(matrix[kept]) for matrix in (model.plays, model.heard))
    return replace(model, users=users, plays=plays, heard=heard, factors=factors, index=model.retrieval)


def _with_users(users: Vocabulary, more: Vocabulary) -> Vocabulary:
    """Return the users with those appended that are not yet among them."""
    if users.known(more).all():
        return users
    return Vocabulary("user", users.ids + tuple(identifier for identifier in more if identifier not in users))


def without_disliked(plays: sparse.csr_matrix, heard: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return the plays without those of disliked pairs, as `Interactions.to_csr` would have them."""
    disliked = heard == DISLIKED
    kept = sparse.csr_matrix(plays - plays.multiply(disliked)) if disliked.nnz else sparse.csr_matrix(plays)
    kept.eliminate_zeros()
    kept.sort_indices()
    return kept


def _joined(heard: sparse.csr_matrix, more: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return 1 for what was heard by either, `DISLIKED` for what is disliked by either."""
    either = ((heard != 0) + (more != 0)).astype(np.float32)
    disliked = ((heard == DISLIKED) + (more == DISLIKED)).astype(np.float32)
    joined = sparse.csr_matrix(either + (DISLIKED - 1) * disliked, dtype=np.float32)
    joined.sort_indices()
    return joined


def _with_values(
    matrix: sparse.csr_matrix,
    rows: npt.NDArray[np.integer],
    columns: npt.NDArray[np.integer],
    values: npt.NDArray[np.floating],
) -> sparse.csr_matrix:
    """Return the matrix with other values at some places, each named once; zeros are no entries."""
    named = sparse.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=matrix.shape)
    changed = matrix - matrix.multiply(named) + sparse.csr_matrix((values, (rows, columns)), shape=matrix.shape)
    changed = sparse.csr_matrix(changed, dtype=np.float32)
    changed.eliminate_zeros()
    changed.sort_indices()
    return changed


def _place(matrix: sparse.csr_matrix, rows: npt.NDArray[np.integer], shape: tuple[int, int]) -> sparse.csr_matrix:
    """Return a matrix of `shape` with the rows of `matrix` at the given places."""
    entries = matrix.tocoo()
    return sparse.csr_matrix((entries.data, (rows[entries.row], entries.col)), shape=shape, dtype=np.float32)


def _grown(matrix: sparse.csr_matrix, n_rows: int) -> sparse.csr_matrix:
    """Return the matrix with empty rows added at the end."""
    indptr = np.r_[matrix.indptr, np.full(n_rows - matrix.shape[0], matrix.indptr[-1])]
    return sparse.csr_matrix((matrix.data, matrix.indices, indptr), (n_rows, matrix.shape[1]))


def _confidence_in(plays: sparse.csr_matrix, track_rows: npt.NDArray[np.integer], emphasis: float) -> sparse.csr_matrix:
    """Return the weights of all plays of some tracks, (n_users, n); a user's depend on all that the user played."""
    places = np.flatnonzero(np.isin(plays.indices, track_rows.astype(plays.indices.dtype)))
    users = np.unique(np.searchsorted(plays.indptr, places, side="right") - 1)
    mine = play_confidence(plays[users], emphasis)[:, track_rows].tocoo()
    return sparse.csr_matrix((mine.data, (users[mine.row], mine.col)), shape=(plays.shape[0], len(track_rows)))


def _spliced(
    matrix: sparse.csr_matrix, rows: npt.NDArray[np.integer], replaced: sparse.csr_matrix
) -> sparse.csr_matrix:
    """Return the matrix with some rows, ascending, in place of its own: nothing is done but copying."""
    counts = np.diff(matrix.indptr)
    counts[rows] = np.diff(replaced.indptr)
    indptr = np.r_[0, np.cumsum(counts)].astype(matrix.indptr.dtype)
    data, indices = [], []
    at = 0
    for place, row in enumerate(rows):
        mine = slice(replaced.indptr[place], replaced.indptr[place + 1])
        data += [matrix.data[at : matrix.indptr[row]], replaced.data[mine]]
        indices += [matrix.indices[at : matrix.indptr[row]], replaced.indices[mine]]
        at = matrix.indptr[row + 1]
    values = np.concatenate([*data, matrix.data[at:]])
    columns = np.concatenate([*indices, matrix.indices[at:]]).astype(matrix.indices.dtype)
    return sparse.csr_matrix((values, columns, indptr), shape=matrix.shape)


def _wider(matrix: sparse.csr_matrix, count: int) -> sparse.csr_matrix:
    shape = (matrix.shape[0], matrix.shape[1] + count)
    return sparse.csr_matrix((matrix.data, matrix.indices, matrix.indptr), shape=shape)


def _longer(vectors: Float32s, count: int) -> Float32s:
    return np.vstack([vectors, np.zeros((count, vectors.shape[1]), dtype=np.float32)])
