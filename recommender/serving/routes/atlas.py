"""The map of the library, its clusters, and what people call them."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Sequence

import numpy as np
from fastapi import APIRouter, Request, Response

from recommender.errors import UnknownIdError
from recommender.ranking.atlas import NOWHERE, SIDE, Atlas, map_vectors
from recommender.ranking.cluster_traits import genre_of, told, traits_of
from recommender.serving.cluster_names import name_cluster, names_of
from recommender.serving.context import Context, Now, ServerContext
from recommender.serving.live import Snapshot
from recommender.serving.mapping import artist_column, tempo_column
from recommender.serving.problems import problems
from recommender.serving.schemas.map import Cluster, ClusterAnswer, ClusterList, ClusterName, MapAnswer
from recommender.serving.views import tracks_of

router = APIRouter(prefix="/v1", tags=["map"])
TYPICAL = 3
ARTISTS = 2


@router.get(
    "/map",
    summary="Where all tracks lie",
    response_model=MapAnswer,
    responses={304: {"description": "The client has it already."}, **problems(503)},
)
def get_map(request: Request, now: Now, context: ServerContext) -> Response:
    """Place every track whose sound is known in a plane, the like near the like; packed, with an ETag."""
    atlas = context.maps.atlas(now)
    tag = f'"{now.manifest.version}-{len(atlas.places)}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    packed = context.maps.packed(tag, lambda: _packed(now, atlas))
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(gzip.decompress(packed), media_type="application/json", headers=headers)
    return Response(packed, media_type="application/json", headers={**headers, "Content-Encoding": "gzip"})


@router.get("/clusters", summary="The clusters of the map", responses=problems(503))
def list_clusters(now: Now, context: ServerContext) -> ClusterList:
    """List the groups of tracks that sound alike, the largest first."""
    atlas = context.maps.atlas(now)
    names = names_of(context.store, now.manifest.version, atlas, now.model.catalog.tracks)
    items = [_cluster(now, atlas, cluster, names.get(cluster)) for cluster in range(len(atlas.centres))]
    return ClusterList(bundle=now.manifest.version, items=items)


@router.put("/clusters/{cluster_id}", summary="Name a cluster", responses=problems(400, 404, 409, 413, 422, 503))
def put_cluster(cluster_id: str, given: ClusterName, now: Now, context: ServerContext) -> ClusterAnswer:
    """Call a cluster something; the name stays with its tracks when the model is trained again."""
    atlas, cluster, rows = members_of(context, now, cluster_id)
    version, tracks = now.manifest.version, now.model.catalog.tracks
    names = names_of(context.store, version, atlas, tracks)
    name_cluster(context.store, version, cluster, given.name, tracks.ids_of(rows), names)
    return ClusterAnswer(bundle=version, cluster=_cluster(now, atlas, cluster, given.name or None))


def members_of(context: Context, now: Snapshot, cluster_id: str) -> tuple[Atlas, int, np.ndarray]:
    """Return the map, a cluster's number, and the catalog rows of its tracks, the nearest to its centre first.

    A name names its cluster too, whichever that is after the next training.

    Raises
    ------
    UnknownIdError
        If this bundle has no such cluster.
    """
    atlas = context.maps.atlas(now)
    by_id = {_id_of(now, cluster): cluster for cluster in range(len(atlas.centres))}
    if cluster_id not in by_id:
        names = names_of(context.store, now.manifest.version, atlas, now.model.catalog.tracks)
        by_id |= {name: cluster for cluster, name in names.items()}
    if cluster_id not in by_id:
        raise UnknownIdError(f"unknown cluster {cluster_id!r}: GET /v1/clusters lists those of this bundle")
    return atlas, by_id[cluster_id], _rows_of(now, atlas, by_id[cluster_id])


def _id_of(now: Snapshot, cluster: int) -> str:
    return f"{cluster}-{hashlib.blake2b(now.manifest.version.encode(), digest_size=3).hexdigest()}"


def _rows_of(now: Snapshot, atlas: Atlas, cluster: int) -> np.ndarray:
    rows = np.flatnonzero(atlas.cluster_of == cluster)
    fit = map_vectors(now.model)[0][rows] @ atlas.centres[cluster]
    return rows[np.argsort(-fit, kind="stable")]


def _cluster(now: Snapshot, atlas: Atlas, cluster: int, name: str | None) -> Cluster:
    rows = _rows_of(now, atlas, cluster)
    artists = Counter(artist for artist in now.model.catalog.table["artist"].iloc[rows] if artist)
    tempo = now.signatures.column("tempo_bpm")[rows]
    tempo = tempo[tempo > 0]
    genre = genre_of(*now.model.catalog.genre_codes, rows)
    x, y = np.median(atlas.places[rows], axis=0) if len(rows) else (0, 0)
    return Cluster(
        id=_id_of(now, cluster),
        name=name,
        label=", ".join(artist for artist, _ in artists.most_common(ARTISTS)) or f"Cluster {cluster + 1}",
        traits=told([*([genre] if genre else []), *traits_of(now.signatures, rows)]),
        size=len(rows),
        stability=round(float(atlas.stability[cluster]), 3),
        tempo_bpm=round(float(np.median(tempo)), 1) if len(tempo) else None,
        x=int(x),
        y=int(y),
        typical=tracks_of(now, rows[:TYPICAL]),
    )


def _packed(now: Snapshot, atlas: Atlas) -> bytes:
    there = np.flatnonzero(atlas.cluster_of != NOWHERE)
    ids = now.model.catalog.tracks.ids
    codes, names = artist_column(now.model.catalog)
    answer = {
        "bundle": now.manifest.version,
        "total": len(ids),
        "side": SIDE,
        "ids": [ids[row] for row in there],
        "x": atlas.places[there, 0].tolist(),
        "y": atlas.places[there, 1].tolist(),
        "cluster": atlas.cluster_of[there].tolist(),
        "tempo": _at(tempo_column(now), there),
        "artist": _at(codes, there),
        "artists": names,
    }
    return gzip.compress(
        json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode(), compresslevel=6, mtime=0
    )


def _at(values: Sequence[int], rows: np.ndarray) -> list[int]:
    return [values[row] for row in rows]
