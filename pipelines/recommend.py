"""Recommend with a workspace's current bundle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from pipelines import console
from pipelines.workspace import Workspace
from recommender.audio.signatures import Signatures
from recommender.data.progress import Progress, silent
from recommender.data.table_stream import write_frames
from recommender.data.tables import read_interactions, read_tracks
from recommender.errors import DataError
from recommender.ranking.confidence import Basis
from recommender.ranking.ranker import (
    HybridModel,
    RecommendOptions,
    reasons_for,
    recommend,
)
from recommender.ranking.recommendation import ARTIST_GAP, CALIBRATION, DIVERSITY
from recommender.serving.bundle import Manifest, current_bundle, load_bundle
from recommender.serving.hearing import Hearing
from recommender.serving.live import Live
from recommender.serving.store import Store

BLOCK_USERS = 2000
BASIS: dict[Basis, str] = {
    "taste": "by taste, {plays} tracks played",
    "few plays": "by few plays, {plays} known",
    "default": "no plays are known, so the default: popular and new by turns",
}


@dataclass(frozen=True, eq=False)
class Current:
    """A workspace's current bundle with everything that came in since.

    Parameters
    ----------
    manifest : Manifest
    model : HybridModel
    hearing : Hearing
    signatures : Signatures or None
        In the rows of the model's catalog.
    is_bundle : bool
        Whether nothing came in since.
    """

    manifest: Manifest
    model: HybridModel
    hearing: Hearing
    signatures: Signatures | None
    is_bundle: bool = True


def load_current(workspace: Workspace) -> Current:
    """Load the current bundle, and the listens and uploads of the store."""
    bundle = load_bundle(current_bundle(workspace.bundles))
    hearing = Hearing(bundle)
    if not workspace.has_store:
        return Current(bundle.manifest, bundle.model, hearing, bundle.signatures)
    with closing(Store.open(workspace.store_url)) as store:
        live = Live(bundle, store, hearing, workspace.uploads, refresh_s=np.inf)
        now = live.peek()
        return Current(bundle.manifest, now.model, hearing, now.signatures, now.model is bundle.model)


def run(
    workspace: Workspace,
    *,
    user: str | None,
    history: Path | None,
    top: int,
    candidates: Path | None,
    include_heard: bool,
    max_per_artist: int | None,
    out: Path | None,
    artist_gap: int = ARTIST_GAP,
    diversity: float = DIVERSITY,
    calibration: float = CALIBRATION,
    discovery: float = 0.5,
    popularity: float = 0.0,
    distaste: float = 1.0,
) -> None:
    """Recommend to one user, to the users of a history file, or to everyone, and print or write the lists.

    What a list should look like is told in `RecommendOptions`.

    Raises
    ------
    UnknownIdError
        If the user has no plays in the workspace.
    DataError
        If no candidate or no played track is known.
    """
    model = load_current(workspace).model
    options = RecommendOptions(
        top=top,
        include_heard=include_heard,
        candidate_rows=_candidate_rows(model, candidates),
        max_per_artist=max_per_artist,
        artist_gap=artist_gap,
        diversity=diversity,
        calibration=calibration,
        discovery=discovery,
        popularity=popularity,
        distaste=distaste,
    )
    if history is not None:
        users, plays, heard = _read_history(model, history)
    elif user is not None:
        row = model.users.row(user)
        users, plays, heard = [user], model.plays[row], model.heard[row]
    else:
        users, plays, heard = list(model.users.ids), model.plays, model.heard
    if out is None:
        _print_list(model, users[0], plays, heard, options)
        return
    with console.progress("Recommending") as bar:
        rows = write_frames(out, recommend_in_blocks(model, users, plays, heard, options, bar))
    console.out.print(f"{out}: {rows} rows for {len(users)} users", markup=False)


def recommend_in_blocks(
    model: HybridModel,
    users: Sequence[str],
    plays: sparse.csr_matrix,
    heard: sparse.csr_matrix,
    options: RecommendOptions,
    progress: Progress = silent,
) -> Iterator[pd.DataFrame]:
    """Yield tables of user_id, item_id, rank, score, source for a block of users at a time; progress is in users."""
    ids = np.array(model.catalog.tracks.ids, dtype=object)
    for start in range(0, len(users), BLOCK_USERS):
        end = min(start + BLOCK_USERS, len(users))
        lists = recommend(model, plays[start:end], heard[start:end], options)
        lengths = [len(one) for one in lists]
        frame = pd.DataFrame(
            {
                "user_id": np.repeat(np.array(users[start:end], dtype=object), lengths),
                "item_id": ids[np.concatenate([one.track_rows for one in lists])],
                "rank": np.concatenate([np.arange(1, length + 1) for length in lengths]).astype(np.int32),
                "score": np.concatenate([one.scores for one in lists]),
                "source": [source for one in lists for source in one.sources],
            }
        )
        progress(end, len(users))
        yield frame


def _print_list(
    model: HybridModel, user: str, plays: sparse.csr_matrix, heard: sparse.csr_matrix, options: RecommendOptions
) -> None:
    ranked = recommend(model, plays, heard, options)[0]
    reasons = reasons_for(model, plays, ranked)
    lines = [
        (
            rank,
            model.catalog.label(row),
            score,
            source,
            f"{confidence:.0%}",
            int(model.evidence[row]),
            reason,
            model.catalog.tracks.ids[row],
        )
        for rank, (row, score, source, confidence, reason) in enumerate(
            zip(
                ranked.track_rows.tolist(),
                ranked.scores.tolist(),
                ranked.sources,
                ranked.confidences.tolist(),
                reasons,
                strict=True,
            ),
            1,
        )
    ]
    columns = ("", "track", "score", "source", "confidence", "listeners", "because", "item_id")
    console.table(f"For {user}: {BASIS[ranked.basis].format(plays=ranked.plays_known)}", columns, lines)


def _candidate_rows(model: HybridModel, path: Path | None) -> npt.NDArray[np.int32] | None:
    if path is None:
        return None
    frame, _ = read_tracks(path)
    rows = model.catalog.tracks.rows(frame["item_id"], unknown="drop")
    if not len(rows):
        raise DataError(f"{path}: none of its {len(frame)} item ids is in the catalog of {len(model.catalog)} tracks")
    if len(rows) < len(frame):
        console.err.print(f"{path}: {len(frame) - len(rows)} of {len(frame)} candidates are not in the catalog")
    return rows


def _read_history(model: HybridModel, path: Path) -> tuple[list[str], sparse.csr_matrix, sparse.csr_matrix]:
    from recommender.data.interactions import Interactions
    from recommender.data.vocabulary import Vocabulary

    frame, report = read_interactions(path)
    console.warn([f"{path.name}: {problem}" for problem in report.problems])
    users = Vocabulary.of("user", frame["user_id"].unique())
    known = Interactions.from_frame(frame, users, model.catalog.tracks)
    if not len(known):
        raise DataError(f"{path}: none of its {len(frame)} rows names a track of the catalog")
    if len(known) < len(frame):
        console.err.print(f"{path}: {len(frame) - len(known)} of {len(frame)} rows name tracks that are not known")
    return list(users.ids), known.to_csr(), known.heard()
