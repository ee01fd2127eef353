"""The clip store: what was heard of each file, on disk, so that no file is decoded twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from recommender.audio.clips import ClipConfig, Clips, TrackClips
from recommender.audio.signatures import Signature, from_json, to_json
from recommender.data.storage import read_json, save_arrays, write_json
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ArtifactError, DataError

FORMAT = 2
"""Raise it when the same file and settings give other clips than before: files are then analysed anew."""

KIND = "clips"


@dataclass(frozen=True)
class Place:
    """Where a track's clips are: rows of a shard."""

    shard: Path
    first: int
    count: int
    duration_s: float
    warnings: tuple[str, ...]
    signature: Signature | None


class ClipStore:
    """A folder of shards that only ever grows; each shard is whole or absent.

    Files are known by the digest of their content, so a moved or renamed file is not analysed again. Clips of other
    settings live in a subfolder of their own: going back to earlier settings finds the earlier clips.

    One process may write at a time; any number may read meanwhile.

    Parameters
    ----------
    folder : Path
        Need not exist.
    config : ClipConfig
    """

    def __init__(self, folder: Path, config: ClipConfig) -> None:
        self.config = config
        settings = json.dumps({"format": FORMAT, **asdict(config)}, sort_keys=True)
        self.version = hashlib.blake2b(settings.encode(), digest_size=6).hexdigest()
        self.folder = Path(folder) / self.version
        self._places: dict[str, Place] = {}
        self._known_shards: set[Path] = set()
        self._swept = False

    def keys(self) -> set[str]:
        """Return the content digests whose clips are stored."""
        return set(self._index())

    def failures(self) -> dict[str, str]:
        """Return the content digests that cannot be used, each with its reason."""
        path = self._failures_path
        return {str(key): str(reason) for key, reason in read_json(path).items()} if path.exists() else {}

    def warnings(self) -> dict[str, tuple[str, ...]]:
        """Return what could not be decoded of stored files, by content digest; only files with warnings."""
        return {key: place.warnings for key, place in self._index().items() if place.warnings}

    def signatures(self, keys: Mapping[str, str]) -> dict[str, Signature]:
        """Return the signatures of tracks, by track id; those without one are left out.

        Parameters
        ----------
        keys : mapping of track id to content digest
        """
        index = self._index()
        found = ((track, index[key].signature) for track, key in keys.items() if key in index)
        return {track: signature for track, signature in found if signature is not None}

    def append(self, tracks: Sequence[tuple[str, TrackClips]]) -> None:
        """Write one shard of tracks; a key that is stored already is replaced.

        Parameters
        ----------
        tracks : sequence of (content digest, TrackClips)

        Raises
        ------
        DataError
            If a track's clips are of other settings.
        ArtifactError
            If the shard cannot be written; nothing is left of it.
        """
        if not tracks:
            return
        self._sweep()
        shape = (self.config.mel.n_mels, self.config.n_frames)
        for key, clips in tracks:
            if clips.mels.shape[1:] != shape or not len(clips.mels) == len(clips.starts_s) > 0:
                raise DataError(f"clips of {key} have shape {clips.mels.shape}, expected (at least 1, {shape})")
        rows = [
            {
                "key": key,
                "count": len(clips.mels),
                "duration_s": clips.duration_s,
                "warnings": list(clips.warnings),
                "signature": None if clips.signature is None else to_json(clips.signature),
            }
            for key, clips in tracks
        ]
        arrays = {
            "mels": np.concatenate([clips.mels for _, clips in tracks]),
            "starts_s": np.concatenate([clips.starts_s for _, clips in tracks]).astype(np.float32),
        }
        number = max((int(path.stem.removeprefix("shard-")) for path in self._shards()), default=-1) + 1
        path = self.folder / f"shard-{number:06d}.safetensors"
        try:
            save_arrays(path, KIND, self.version, arrays, {"tracks": rows})
        except (OSError, SafetensorError) as error:
            raise ArtifactError(f"{path} cannot be written: {error}; make room and run firstlisten analyse") from error

    def add_failures(self, reasons: Mapping[str, str]) -> None:
        """Remember content digests that cannot be used, each with its reason."""
        if reasons:
            write_json(self._failures_path, {**self.failures(), **reasons})

    def forget_failures(self) -> None:
        """Let every file be tried again."""
        self._failures_path.unlink(missing_ok=True)

    def get(self, key: str) -> TrackClips:
        """Return the clips of one file.

        Raises
        ------
        DataError
            If they are not stored.
        """
        return read_place(self.place(key))

    def place(self, key: str) -> Place:
        """Return where the clips of one file are, for `read_place` in another process.

        Raises
        ------
        DataError
            If they are not stored.
        """
        (place,) = self._places_of([key])
        return place

    def load(self, keys: Mapping[str, str]) -> Clips:
        """Read the clips of many tracks into one table.

        Parameters
        ----------
        keys : mapping of track id to content digest

        Returns
        -------
        Clips
            Tracks in the order of `keys`, the clips of a track together and in time order.

        Raises
        ------
        DataError
            If a track's clips are not stored.
        """
        places = self._places_of(keys.values())
        counts = np.array([place.count for place in places], dtype=np.int64)
        firsts = np.cumsum(counts) - counts
        mels = np.empty((int(counts.sum()), self.config.mel.n_mels, self.config.n_frames), dtype=np.uint8)
        starts_s = np.empty(len(mels), dtype=np.float32)
        by_shard: dict[Path, list[int]] = {}
        for row, place in enumerate(places):
            by_shard.setdefault(place.shard, []).append(row)
        for path, rows in by_shard.items():
            with _opened(path) as shard:
                for row in rows:
                    target = slice(int(firsts[row]), int(firsts[row] + counts[row]))
                    mels[target], starts_s[target] = _rows(shard, places[row])
        clip_tracks = np.repeat(np.arange(len(places), dtype=np.int32), counts)
        return Clips(Vocabulary("track", tuple(keys)), mels, clip_tracks, starts_s)

    @property
    def _failures_path(self) -> Path:
        return self.folder / "failures.json"

    def _places_of(self, keys: Iterable[str]) -> list[Place]:
        index = self._index()
        try:
            return [index[key] for key in keys]
        except KeyError as error:
            raise DataError(f"no clips are stored of content {error.args[0]}; run: firstlisten analyse") from None

    def _shards(self) -> list[Path]:
        return sorted(self.folder.glob("shard-*.safetensors"))

    def _index(self) -> dict[str, Place]:
        for path in self._shards():
            if path not in self._known_shards:
                self._places.update(self._read_index(path))
                self._known_shards.add(path)
        return self._places

    def _read_index(self, path: Path) -> Iterator[tuple[str, Place]]:
        with _opened(path) as shard:
            header = shard.metadata() or {}
            if header.get("kind") != KIND or header.get("version") != self.version:
                raise ArtifactError(f"{path} holds {header.get('kind')!r}, expected clips of {self.version}; delete it")
            tracks = json.loads(header["metadata"])["tracks"]
        first = 0
        for track in tracks:
            told = track.get("signature")
            signature = None if told is None else from_json(told)
            place = Place(path, first, track["count"], track["duration_s"], tuple(track["warnings"]), signature)
            first += place.count
            yield track["key"], place

    def _sweep(self) -> None:
        """Remove what a killed writer left half written."""
        if not self._swept:
            for path in self.folder.glob(".part-*"):
                path.unlink(missing_ok=True)
            self._swept = True


def read_place(place: Place) -> TrackClips:
    """Read the clips that `ClipStore.place` names.

    Raises
    ------
    ArtifactError
        If their shard is damaged or gone.
    """
    with _opened(place.shard) as shard:
        mels, starts_s = _rows(shard, place)
    return TrackClips(mels, starts_s, place.duration_s, place.warnings, place.signature)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="numpy") as shard:
            yield shard
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ArtifactError(
            f"{path} is damaged: {error}; delete it and run firstlisten analyse: only its tracks are decoded again"
        ) from error


def _rows(shard: Any, place: Place) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    rows = slice(place.first, place.first + place.count)
    return shard.get_slice("mels")[rows], shard.get_slice("starts_s")[rows]
