"""The weekly batch, a block of users at a time: each block is a table and its playlists' files, whole or not at all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from scipy import sparse

from recommender.audio.signatures import Signatures
from recommender.data.storage import Array, atomic_path, load_arrays, save_arrays
from recommender.playlists.batch_files import BatchFiles
from recommender.playlists.builder import Playlist
from recommender.playlists.flow import FlowScale
from recommender.playlists.formats import Ending
from recommender.playlists.weekly import (
    Kind,
    Library,
    Listeners,
    WeeklyConfig,
    WeeklyList,
    block_size,
    weekly_lists,
)
from recommender.playlists.weeks import Week
from recommender.ranking.artifact import load_hybrid, save_hybrid

TITLES: dict[Kind, str] = {"discovery": "Discovery", "familiar": "Familiar mix", "new": "New releases"}
SPOOL, MODEL = "inputs.safetensors", "model.safetensors"


@dataclass(frozen=True, eq=False)
class Batch:
    """All that blocks are made of.

    Parameters
    ----------
    library : Library
    listeners : Listeners
        All users.
    config : WeeklyConfig
    bundle_version : str
    names : tuple of str
        Of each user's files, without kind and ending.
    endings : tuple of str
        None where no files are wanted.
    out : Path
        Absolute: where the files will be.
    music_root : Path
    absolute : bool or None
    staging : Path
        Where they are made.
    """

    library: Library
    listeners: Listeners
    config: WeeklyConfig
    bundle_version: str
    names: tuple[str, ...]
    endings: tuple[Ending, ...]
    out: Path
    music_root: Path
    absolute: bool | None
    staging: Path

    @property
    def size(self) -> int:
        """Users of a block, the same however many processes there are."""
        return block_size(len(self.library.model.catalog))

    @property
    def blocks(self) -> int:
        """How many there are."""
        return -(-len(self.listeners.ids) // self.size)

    @cached_property
    def files(self) -> BatchFiles:
        """What writes their files."""
        return BatchFiles(self.library.model.catalog, self.music_root, self.out, self.absolute)

    def users(self, block: int) -> range:
        """Return the users of a block."""
        return range(block * self.size, min((block + 1) * self.size, len(self.listeners.ids)))

    def table(self, block: int) -> Path:
        """Return where the table of a block is, once it is done."""
        return self.staging / f"block-{block:06}.parquet"

    def file_names(self, user: int) -> Iterator[tuple[Kind, Ending, str]]:
        """Yield the names of a user's files."""
        for kind in self.config.lengths:
            for ending in self.endings:
                yield kind, ending, f"{self.names[user]} - {kind}{ending}"

    def is_done(self, block: int) -> bool:
        """Tell whether a block is there; after a power cut a file may be empty, and its block is made again."""
        if not self.table(block).exists():
            return False
        files = (self.staging / "files" / name for user in self.users(block) for _, _, name in self.file_names(user))
        return not any(file.exists() and not file.stat().st_size for file in files)


def make_block(batch: Batch, block: int) -> None:
    """Make the lists of a block of users, their files, and last their table."""
    users = batch.users(block)
    made = weekly_lists(batch.library, batch.listeners.part(users.start, users.stop), batch.config)
    ids = batch.library.model.catalog.tracks.ids
    for user, lists in zip(users, made, strict=True):
        playlists: dict[Kind, Playlist] = {}
        for kind, ending, name in batch.file_names(user):
            rows = lists[kind].rows.tolist()
            if kind not in playlists:
                playlists[kind] = _playlist(batch, user, kind, lists[kind], tuple(ids[row] for row in rows))
            (batch.staging / "files" / name).write_bytes(batch.files.content(ending, playlists[kind], rows))
    with atomic_path(batch.table(block)) as part:
        pa.parquet.write_table(_table(batch, users, made), part)


def save_inputs(batch: Batch, with_model: bool) -> None:
    """Write what other processes need to make blocks: arrays that they map, so that all share one copy."""
    library, model = batch.library, batch.library.model
    arrays: dict[str, Array] = {"new_rows": library.new_rows, "track_index": model.track_index}
    arrays |= {"scale.means": library.scale.means, "scale.deviations": library.scale.deviations}
    for name in ("given", "worn"):
        matrix = getattr(batch.listeners, name)
        arrays |= {f"{name}.{part}": getattr(matrix, part) for part in ("data", "indices", "indptr")}
    if library.signatures is not None:
        arrays |= {f"signatures.{name}": getattr(library.signatures, name) for name in ("numbers", "tonics", "minor")}
    config = batch.config
    settings = asdict(config) | {"week": str(config.week)}
    settings |= {"out": str(batch.out), "music_root": str(batch.music_root), "absolute": batch.absolute}
    settings |= {"names": batch.names, "endings": batch.endings, "bundle_version": batch.bundle_version}
    save_arrays(batch.staging / SPOOL, "playlists", batch.bundle_version, arrays, settings)
    if with_model:
        save_hybrid(batch.staging / MODEL, model, batch.bundle_version)


