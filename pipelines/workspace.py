"""A workspace: the folder with one library's tables, clips, bundles and store."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import filelock
import numpy as np
import pandas as pd

from recommender.data.catalog import TRACK_COLUMNS, Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.library import UNREAD
from recommender.data.storage import load_arrays, read_json, save_arrays, write_json
from recommender.data.tables import write_table
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ArtifactError, DataError, VersionError

FORMAT = 1
STORE_VARIABLE = "FIRSTLISTEN_STORE_URL"
INTERACTION_COLUMNS = ("user_id", "item_id", "weight", "timestamp")
FILE_COLUMNS = (
    "root", "item_id", "content_hash", "path", "size", "mtime_ns",
    "title", "artist", "album", "duration_s", "released", "recording_mbid", "genre", "error",
)  # fmt: skip
WHOLE_NUMBERS = {"size": "int64", "mtime_ns": "int64"}
"""As floats, times would be rounded: every file would look touched, and be read again by every scan."""


@dataclass(frozen=True)
class Workspace:
    """The paths of a workspace and its tables; `open_workspace` checks its version.

    Parameters
    ----------
    folder : Path
    store : str
        SQLAlchemy address of the listens' database; where it is empty, ``FIRSTLISTEN_STORE_URL`` or a file here is.
    """

    folder: Path
    store: str = ""

    @property
    def clips(self) -> Path:
        """Folder of the log-mel spectrograms of analysed clips."""
        return self.folder / "clips"

    @property
    def embeddings(self) -> Path:
        """Folder of the vectors of analysed clips, by the network that made them."""
        return self.folder / "embeddings"

    @property
    def bundles(self) -> Path:
        """Folder of the trained bundles and of the pointer to the current one."""
        return self.folder / "bundles"

    @property
    def checkpoints(self) -> Path:
        """Folder of unfinished trainings."""
        return self.folder / "checkpoints"

    @property
    def uploads(self) -> Path:
        """Folder of the audio that came in through the API."""
        return self.folder / "uploads"

    @property
    def given_lists(self) -> Path:
        """Folder of what the weekly playlists gave to whom: a table a week."""
        return self.folder / "given_lists"

    @property
    def store_url(self) -> str:
        """SQLAlchemy address of the listens' database: as given, by ``FIRSTLISTEN_STORE_URL``, or of a file here."""
        return self.store or os.environ.get(STORE_VARIABLE) or f"sqlite:///{self.folder.resolve() / 'store.sqlite'}"

    def player_secret(self) -> str:
        """Return what players' passwords follow from, made at the first time: a file that only its owner may read.

        It lies beside the database, not in it, so that no copy of the database gives a password away.
        """
        path = self.folder / "player.secret"
        with suppress(FileExistsError):
            unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
            with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32))
            try:
                os.link(unfinished, path)
            finally:
                unfinished.unlink()
        return path.read_text("ascii").strip()

    @property
    def has_store(self) -> bool:
        """Whether a server has stored something."""
        return bool(self.store or os.environ.get(STORE_VARIABLE)) or (self.folder / "store.sqlite").exists()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep a second writer out, and clear away what a killed one left half written.

        Raises
        ------
        ArtifactError
            If another command is writing to the workspace.
        """
        lock = filelock.FileLock(self.folder / ".lock", timeout=0)
        try:
            with lock:
                for part in (self.folder / "tables").glob(".part-*"):
                    part.unlink(missing_ok=True)
                for part in self.bundles.glob(".part-*/"):
                    shutil.rmtree(part)
                yield
        except filelock.Timeout:
            raise ArtifactError(f"{self.folder} is being written by another command; wait until it ends") from None

    def files(self) -> pd.DataFrame:
        """Return the scanned music files, columns `FILE_COLUMNS`."""
        return self._read("files", FILE_COLUMNS).astype(WHOLE_NUMBERS)

    def track_table(self) -> pd.DataFrame:
        """Return the rows of supplied track tables, columns item_id and `TRACK_COLUMNS`."""
        return self._read("tracks", ("item_id", *TRACK_COLUMNS))

    def interaction_table(self) -> pd.DataFrame:
        """Return every stored play, columns `INTERACTION_COLUMNS`; ids are strings, known to the catalog or not."""
        frame = self._read("interactions", INTERACTION_COLUMNS)
        frame["timestamp"] = frame["timestamp"].astype("datetime64[s]")
        return frame

    def feedback(self) -> pd.DataFrame:
        """Return the last verdict of each user and track from the store: user_id, item_id, value, given_at."""
        columns = ("user_id", "item_id", "value", "given_at_ms")
        given = []
        if self.has_store:
            from recommender.serving.store import Store

            with closing(Store.open(self.store_url)) as store:
                given = [(one.user_id, one.track_id, one.value, one.given_at_ms) for one in store.feedback_after(0)[0]]
        frame = pd.DataFrame(given, columns=columns).drop_duplicates(["user_id", "item_id"], keep="last")
        seconds = frame.pop("given_at_ms").to_numpy(dtype=np.int64) // 1000
        return frame.assign(given_at=seconds.astype("datetime64[s]"))

    def supplied_embeddings(self) -> Embeddings | None:
        """Return the embeddings that were ingested from a table, None if there are none."""
        path = self.folder / "tables" / "embeddings.safetensors"
        if not path.exists():
            return None
        arrays, metadata = load_arrays(path, "supplied-embeddings", None)
        tracks = Vocabulary("track", tuple(metadata["ids"]))
        return Embeddings.without_clips(tracks, arrays["vectors"], metadata["version"])

    def write_files(self, frame: pd.DataFrame) -> None:
        """Replace the table of music files."""
        self._write("files", frame[list(FILE_COLUMNS)])

    def write_track_table(self, frame: pd.DataFrame) -> None:
        """Replace the table of supplied tracks."""
        self._write("tracks", frame[["item_id", *TRACK_COLUMNS]])

    def write_interactions(self, frame: pd.DataFrame) -> None:
        """Replace the table of plays."""
        self._write("interactions", frame[list(INTERACTION_COLUMNS)])

    def write_embeddings(self, embeddings: Embeddings) -> None:
        """Replace the supplied embeddings."""
        metadata = {"ids": list(embeddings.tracks.ids), "version": embeddings.version}
        path = self.folder / "tables" / "embeddings.safetensors"
        save_arrays(path, "supplied-embeddings", embeddings.version, {"vectors": embeddings.vectors}, metadata)

    def catalog(self) -> Catalog:
        """Return all tracks: music files first, then supplied tables.

        A supplied table's values win over a file's tags. Without files and track table, every track that a play or an
        embedding names is in the catalog; with one, tracks that only plays name wait outside until they arrive.
        """
        files = self.files()
        files = files[files["error"] == ""].drop_duplicates("item_id")
        paths = files["root"].astype(str) + "/" + files["path"].astype(str)
        tracks = files.assign(path=paths)[["item_id", *TRACK_COLUMNS]].set_index("item_id")
        supplied = self.track_table().set_index("item_id")
        known = supplied.index.intersection(tracks.index)
        for column in TRACK_COLUMNS:
            values = supplied.loc[known, column]
            told = values.notna() & (values.astype(str) != "")
            tracks.loc[known[told.to_numpy()], column] = values[told]
        parts = [part for part in (tracks, supplied.drop(index=known)) if len(part)]
        if parts:
            return Catalog.from_frame(pd.concat(parts).reset_index())
        ids = set(self.interaction_table()["item_id"])
        embeddings = self.supplied_embeddings()
        return Catalog.of_ids(Vocabulary.of("track", ids | set(embeddings.tracks if embeddings else ())).ids)

    def interactions(self, catalog: Catalog) -> Interactions:
        """Return the plays, skips and dislikes of the catalog's tracks; users are sorted by id.

        What listeners said through the API stands: a love is more than the most played, a hate a dislike, and what was
        taken back leaves no earlier skip or dislike.
        """
        frame = _with_verdicts(self.interaction_table(), self.feedback())
        return Interactions.from_frame(frame, Vocabulary.of("user", frame["user_id"].unique()), catalog.tracks)

    def music_roots(self) -> tuple[Path, ...]:
        """Return the music folders and the folder of uploads."""
        return (*(Path(root) for root in sorted(set(self.files()["root"]))), self.uploads)

    def _read(self, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
        path = self.folder / "tables" / f"{name}.parquet"
        if not path.exists():
            numbers = {"weight", "duration_s", "size", "mtime_ns"}
            return pd.DataFrame({c: pd.Series(dtype=np.float64 if c in numbers else object) for c in columns})
        try:
            frame = pd.read_parquet(path)
            for late in ("recording_mbid", "genre"):
                if late not in columns or late in frame.columns:
                    continue
                frame[late] = ""  # written before it was kept: the next scan reads the tags again
                if name == "files":
                    frame["mtime_ns"] = UNREAD
            if missing := [column for column in columns if column not in frame.columns]:
                raise ValueError(f"it has no column {missing[0]}")
            return frame[list(columns)]
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path} is damaged: {error}; restore it, or delete it and ingest again") from error

    def _write(self, name: str, frame: pd.DataFrame) -> None:
        write_table(self.folder / "tables" / f"{name}.parquet", frame)


def _with_verdicts(plays: pd.DataFrame, feedback: pd.DataFrame) -> pd.DataFrame:
    """Add loves and hates to a table of plays, and leave out what was taken back."""
    if not len(feedback):
        return plays
    given = plays[["user_id", "item_id"]].merge(feedback, how="left", on=["user_id", "item_id"])
    overtaken = (plays["timestamp"].to_numpy() > given["given_at"].to_numpy()) | (plays["weight"].to_numpy() > 0)
    taken_back = (given["value"] == 0).to_numpy() & ~overtaken
    standing = feedback[feedback["value"] != 0].rename(columns={"value": "weight", "given_at": "timestamp"})
    by_pair = plays.groupby(["user_id", "item_id"])["weight"].sum()
    most_played = by_pair.groupby(level=0).max().reindex(standing["user_id"]).fillna(1.0).clip(lower=1.0).to_numpy()
    weight = standing["weight"].to_numpy(dtype=np.float64)
    standing = standing.assign(weight=np.where(weight > 0, most_played + 1, weight))
    return pd.concat([plays[~taken_back], standing], ignore_index=True)


def open_workspace(folder: Path, *, create: bool = False, store: str = "") -> Workspace:
    """Open a workspace, or make one.

    Parameters
    ----------
    folder : Path
    create : bool
        Make an empty workspace where there is none.
    store : str, optional
        The listens' database, where it is another than the environment or the workspace says.

    Raises
    ------
    DataError
        If there is no workspace and `create` is false, or the folder holds something else.
    VersionError
        If the workspace was made by another version of its format; both are named.
    """
    marker = folder / "workspace.json"
    if not marker.exists():
        if not create:
            raise DataError(f"{folder} is not a workspace; make one with: firstlisten ingest {folder} --music DIR")
        if folder.is_file() or (folder.is_dir() and any(not p.name.startswith(".part-") for p in folder.iterdir())):
            raise DataError(f"{folder} exists and is not a workspace; give a new or empty folder")
        write_json(marker, {"format": FORMAT, "created_at": datetime.now(UTC).isoformat(timespec="seconds")})
    found = read_json(marker)
    version = found.get("format") if isinstance(found, dict) else None
    if version != FORMAT:
        raise VersionError(
            f"{folder} is a workspace of format {version!r}, this firstlisten reads format {FORMAT}; "
            "install the matching version, or ingest into a new workspace"
        )
    return Workspace(folder, store)
