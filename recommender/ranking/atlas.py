"""A map of the library: where each track lies in a plane, and which cluster it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recommender.data.storage import Array, load_arrays, save_arrays
from recommender.errors import ArtifactError
from recommender.ranking.clusters import choose_clusters, nearest_centre
from recommender.ranking.layout import lay_out
from recommender.ranking.model import HybridModel

KIND = "atlas"
SIDE = 16383
"""Coordinates are whole numbers from 0 to this."""

NOWHERE = -1
ANCHORS = 5
"""A track that came after the map was drawn lies between so many that it sounds like."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Atlas:
    """A map.

    Parameters
    ----------
    places : ndarray, shape (n_tracks, 2), int16
        In catalog rows, 0 to `SIDE`; `NOWHERE` where nothing is known of a track's sound, or of anybody's.
    cluster_of : ndarray, shape (n_tracks,), int16
        `NOWHERE` alike.
    centres : ndarray, shape (k, dim), float32
        Unit vectors.
    stability : ndarray, shape (k,), float32
        See `recommender.ranking.clusters.stability`.
    """

    places: npt.NDArray[np.int16]
    cluster_of: npt.NDArray[np.int16]
    centres: Floats
    stability: Floats


def map_vectors(model: HybridModel) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the unit vectors that a map is drawn from, (n_tracks, dim), and which of them are known.

    They are those of the sound; without any, the factors of the tracks that have listeners.
    """
    if model.has_vector.any():
        return model.sound_vectors, model.has_vector
    length = np.linalg.norm(model.posterior_factors, axis=1, keepdims=True)
    known = (length[:, 0] > 1e-9) & (model.evidence > 0)
    vectors = np.divide(
        model.posterior_factors, length, out=np.zeros_like(model.posterior_factors), where=known[:, None]
    )
    return vectors, known


def draw_atlas(model: HybridModel, seed: int = 0) -> Atlas:
    """Draw the map of a model's catalog by `layout.lay_out` and `clusters.choose_clusters`; same seed, same map."""
    vectors, known = map_vectors(model)
    places = np.full((len(vectors), 2), NOWHERE, dtype=np.int16)
    cluster_of = np.full(len(vectors), NOWHERE, dtype=np.int16)
    if not known.any():
        return Atlas(places, cluster_of, vectors[:0], np.empty(0, dtype=np.float32))
    plane = lay_out(vectors[known], seed)
    low, high = plane.min(axis=0), plane.max(axis=0)
    unit = (plane - (low + high) / 2) / max(float((high - low).max()), 1e-9) + 0.5
    places[known] = np.rint(np.clip(unit, 0, 1) * SIDE)
    clusters, stability = choose_clusters(vectors[known], seed=seed)
    cluster_of[known] = clusters.member_of
    return Atlas(places, cluster_of, clusters.centres, stability)


def with_new_places(atlas: Atlas, model: HybridModel) -> Atlas:
    """Return the map with the tracks that the model has beyond it: each lies amid those that it sounds like."""
    count = len(atlas.places)
    vectors, known = map_vectors(model)
    if len(vectors) == count or vectors.shape[1] != atlas.centres.shape[1]:
        return _padded(atlas, len(vectors) - count)
    wider = _padded(atlas, len(vectors) - count)
    there = np.flatnonzero(atlas.cluster_of != NOWHERE)
    for row in np.flatnonzero(known[count:]) + count:
        likeness = vectors[there] @ vectors[row]
        near = there[np.argsort(-likeness, kind="stable")[:ANCHORS]]
        wider.places[row] = np.median(atlas.places[near], axis=0)
        wider.cluster_of[row] = nearest_centre(vectors[row][None], atlas.centres)[0]
    return wider


def save_atlas(path: Path, atlas: Atlas, version: str) -> None:
    """Write the map of the bundle `version`."""
    arrays: dict[str, Array] = {
        "places": atlas.places,
        "cluster_of": atlas.cluster_of,
        "centres": atlas.centres,
        "stability": atlas.stability,
    }
    save_arrays(path, KIND, version, arrays)


def load_atlas(path: Path, version: str, n_tracks: int) -> Atlas:
    """Read a map.

    Raises
    ------
    ArtifactError
        If the file is missing, damaged, or not of `n_tracks` tracks.
    VersionError
        If it belongs to another version.
    """
    arrays, _ = load_arrays(path, KIND, version)
    if len(arrays["cluster_of"]) != n_tracks:
        raise ArtifactError(f"{path} maps {len(arrays['cluster_of'])} tracks, expected {n_tracks}; delete the file")
    return Atlas(arrays["places"], arrays["cluster_of"], arrays["centres"], arrays["stability"])


def _padded(atlas: Atlas, count: int) -> Atlas:
    return replace(
        atlas,
        places=np.vstack([atlas.places, np.full((count, 2), NOWHERE, dtype=np.int16)]),
        cluster_of=np.r_[atlas.cluster_of, np.full(count, NOWHERE, dtype=np.int16)],
    )
