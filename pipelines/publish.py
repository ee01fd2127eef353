"""What leaves a workspace, and which of its bundles is current."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pipelines import console
from pipelines.workspace import Workspace
from recommender.data.tables import write_table
from recommender.errors import DataError
from recommender.serving.bundle import current_bundle, list_bundles, load_bundle, use_bundle


def export(workspace: Workspace, what: str, out: Path) -> None:
    """Write the current bundle's embeddings (item_id, embedding) or factors (kind, id, factors).

    Raises
    ------
    DataError
        If the bundle has none.
    """
    model = load_bundle(current_bundle(workspace.bundles)).model
    ids = model.catalog.tracks.ids
    if what == "embeddings":
        if model.sound is None:
            raise DataError(f"{workspace.folder}: the current bundle has no embeddings; ingest --music or --embeddings")
        heard = [row for row in range(len(ids)) if model.sound.has_vector[row]]
        frame = pd.DataFrame(
            {"item_id": [ids[row] for row in heard], "embedding": [model.sound.vectors[row].tolist() for row in heard]}
        )
    else:
        if model.factors is None:
            raise DataError(
                f"{workspace.folder}: the current bundle has no factors; ingest --interactions or --listens"
            )
        sides = (("user", model.users.ids, model.factors.user_factors), ("track", ids, model.posterior_factors))
        frame = pd.concat(
            [
                pd.DataFrame({"kind": kind, "id": list(names), "factors": [vector.tolist() for vector in vectors]})
                for kind, names, vectors in sides
            ],
            ignore_index=True,
        )
    write_table(out, frame)
    console.out.print(f"{out}: {len(frame)} rows", markup=False)


def show(workspace: Workspace) -> None:
    """Print the bundles, oldest first, and which one is current."""
    bundles = list_bundles(workspace.bundles)
    if not bundles:
        raise DataError(f"{workspace.folder} has no bundles; make one with: firstlisten train {workspace.folder}")
    current = current_bundle(workspace.bundles).name
    rows = [
        (
            "current" if bundle.version == current else "",
            bundle.version,
            bundle.created_at,
            bundle.metrics.get("validation", {}).get("ndcg", ""),
        )
        for bundle in bundles
    ]
    console.table(f"Bundles of {workspace.folder}", ("", "version", "made", "validation NDCG"), rows)


def use(workspace: Workspace, version: str) -> None:
    """Make a bundle the current one, after checking that it loads."""
    load_bundle(workspace.bundles / version)
    use_bundle(workspace.bundles, version)
    console.out.print(f"bundle {version} is current")
