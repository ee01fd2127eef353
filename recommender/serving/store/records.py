"""What goes into the store and comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from recommender.audio.signatures import Signature
from recommender.data.matching import Name

ListenResult = Literal["stored", "duplicate", "conflict"]


@dataclass(frozen=True)
class Listen:
    """One listen: `weight` plays (0 = heard and skipped), at `listened_at_ms` (UTC, milliseconds since 1970)."""

    user_id: str
    track_id: str
    listened_at_ms: int
    weight: float = 1.0
    client_id: str | None = None


@dataclass(frozen=True)
class UnmatchedListen:
    """One listen of a track that the catalog does not have yet, as `Listen`; and what the track is called."""

    user_id: str
    listened_at_ms: int
    weight: float
    name: Name


@dataclass(frozen=True)
class SavedPlaylist:
    """A playlist that a user keeps here; times are UTC, milliseconds since 1970."""

    playlist_id: str
    user_id: str
    name: str
    comment: str
    track_ids: tuple[str, ...]
    created_at_ms: int
    changed_at_ms: int


@dataclass(frozen=True)
class Feedback:
    """What a user said of a track: `value` 1 loved, -1 disliked, 0 taken back; `given_at_ms` as of a listen."""

    user_id: str
    track_id: str
    value: int
    given_at_ms: int


@dataclass(frozen=True)
class Erasure:
    """That a user was erased: not who, only the keyed hash by which `Store.hash_of` knows the id again."""

    seq: int
    user_hash: str
    erased_at_ms: int


@dataclass(frozen=True)
class PersonalRecord:
    """One row that is stored of a user: in which table, and what."""

    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Upload:
    """One uploaded file and what was heard in it.

    Parameters
    ----------
    track_id, content_hash, file_name : str
        `file_name` is relative to the uploads folder.
    title, artist, album : str
    duration_s : float
    embedding_version : str
        The audio model that made the vectors.
    vector : ndarray, shape (dim,), float32
    clip_vectors : ndarray, shape (n_clips, dim), float32
    clip_starts_s : ndarray, shape (n_clips,), float32
    signature : Signature or None
    """

    track_id: str
    content_hash: str
    file_name: str
    title: str
    artist: str
    album: str
    duration_s: float
    embedding_version: str
    vector: npt.NDArray[np.float32]
    clip_vectors: npt.NDArray[np.float32]
    clip_starts_s: npt.NDArray[np.float32]
    signature: Signature | None = None
