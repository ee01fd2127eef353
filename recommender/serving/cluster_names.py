"""What people call the clusters of the map; a name follows its tracks into the next training's clusters."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Sequence

from sqlalchemy import BigInteger, Integer, LargeBinary, String, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from recommender.data.vocabulary import Vocabulary
from recommender.ranking.atlas import NOWHERE, Atlas
from recommender.ranking.clusters import match_clusters
from recommender.serving.problems import Problem
from recommender.serving.store import Store
from recommender.serving.tables import Base

MAX_NAME = 80
MAX_MEMBERS = 5000
"""So many of a cluster's tracks are remembered, those nearest to its centre."""


class ClusterNameRow(Base):
    """One name, the bundle and cluster that it was given to, and that cluster's tracks."""

    __tablename__ = "cluster_names"
    name: Mapped[str] = mapped_column(String(4 * MAX_NAME), primary_key=True)
    bundle: Mapped[str] = mapped_column(String(128))
    cluster: Mapped[int] = mapped_column(Integer)
    members: Mapped[bytes] = mapped_column(LargeBinary)
    given_at_ms: Mapped[int] = mapped_column(BigInteger)


def names_of(store: Store, version: str, atlas: Atlas, tracks: Vocabulary) -> dict[int, str]:
    """Return the names of a map's clusters: those given to them, and those that came over from earlier bundles."""
    with store.session("read") as session:
        given = session.execute(
            select(ClusterNameRow.cluster, ClusterNameRow.name).where(ClusterNameRow.bundle == version)
        ).all()
        older = session.execute(
            select(ClusterNameRow.name, ClusterNameRow.members)
            .where(ClusterNameRow.bundle != version)
            .order_by(ClusterNameRow.given_at_ms)
        ).all()
    names = {int(cluster): str(name) for cluster, name in given}
    if not older:
        return names
    there = zip(tracks.ids, atlas.cluster_of.tolist(), strict=True)
    cluster_of = {track: cluster for track, cluster in there if cluster != NOWHERE and cluster not in names}
    named = {name: json.loads(zlib.decompress(members)) for name, members in older}
    return names | match_clusters(named, cluster_of)


def name_cluster(
    store: Store, version: str, cluster: int, name: str, members: Sequence[str], names: dict[int, str]
) -> None:
    """Give a cluster a name, or take its name away with an empty one.

    Parameters
    ----------
    store : Store
    version : str
    cluster : int
    name : str
    members : sequence of str
        The cluster's tracks, the nearest to its centre first.
    names : dict of int to str
        What `names_of` returns now.

    Raises
    ------
    Problem
        409 if another cluster has the name.
    """
    other = next((at for at, known in names.items() if known.casefold() == name.casefold() and at != cluster), None)
    if name and other is not None:
        raise Problem(409, "name-taken", f"another cluster is called {name!r} already; choose another name")
    row = ClusterNameRow(
        name=name,
        bundle=version,
        cluster=cluster,
        members=zlib.compress(json.dumps(list(members[:MAX_MEMBERS])).encode()),
        given_at_ms=time.time_ns() // 1_000_000,
    )
    with store.session("written") as session:
        session.execute(delete(ClusterNameRow).where(ClusterNameRow.name.in_([name, names.get(cluster, name)])))
        if name:
            session.add(row)
