"""The vector store: what a network made of the clips of each file, on disk, so that none is heard twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from recommender.data.embeddings import Embeddings
from recommender.data.storage import load_arrays, save_arrays
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ArtifactError, DataError

KIND = "clip-vectors"

Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ClipVectors:
    """What a network made of one file.

    Parameters
    ----------
    vectors : ndarray, shape (n_clips, dim), float32
        Unit vectors.
    starts_s : ndarray, shape (n_clips,), float32
    """

    vectors: Float32s
    starts_s: Float32s


class VectorStore:
    """A folder of shards that only ever grows; each shard is whole or absent.

    Vectors of another network, or of other clips, live in a folder of their own: those of an old network stay until
    `forget_others`, however far the new one has come.

    One process may write at a time; any number may read meanwhile.

    Parameters
    ----------
    folder : Path
        Of all networks; need not exist.
    version : str
        Of the network.
    clips : str
        Version of the `ClipStore` that holds the clips.
    """

    def __init__(self, folder: Path, version: str, clips: str) -> None:
        self.version = version
        self.folder = Path(folder) / version / clips
        self._shard_of: dict[str, Path] = {}
        self._known: set[Path] = set()

    def keys(self) -> set[str]:
        """Return the content digests whose vectors are stored."""
        return set(self._index())

    def append(self, tracks: Sequence[tuple[str, ClipVectors]]) -> None:
        """Write one shard of (content digest, vectors).

        Raises
        ------
        ArtifactError
            If it cannot be written; nothing is left of it.
        """
        if not tracks:
            return
        for part in self.folder.glob(".part-*"):
            part.unlink(missing_ok=True)
        arrays = {
            "vectors": np.concatenate([heard.vectors for _, heard in tracks]),
            "starts_s": np.concatenate([heard.starts_s for _, heard in tracks]),
        }
        rows = [{"key": key, "count": len(heard.vectors)} for key, heard in tracks]
        number = max((int(path.stem.removeprefix("shard-")) for path in self._shards()), default=-1) + 1
        path = self.folder / f"shard-{number:06d}.safetensors"
        try:
            save_arrays(path, KIND, self.version, arrays, rows)
        except OSError as error:
            raise ArtifactError(f"{path} cannot be written: {error}; make room and run firstlisten analyse") from error

    def load(self, keys: Mapping[str, str]) -> Embeddings:
        """Return the vectors of many tracks.

        Parameters
        ----------
        keys : mapping of track id to content digest

        Raises
        ------
        DataError
            If there is no track, or one has no vectors here.
        """
        index = self._index()
        if missing := set(keys.values()) - set(index):
            raise DataError(f"{len(missing)} tracks have no vectors of {self.version}; run: firstlisten analyse")
        if not keys:
            raise DataError(f"vectors of no track are asked of {self.folder}")
        found: dict[str, ClipVectors] = {}
        for path in {index[key] for key in keys.values()}:
            arrays, rows = load_arrays(path, KIND, self.version)
            ends = np.cumsum([row["count"] for row in rows])
            for row, end in zip(rows, ends, strict=True):
                part = slice(int(end) - row["count"], int(end))
                if index[row["key"]] == path:
                    found[row["key"]] = ClipVectors(arrays["vectors"][part], arrays["starts_s"][part])
        heard = [found[key] for key in keys.values()]
        clip_tracks = np.repeat(np.arange(len(heard), dtype=np.int32), [len(one.vectors) for one in heard])
        return Embeddings.of_clips(
            Vocabulary("track", tuple(keys)),
            np.concatenate([one.vectors for one in heard]),
            clip_tracks,
            np.concatenate([one.starts_s for one in heard]),
            self.version,
        )

    def _shards(self) -> list[Path]:
        return sorted(self.folder.glob("shard-*.safetensors"))

    def _index(self) -> dict[str, Path]:
        for path in self._shards():
            if path in self._known:
                continue
            try:
                with safe_open(path, framework="numpy") as shard:
                    rows = json.loads((shard.metadata() or {})["metadata"])
            except (SafetensorError, OSError, KeyError, ValueError) as error:
                raise ArtifactError(
                    f"{path} is damaged: {error}; delete it and run firstlisten analyse: nothing is decoded again"
                ) from error
            self._shard_of.update((row["key"], path) for row in rows)
            self._known.add(path)
        return self._shard_of


def forget_others(folder: Path, versions: Collection[str]) -> None:
    """Delete the vectors of all networks but these; `folder` is that of a `VectorStore`."""
    for version in folder.iterdir() if folder.is_dir() else ():
        if version.is_dir() and version.name not in versions:
            shutil.rmtree(version)