def load_inputs(staging: Path, model_path: Path) -> Batch:
    """Read what `save_inputs` wrote; the model is in the bundle, or beside it."""
    arrays, settings = load_arrays(staging / SPOOL, "playlists", None, mapped=True)
    model = load_hybrid(model_path, settings["bundle_version"], mapped=True)
    model.__dict__["track_index"] = arrays["track_index"]  # where cached_property keeps it
    signatures = None
    if "signatures.numbers" in arrays:
        signatures = Signatures(*(arrays[f"signatures.{name}"] for name in ("numbers", "tonics", "minor")))
    week = Week.of(settings["week"])
    scale = FlowScale(arrays["scale.means"], arrays["scale.deviations"])
    library = Library(model, signatures, arrays["new_rows"], scale)
    given, worn = (_matrix(arrays, name, model.plays.shape) for name in ("given", "worn"))
    config = {name: settings[name] for name in asdict(WeeklyConfig(week))}
    return Batch(
        library,
        Listeners(model.users.ids, model.plays, model.heard, given, worn),
        WeeklyConfig(**(config | {"week": week})),
        settings["bundle_version"],
        tuple(settings["names"]),
        tuple(settings["endings"]),
        Path(settings["out"]),
        Path(settings["music_root"]),
        settings["absolute"],
        staging,
    )


def counts_of(batch: Batch) -> Counter[tuple[str, str]]:
    """Count the lists of all blocks: of each kind all, the short ones, and the empty ones."""
    counts: Counter[tuple[str, str]] = Counter()
    for block in range(batch.blocks):
        told = json.loads(pa.parquet.read_schema(batch.table(block)).metadata[b"counts"])
        counts.update({(kind, what): number for kind, what, number in told})
    return counts


def _playlist(batch: Batch, user: int, kind: Kind, made: WeeklyList, ids: tuple[str, ...]) -> Playlist:
    config = batch.config
    return Playlist(_title(batch, user, kind), ids, config.week.start, batch.bundle_version, config.seed, made.notes)


def _title(batch: Batch, user: int, kind: Kind) -> str:
    return f"{TITLES[kind]} for {batch.listeners.ids[user]}"


def _table(batch: Batch, users: range, made: list[dict[Kind, WeeklyList]]) -> pa.Table:
    """Return the rows of a block, the lists of a user one after the other."""
    each = [(user, kind, made[user - users.start][kind]) for user in users for kind in batch.config.lengths]
    lengths = np.array([len(one.rows) for _, _, one in each])
    of_list = np.repeat(np.arange(len(each), dtype=np.int32), lengths)
    ids = batch.library.model.catalog.tracks.ids

    def told(values: list[str]) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(of_list), pa.array(values, pa.string())).dictionary_decode()

    counts = Counter[tuple[str, str]]()
    for _, kind, one in each:
        wanted = batch.config.lengths[kind]
        counts.update(
            {(kind, "all"): 1, (kind, "short"): 0 < len(one.rows) < wanted, (kind, "empty"): not len(one.rows)}
        )
    columns: dict[str, Any] = {
        "user_id": told([batch.listeners.ids[user] for user, _, _ in each]),
        "kind": told([kind for _, kind, _ in each]),
        "position": np.concatenate([np.arange(1, n + 1, dtype=np.int32) for n in lengths]),
        "item_id": pa.array([ids[row] for _, _, one in each for row in one.rows.tolist()], pa.string()),
        "score": np.concatenate([one.scores for _, _, one in each]).astype(np.float32),
        "source": pa.array([source for _, _, one in each for source in one.sources], pa.string()),
        "playlist": told([_title(batch, user, kind) for user, kind, _ in each]),
        "week": told([str(batch.config.week)] * len(each)),
        "bundle": told([batch.bundle_version] * len(each)),
        "relaxed_rules": told(["; ".join(one.notes) for _, _, one in each]),
    }
    listed = json.dumps([(kind, what, number) for (kind, what), number in counts.items()])
    return pa.table(columns).replace_schema_metadata({"counts": listed})


def _matrix(arrays: dict[str, Any], name: str, shape: tuple[int, int]) -> sparse.csr_matrix:
    return sparse.csr_matrix(tuple(arrays[f"{name}.{part}"] for part in ("data", "indices", "indptr")), shape)
