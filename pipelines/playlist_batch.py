"""The weekly batch: playlists for everyone, never the same track again for some weeks.

Blocks of users are made in a folder beside the lists of last time; when all are there, what was given is written down
and the new files take the places of the old ones. A batch that was stopped goes on with the blocks that it lacks.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import filelock
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from scipy import sparse

from pipelines import console
from pipelines.playlist_blocks import Batch, counts_of
from pipelines.playlist_workers import run_blocks
from pipelines.recommend import Current, load_current
from pipelines.workspace import Workspace
from recommender.data.storage import digest_of
from recommender.errors import ArtifactError, ConfigError, DataError
from recommender.playlists.batch_files import M3U
from recommender.playlists.formats import Ending, lasting_names_of, playlist_format
from recommender.playlists.weekly import (
    KINDS,
    OVERPLAYED,
    OVERPLAYED_DAYS,
    Kind,
    Listeners,
    WeeklyConfig,
    library_of,
)
from recommender.playlists.weeks import GivenLists, Week
from recommender.serving.bundle import HYBRID_FILE
from recommender.serving.store import Store

FORMAT = 1
TABLE = "playlists.parquet"
LISTENS_A_TIME = 100_000


def run(
    workspace: Workspace,
    out: Path,
    *,
    length: int = 50,
    seed: int = 0,
    absolute: bool | None = None,
    kinds: str = ",".join(KINDS),
    formats: str = "m3u8",
    week: str | None = None,
    no_repeat_weeks: int = 4,
    workers: int | None = None,
) -> None:
    """Write everyone's playlists of a week: files for players, and ``playlists.parquet`` with all of them.

    Parameters
    ----------
    workspace : Workspace
    out : Path
        A folder; files of the same names in it are replaced.
    length : int
        Tracks of a playlist, where `kinds` says nothing else.
    seed : int
    absolute : bool or None
        See `recommender.playlists.formats.write_playlist`.
    kinds : str
        Such as ``discovery,new:30``.
    formats : str
        Such as ``m3u8,xspf``; ``none`` for the table alone.
    week : str or None
        Such as ``2026-W47``; None for this one.
    no_repeat_weeks : int
    workers : int or None
        Processes; None takes one a core. What they make does not depend on it.

    Raises
    ------
    ConfigError
        If an option is none.
    DataError
        If there are no users.
    ArtifactError
        If another batch is at work on the workspace.
    """
    chosen = Week.of(week) if week else Week.at(datetime.now(UTC))
    config = WeeklyConfig(chosen, lengths_of(kinds, length), no_repeat_weeks, seed=seed)
    endings = endings_of(formats)
    workspace.given_lists.mkdir(exist_ok=True)
    lock = filelock.FileLock(workspace.given_lists / ".lock", timeout=0)
    try:
        with lock:
            _run(workspace, out, config, endings, absolute, workers or _cores())
    except filelock.Timeout:
        raise ArtifactError(f"other playlists for {workspace.folder} are being made; wait until they are") from None


def lengths_of(kinds: str, length: int) -> dict[Kind, int]:
    """Read which kinds are wanted, and how long.

    Raises
    ------
    ConfigError
        If one is none.

    Examples
    --------
    >>> lengths_of("new:30, discovery", 50)
    {'new': 30, 'discovery': 50}
    """
    lengths: dict[Kind, int] = {}
    for wanted in filter(None, (part.strip() for part in kinds.split(","))):
        name, _, own = wanted.partition(":")
        kind = next((each for each in KINDS if each == name.strip()), None)
        if kind is None or (own and not own.strip().isdecimal()):
            raise ConfigError(
                f"--kinds has {wanted!r}, expected some of {', '.join(KINDS)}, with a length as in new:30"
            )
        if kind in lengths:
            raise ConfigError(f"--kinds has {kind!r} twice, expected each kind once")
        lengths[kind] = int(own) if own else length
    return lengths


def endings_of(formats: str) -> tuple[Ending, ...]:
    """Read which formats are wanted.

    Raises
    ------
    ConfigError
        If one is none.

    Examples
    --------
    >>> endings_of("m3u8, jspf"), endings_of("none")
    (('.m3u8', '.jspf'), ())
    """
    wanted = [part.strip().lower().lstrip(".") for part in formats.split(",") if part.strip()]
    return () if wanted == ["none"] else tuple(dict.fromkeys(playlist_format(f"--formats .{each}") for each in wanted))


def _run(
    workspace: Workspace,
    out: Path,
    config: WeeklyConfig,
    endings: tuple[Ending, ...],
    absolute: bool | None,
    workers: int,
) -> None:
    current = load_current(workspace)
    model, given = current.model, GivenLists(workspace.given_lists)
    if not len(model.users):
        raise DataError(f"{workspace.folder} has no users; ingest --interactions or --listens, then train")
    if not (model.catalog.table["path"] != "").any():
        endings = tuple(ending for ending in endings if ending not in M3U)
        lacking = ", no M3U files since no track has a path"
    else:
        lacking = ""
    out.mkdir(parents=True, exist_ok=True)
    listeners = Listeners(
        model.users.ids,
        model.plays,
        model.heard,
        given.before(config.week, config.no_repeat_weeks, model.users, model.catalog.tracks),
        overplayed(workspace, current, config.week),
    )
    batch = Batch(
        library_of(model, current.signatures, config.week),
        listeners,
        config,
        current.manifest.version,
        tuple(lasting_names_of(model.users.ids)),
        endings,
        Path(os.path.abspath(out)),
        Path(os.path.abspath(workspace.uploads)),
        absolute,
        Path(os.path.abspath(out)) / ".part-playlists",
    )
    _open_staging(batch)
    model_path = workspace.bundles / current.manifest.version / HYBRID_FILE if current.is_bundle else None
    missing = [block for block in range(batch.blocks) if not batch.is_done(block)]
    with console.progress("Playlists") as bar:
        done = len(listeners.ids) - sum(len(batch.users(block)) for block in missing)
        for block in run_blocks(batch, missing, workers, model_path):
            done += len(batch.users(block))
            bar(done, len(listeners.ids))
    counts = counts_of(batch)
    rows = _commit(batch, given)
    made = sum(number for (_, what), number in counts.items() if what == "all")
    console.out.print(
        f"{out}: {made} playlists of week {config.week} for {len(listeners.ids)} users{lacking}, "
        f"{TABLE} with {rows} rows",
        markup=False,
    )
    _tell(counts, config.lengths)


def overplayed(workspace: Workspace, current: Current, week: Week) -> sparse.csr_matrix:
    """Return 1 for each pair that was played too much just before a week, (n_users, n_tracks), float32."""
    model, until = current.model, week.start
    since = until - timedelta(days=OVERPLAYED_DAYS)
    found = []
    path = workspace.folder / "tables" / "interactions.parquet"
    if path.exists():
        naive = (since.replace(tzinfo=None), until.replace(tzinfo=None))
        kept = [("timestamp", ">=", naive[0]), ("timestamp", "<", naive[1]), ("weight", ">", 0)]
        found.append(pd.read_parquet(path, columns=["user_id", "item_id", "weight"], filters=kept))
    if workspace.has_store:
        bounds = [int(moment.timestamp() * 1000) for moment in (since, until)]
        with closing(Store.open(workspace.store_url)) as store:
            seq, more = 0, True
            while more:
                listens, seq = store.listens_after(seq, LISTENS_A_TIME)
                more = len(listens) == LISTENS_A_TIME
                rows = [
                    (one.user_id, one.track_id, one.weight)
                    for one in listens
                    if one.weight > 0 and bounds[0] <= one.listened_at_ms < bounds[1]
                ]
                found.append(pd.DataFrame(rows, columns=["user_id", "item_id", "weight"]))
    plays = pd.concat(found) if found else pd.DataFrame({"user_id": [], "item_id": [], "weight": []})
    often = plays.groupby(["user_id", "item_id"])["weight"].sum()
    worn = often[often >= OVERPLAYED].index.to_frame(index=False)
    worn = worn[model.users.known(worn["user_id"]) & model.catalog.tracks.known(worn["item_id"])]
    rows_, columns = (
        known.rows(worn[name], unknown="raise")
        for name, known in (("user_id", model.users), ("item_id", model.catalog.tracks))
    )
    return sparse.csr_matrix((np.ones(len(rows_), dtype=np.float32), (rows_, columns)), shape=model.plays.shape)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _flush() -> None:
    """Have the system write everything to disk: once for all files, not once for each."""
    if hasattr(os, "sync"):
        os.sync()


def _open_staging(batch: Batch) -> None:
    """Keep what was made for the very same lists, and nothing else."""
    plan = json.dumps(_plan(batch), indent=1, sort_keys=True)
    marker = batch.staging / "plan.json"
    if not marker.exists() or marker.read_text(encoding="utf-8") != plan:
        shutil.rmtree(batch.staging, ignore_errors=True)
        (batch.staging / "files").mkdir(parents=True)
        marker.write_text(plan, encoding="utf-8")


def _plan(batch: Batch) -> Mapping[str, object]:
    """Return what two batches have in common that make the same lists and the same files."""
    model, listeners, config = batch.library.model, batch.listeners, batch.config
    matrices = (listeners.plays, listeners.heard, listeners.given, listeners.worn)
    arrays = [getattr(matrix, part) for matrix in matrices for part in ("indptr", "indices", "data")]
    return {
        "format": FORMAT,
        "bundle": batch.bundle_version,
        "config": asdict(config) | {"week": str(config.week), "lengths": list(config.lengths.items())},
        "endings": batch.endings,
        "absolute": batch.absolute,
        "out": str(batch.out),
        "music_root": str(batch.music_root),
        "arrays": digest_of(*arrays, model.evidence, model.posterior_factors, batch.library.new_rows),
        "ids": digest_of(*(np.array(known.ids, dtype=object) for known in (model.users, model.catalog.tracks))),
        "paths": digest_of(model.catalog.table["path"].to_numpy(dtype=object)),
    }


def _commit(batch: Batch, given: GivenLists) -> int:
    """Write down what is given, and put the new files where the old ones are; return the rows of the table."""
    rows, made = 0, batch.staging / TABLE
    tables = [batch.table(block) for block in range(batch.blocks)]
    with pa.parquet.ParquetWriter(made, pa.parquet.read_schema(tables[0]).remove_metadata()) as writer:
        for path in tables:
            table = pa.parquet.read_table(path).replace_schema_metadata(None)
            writer.write_table(table)
            rows += len(table)
    given.replace(
        batch.config.week,
        list(batch.config.lengths),
        pa.parquet.read_table(made, columns=["user_id", "kind", "item_id"]),
    )
    _flush()
    for file in os.scandir(batch.staging / "files"):
        os.replace(file.path, batch.out / file.name)
    os.replace(made, batch.out / TABLE)
    shutil.rmtree(batch.staging)
    return rows


def _tell(counts: Counter[tuple[str, str]], kinds: Sequence[str] | Mapping[Kind, int]) -> None:
    for kind in kinds:
        short, empty, made = (counts[(kind, what)] for what in ("short", "empty", "all"))
        if short or empty:
            console.out.print(
                f"{kind}: {short} of {made} are shorter than asked for and {empty} are empty; each says why "
                "(relaxed_rules in the table, a comment in its file)",
                markup=False,
            )
