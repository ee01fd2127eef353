"""Fill or extend a workspace: music folders, listening logs, track tables, embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipelines.workspace import Workspace
from recommender.data.catalog import TEXT_COLUMNS, TRACK_COLUMNS
from recommender.data.embeddings import Embeddings
from recommender.data.library import scan_music
from recommender.data.progress import Progress, silent
from recommender.data.storage import digest_of
from recommender.data.tables import read_embeddings, read_interactions, read_tracks, write_table
from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError

if TYPE_CHECKING:
    from recommender.data.listens import MatchReport

LISTENS_REPORT = Path("reports/listens.csv")
MOVED_SHARE = 0.5
"""A folder that is gone has moved to where at least this share of its files is found."""


@dataclass(frozen=True)
class IngestReport:
    """What an ingest found and changed.

    Parameters
    ----------
    lines : tuple of str
        One a source: what was read and what came of it.
    problems : tuple of str
        What could not be used, each with its reason.
    n_tracks, n_users, n_interactions, n_waiting : int
        The workspace afterwards; `n_waiting` plays name tracks that are not in the catalog.
    """

    lines: tuple[str, ...]
    problems: tuple[str, ...]
    n_tracks: int
    n_users: int
    n_interactions: int
    n_waiting: int


@dataclass
class _Log:
    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def run(
    workspace: Workspace,
    *,
    music: Path | None = None,
    listens: Sequence[Path] = (),
    user: str | None = None,
    zone: tzinfo = UTC,
    interactions: Path | None = None,
    tracks: Path | None = None,
    embeddings: Path | None = None,
    datasets: Sequence[tuple[str, Path]] = (),
    progress: Progress = silent,
) -> IngestReport:
    """Read every source, then add what is new to the workspace.

    Repeating it adds nothing twice. A play with a time is known by (user, track, time); plays without a time are known
    by (user, track), and a later table's weight replaces an earlier one's.

    Parameters
    ----------
    workspace : Workspace
    music : Path, optional
        A folder of audio files.
    listens : sequence of Path
        Listening histories of other services, see `recommender.data.histories`. What became of every name in them is
        written to ``reports/listens.csv``.
    user : str, optional
        Whose histories they are; without it, whom each names, else the file's name.
    zone : tzinfo
        Of times in histories that are given without one.
    interactions, tracks, embeddings : Path, optional
        Tables, see `recommender.data.tables`.
    datasets : sequence of (str, Path)
        Names of public data sets and where they were downloaded to, see `recommender.data.datasets`.
    progress : Progress
        Told of music files read, and of how much of a data set's file is read.

    Returns
    -------
    IngestReport

    Raises
    ------
    DataError
        If a source is missing, or more than a fifth of a table's rows cannot be used.
    """
    log = _Log()
    with workspace.writing():
        if tracks is not None:
            _add_tracks(workspace, tracks, log)
        if music is not None:
            add_music(workspace, music, log.lines, log.problems, progress)
        for name, source in datasets:
            _add_dataset(workspace, name, source, log, progress)
        if embeddings is not None:
            _add_embeddings(workspace, embeddings, log)
        if interactions is not None:
            frame, report = read_interactions(interactions)
            log.lines.append(_table_line(report.path, report.rows_used, report.rows_duplicate, report.rows_broken))
            log.problems.extend(f"{report.path.name}: {problem}" for problem in report.problems)
            add_plays(workspace, frame)
        if listens:
            _add_listens(workspace, listens, user, zone, log)
    catalog = workspace.catalog()
    known = workspace.interactions(catalog)
    stored = len(workspace.interaction_table())
    return IngestReport(
        tuple(log.lines), tuple(log.problems), len(catalog), len(known.users), len(known), stored - len(known)
    )


def add_music(workspace: Workspace, folder: Path, lines: list[str], problems: list[str], progress: Progress) -> None:
    """Scan a music folder and bring the table of files up to date.

    A known folder that is no longer there has moved here if most of its files are found here. Otherwise it is away,
    like a drive that is not mounted, and its files stay known.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; --music takes a folder of audio files")
    root = str(folder.resolve())
    files = workspace.files()
    missing = sorted(r for r in set(files["root"]) if r != root and not Path(r).is_dir())
    here = files["root"].isin([root, *missing])
    scan = scan_music(folder, files[here].drop(columns="root") if here.any() else None, progress)
    found = files["content_hash"].isin(scan.files["content_hash"]).groupby(files["root"]).mean()
    if away := [r for r in missing if found[r] < MOVED_SHARE]:
        here &= ~files["root"].isin(away)
        scan = scan_music(folder, files[here].drop(columns="root") if here.any() else None, progress)
        lines.extend(f"{r} is not there now; its {(files['root'] == r).sum()} files stay known" for r in away)
    workspace.write_files(pd.concat([files[~here], scan.files.assign(root=root)], ignore_index=True))
    counts = {name: len(getattr(scan, name)) for name in ("added", "changed", "moved", "removed", "unchanged")}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    lines.append(f"{folder}: {len(scan.files)} files ({told or 'none'})")
    broken = scan.files[scan.files["error"] != ""]
    problems.extend(f"{path}: {error}" for path, error in zip(broken["path"], broken["error"], strict=True))
    problems.extend(f"{path}: the same as {first}, which stands for both" for path, first in scan.duplicates)
    problems.extend(scan.warnings)


