"""What leaves a workspace, and which of its bundles is current."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipelines import console
from pipelines.workspace import Workspace
from recommender.audio.signatures import Signatures, to_json
from recommender.data.storage import atomic_path
from recommender.data.tables import write_table
from recommender.errors import ArtifactError, DataError
from recommender.serving.bundle import Manifest, bundle_ears, current_bundle, list_bundles, load_bundle, use_bundle

TOLERATED_LOSS = 0.05


def export(workspace: Workspace, what: str, out: Path, version: str | None = None) -> None:
    """Write a bundle's embeddings (item_id, embedding), factors (kind, id, factors) or signatures.

    Raises
    ------
    DataError
        If the bundle has none.
    ArtifactError
        If there is no such bundle.
    """
    bundle = load_bundle(bundle_folder(workspace, version))
    model = bundle.model
    ids = model.catalog.tracks.ids
    if what == "embeddings":
        if model.sound is None:
            raise DataError(f"{workspace.folder}: the bundle has no embeddings; ingest --music or --embeddings")
        heard = [row for row in range(len(ids)) if model.sound.has_vector[row]]
        frame = pd.DataFrame(
            {"item_id": [ids[row] for row in heard], "embedding": [model.sound.vectors[row].tolist() for row in heard]}
        )
    elif what == "signature":
        frame = _signature_table(workspace, ids, bundle.signatures)
    else:
        if model.factors is None:
            raise DataError(f"{workspace.folder}: the bundle has no factors; ingest --interactions or --listens")
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


def export_network(workspace: Workspace, out: Path, version: str | None = None) -> None:
    """Write a bundle's network as ONNX; by default the current one's. See `recommender.models.onnx_export`.

    Raises
    ------
    DataError
        If the bundle has none.
    ArtifactError
        If there is no such bundle.
    """
    import onnx

    folder = bundle_folder(workspace, version)
    ears = bundle_ears(folder)
    if ears is None:
        why = "its embeddings were supplied" if workspace.supplied_embeddings() is not None else "it has heard no audio"
        raise DataError(f"bundle {folder.name} has no network, {why}; ingest --music into a workspace and train there")
    onnx.checker.check_model(ears.content)
    with atomic_path(out) as part:
        part.write_bytes(ears.content)
    console.out.print(f"{out}: network {ears.version}, {len(ears.content) / 1e6:.1f} MB", markup=False)


def _signature_table(workspace: Workspace, ids: Sequence[str], signatures: Signatures | None) -> pd.DataFrame:
    if signatures is None:
        raise DataError(f"{workspace.folder}: the current bundle has no signatures; ingest --music, then train")
    found = [(track, one) for row, track in enumerate(ids) if (one := signatures.row(row)) is not None]
    rows = [{"item_id": track, "key": one.key, "camelot": one.camelot, **to_json(one)} for track, one in found]
    return pd.DataFrame(rows)


def show(workspace: Workspace) -> None:
    """Print the bundles, oldest first, and which one is current."""
    bundles = list_bundles(workspace.bundles)
    if not bundles:
        raise DataError(f"{workspace.folder} has no bundles; make one with: firstlisten train {workspace.folder}")
    try:
        current = current_bundle(workspace.bundles).name
    except ArtifactError as error:
        current = ""
        console.err.print(str(error), markup=False)
    rows = [
        (
            "current" if bundle.version == current else "",
            bundle.version,
            bundle.created_at,
            "" if (ndcg := held_out_ndcg(bundle)) is None else f"{ndcg:.3f}",
        )
        for bundle in bundles
    ]
    console.table(f"Bundles of {workspace.folder}", ("", "version", "made", "validation NDCG"), rows)


def held_out_ndcg(manifest: Manifest) -> float | None:
    """Return the NDCG that a bundle's recipe reached on plays hidden from it, None without plays.

    New and known tracks mixed in one list where there is sound, known tracks otherwise.
    """
    found = manifest.metrics.get("validation", {})
    if "mixed" in found:
        return float(found["mixed"]["blend"]["total"])
    return float(found["warm"]["blend"]) if "warm" in found else None


def worse_than(new: Manifest, old: Manifest | None) -> str | None:
    """Say why a bundle should not replace another, None if it may.

    Both were measured on plays hidden from them; a new one may lose `TOLERATED_LOSS` of the old one's NDCG by chance.
    Where another share of tracks was hidden the two figures cannot be compared, and the new one may.
    """
    if old is None:
        return None
    hidden = {_hidden_tracks(new), _hidden_tracks(old)} - {None}
    if len(hidden) > 1:
        return None
    found, before = held_out_ndcg(new), held_out_ndcg(old)
    if found is None or before is None or found >= (1 - TOLERATED_LOSS) * before:
        return None
    return f"on plays hidden from it, it reaches NDCG {found:.3f}; {old.version} reached {before:.3f}"


def _hidden_tracks(manifest: Manifest) -> int | None:
    found: int | None = manifest.metrics.get("validation", {}).get("cold_tracks")
    return found


def loads(folder: Path) -> bool:
    """Tell whether a bundle can be served by this version."""
    try:
        load_bundle(folder)
    except ArtifactError:
        return False
    return True


def use(workspace: Workspace, version: str) -> None:
    """Make a bundle the current one, after checking that it loads."""
    load_bundle(bundle_folder(workspace, version))
    use_bundle(workspace.bundles, version)
    console.out.print(f"bundle {version} is current")


def bundle_folder(workspace: Workspace, version: str | None) -> Path:
    """Return the folder of a bundle, of the current one without a version.

    Raises
    ------
    ArtifactError
        If there is none; those that there are are named.
    """
    if version is None:
        return current_bundle(workspace.bundles)
    if not (workspace.bundles / version / "manifest.json").exists():
        known = [bundle.version for bundle in list_bundles(workspace.bundles)]
        raise ArtifactError(f"{workspace.folder} has no bundle {version!r}; it has {', '.join(known) or 'none'}")
    return workspace.bundles / version
