"""Recommend, compare and embed with a workspace's current bundle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from pipelines import console
from pipelines.workspace import Workspace
from recommender.data.progress import Progress, silent
from recommender.data.table_stream import write_frames
from recommender.data.tables import checked_ending, read_interactions, read_tracks, write_table
from recommender.errors import DataError, UnknownIdError
from recommender.ranking.confidence import Basis
from recommender.ranking.ranker import (
    HybridModel,
    RecommendOptions,
    query_of_row,
    query_of_vector,
    reasons_for,
    recommend,
    similar_tracks,
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
SIMILAR_COLUMNS = ("item_id", "rank", "track", "similarity", "query_start_s", "match_start_s")


@dataclass(frozen=True, eq=False)
class Current:
    """A workspace's current bundle with everything that came in since.

    Parameters
    ----------
    manifest : Manifest
    model : HybridModel
    hearing : Hearing
    """

    manifest: Manifest
    model: HybridModel
    hearing: Hearing


def load_current(workspace: Workspace) -> Current:
    """Load the current bundle, and the listens and uploads of the store."""
    bundle = load_bundle(current_bundle(workspace.bundles))
    hearing = Hearing(bundle)
    if not (workspace.folder / "store.sqlite").exists():
        return Current(bundle.manifest, bundle.model, hearing)
    with closing(Store.open(workspace.store_url)) as store:
        live = Live(bundle, store, hearing, workspace.uploads, refresh_s=np.inf)
        return Current(bundle.manifest, live.peek().model, hearing)


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


def similar(workspace: Workspace, track: str, *, top: int, out: Path | None) -> None:
    """Print or write what sounds like a track of the catalog or like an audio file.

    Raises
    ------
    UnknownIdError
        If it is neither a track's id nor a file.
    DataError
        If the workspace, or the track, has no sound.
    """
    current = load_current(workspace)
    model = current.model
    if model.sound is None:
        raise DataError(f"{workspace.folder} has no embeddings; ingest --music or --embeddings, then train")
    exclude: list[int] = []
    if track in model.catalog.tracks:
        row = model.catalog.tracks.row(track)
        if not model.sound.has_vector[row]:
            raise DataError(f"track {track!r} has no embedding: its file was not analysed")
        query, exclude, title = query_of_row(model.sound, row), [row], model.catalog.label(row)
    elif Path(track).is_file():
        heard = current.hearing.hear(Path(track))
        query = query_of_vector(model.sound, heard.vector, heard.clip_vectors, heard.clip_starts_s)
        title = Path(track).name
    else:
        raise UnknownIdError(f"{track!r} is neither a track of {workspace.folder} nor an audio file")
    rows: list[dict[str, Any]] = [
        {
            "item_id": model.catalog.tracks.ids[match.track_row],
            "rank": rank,
            "track": model.catalog.label(match.track_row),
            "similarity": match.similarity,
            "query_start_s": match.query_start_s,
            "match_start_s": match.match_start_s,
        }
        for rank, match in enumerate(similar_tracks(model.sound, query, top, exclude), 1)
    ]
    if out is not None:
        write_table(out, pd.DataFrame(rows, columns=SIMILAR_COLUMNS))
        console.out.print(f"{out}: {len(rows)} rows", markup=False)
        return
    lines = [
        (r["rank"], r["track"], r["similarity"], _clock(r["query_start_s"]), _clock(r["match_start_s"]), r["item_id"])
        for r in rows
    ]
    console.table(f"Sounds like {title}", ("", "track", "similarity", "here", "there", "item_id"), lines)


def embed(workspace: Workspace, audio: Sequence[Path], out: Path) -> None:
    """Write the vectors of any files: one row a clip, and one a track with an empty start_s.

    A file that cannot be used is named with its reason, and the others are written.

    Raises
    ------
    DataError
        If none of the files can be used.
    """
    from recommender.errors import AudioError

    checked_ending(out)
    hearing = load_current(workspace).hearing
    hearing.check()
    rows: list[dict[str, object]] = []
    problems = []
    with console.progress("Embedding") as bar:
        for done, path in enumerate(audio, 1):
            try:
                heard = hearing.hear(path)
            except (AudioError, OSError) as error:
                problems.append(f"{path}: {str(error).removeprefix(f'{path.name}: ')}")
                continue
            finally:
                bar(done, len(audio))
            starts: list[float | None] = [None, *heard.clip_starts_s.tolist()]
            vectors = [heard.vector, *heard.clip_vectors]
            rows += [
                {"path": str(path), "start_s": start, "embedding": vector.tolist()}
                for start, vector in zip(starts, vectors, strict=True)
            ]
    console.warn(problems)
    if not rows:
        raise DataError(f"none of the {len(audio)} files can be used")
    write_table(out, pd.DataFrame(rows))
    console.out.print(f"{out}: {len(audio) - len(problems)} of {len(audio)} files", markup=False)


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


def _clock(seconds: float | None) -> str:
    return "" if seconds is None else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