def add_plays(workspace: Workspace, frame: pd.DataFrame) -> None:
    """Merge plays into the table of interactions."""
    stored = pd.concat([workspace.interaction_table(), frame], ignore_index=True)
    workspace.write_interactions(stored.drop_duplicates(["user_id", "item_id", "timestamp"], keep="last"))


def add_tracks(workspace: Workspace, frame: pd.DataFrame) -> None:
    """Merge rows into the table of tracks; a later row of the same id replaces an earlier one."""
    frame = frame.assign(**{name: "" for name in TEXT_COLUMNS if name not in frame.columns})
    stored = pd.concat([workspace.track_table(), frame[["item_id", *TRACK_COLUMNS]]], ignore_index=True)
    workspace.write_track_table(stored.drop_duplicates("item_id", keep="last"))


def _add_tracks(workspace: Workspace, path: Path, log: _Log) -> None:
    frame, report = read_tracks(path)
    log.lines.append(_table_line(path, report.rows_used, report.rows_duplicate, report.rows_broken))
    log.problems.extend(f"{path.name}: {problem}" for problem in report.problems)
    frame = frame.copy()
    frame["path"] = [str((path.parent / p).resolve()) if p else "" for p in frame["path"].fillna("").astype(str)]
    add_tracks(workspace, frame)


def _add_listens(workspace: Workspace, paths: Sequence[Path], user: str | None, zone: tzinfo, log: _Log) -> None:
    """Match histories to the tracks there are now, and account for every name."""
    from recommender.data.listens import read_listens
    from recommender.data.matching import TrackMatcher

    matcher = TrackMatcher(workspace.catalog())
    for path in paths:
        frame, match = read_listens(path, matcher, user, zone)
        add_history(workspace, frame, match, log.lines, log.problems)


def add_history(
    workspace: Workspace, frame: pd.DataFrame, match: MatchReport, lines: list[str], problems: list[str]
) -> None:
    """Merge the plays of a history, and write what became of every name in it."""
    from recommender.data.listens import NAME_COLUMNS

    add_plays(workspace, frame)
    target = workspace.folder / LISTENS_REPORT
    known = pd.read_csv(target, dtype=str, keep_default_na=False) if target.exists() else None
    table = pd.DataFrame(columns=list(NAME_COLUMNS)) if known is None else known
    write_table(target, pd.concat([table[table["history"] != match.path.name], match.names], ignore_index=True))
    lines.append(match.summary())
    problems.extend(f"{match.path.name}: {problem}" for problem in match.problems)
    if match.n_unmatched:
        lines.extend(f"  {line}" for line in match.examples())
        lines.append(f"  all names, and what became of them: {target}")


def _add_embeddings(workspace: Workspace, path: Path, log: _Log) -> None:
    ids, vectors, report = read_embeddings(path)
    log.lines.append(_table_line(path, report.rows_used, report.rows_duplicate, report.rows_broken))
    log.problems.extend(f"{path.name}: {problem}" for problem in report.problems)
    if ids:
        _merge_embeddings(workspace, path, ids, vectors)


def _merge_embeddings(workspace: Workspace, path: Path, ids: Sequence[str], vectors: npt.NDArray[np.float32]) -> None:
    before = workspace.supplied_embeddings()
    kept: dict[str, int] = {}
    if before is not None:
        if before.dim != vectors.shape[1]:
            raise DataError(
                f"{path}: vectors have {vectors.shape[1]} numbers, those ingested before have {before.dim}; "
                "supply all embeddings of a workspace by one model"
            )
        new = set(ids)
        kept = {identifier: row for row, identifier in enumerate(before.tracks) if identifier not in new}
        vectors = pd.concat([pd.DataFrame(before.vectors[list(kept.values())]), pd.DataFrame(vectors)]).to_numpy()
    every = Vocabulary("track", (*kept, *ids))
    workspace.write_embeddings(Embeddings.without_clips(every, vectors, f"supplied-{digest_of(vectors)}"))


def _add_dataset(workspace: Workspace, name: str, source: Path, log: _Log, progress: Progress) -> None:
    """Take a data set in; a track whose audio was scanned as music is the scanned one, by the data set's name."""
    from recommender.data.datasets import read_dataset

    tables = read_dataset(name, source, progress)
    for report in tables.reports:
        log.lines.append(_table_line(report.path, report.rows_used, report.rows_duplicate, report.rows_broken))
        log.problems.extend(f"{report.path.name}: {problem}" for problem in report.problems)
    log.lines.extend(f"{name}: {note}" for note in tables.notes)
    if tables.embeddings is not None and tables.embeddings[0]:
        _merge_embeddings(workspace, source, *tables.embeddings)
    if tables.tracks is not None:
        files = workspace.files()
        scanned = dict(zip(files["root"] + "/" + files["path"], files["item_id"], strict=True))
        ids = [scanned.get(place, i) for place, i in zip(tables.tracks["path"], tables.tracks["item_id"], strict=True)]
        stored, renamed = workspace.track_table(), set(tables.tracks["item_id"]) - set(ids)
        workspace.write_track_table(stored[~stored["item_id"].isin(renamed)])
        add_tracks(workspace, tables.tracks.assign(item_id=ids))
    if tables.plays is not None:
        add_plays(workspace, tables.plays)


def _table_line(path: Path, used: int, duplicate: int, broken: int) -> str:
    extra = "".join(f", {count} {what}" for count, what in ((duplicate, "duplicate"), (broken, "broken")) if count)
    return f"{path.name}: {used} rows used{extra}"
