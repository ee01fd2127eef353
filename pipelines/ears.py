"""Which network hears a workspace's music: that of its current bundle, or the shipped one until there is one."""

from __future__ import annotations

from pipelines import console
from pipelines.workspace import Workspace
from recommender.audio.clip_store import ClipStore
from recommender.audio.clips import ClipConfig
from recommender.audio.vector_store import VectorStore
from recommender.data.embeddings import Embeddings
from recommender.errors import ArtifactError, DataError
from recommender.models.ears import Ears
from recommender.models.shipped import load_shipped
from recommender.serving.bundle import bundle_ears, current_bundle


def current_ears(workspace: Workspace, threads: int = 1) -> Ears:
    """Load the network of the current bundle; the shipped one where there is no bundle or it has no network.

    Parameters
    ----------
    workspace : Workspace
    threads : int
        Of one forward pass.

    Raises
    ------
    ArtifactError
        If the current bundle is damaged, or the shipped network is needed and missing.
    """
    ears = None
    if (workspace.bundles / "current").exists():
        ears = bundle_ears(current_bundle(workspace.bundles), threads)
    return ears or load_shipped(threads)


def hear_library(workspace: Workspace, ears: Ears) -> Embeddings:
    """Return the vectors of every music file of a workspace, after analysing and embedding those that have none.

    Raises
    ------
    DataError
        If no music file can be used.
    """
    from pipelines import train

    files = workspace.files()
    files = files[files["error"] == ""]
    store = ClipStore(workspace.clips, ears.clip_config)
    vectors = VectorStore(workspace.embeddings, ears.version, store.version)
    if not files["content_hash"].isin(vectors.keys() | set(store.failures())).all():
        train.analyse(workspace, ears.clip_config, ears=ears)
    files = files[files["content_hash"].isin(vectors.keys())]
    if not len(files):
        raise DataError(f"{workspace.folder} has no music that can be heard; ingest --music, or --embeddings")
    return vectors.load(dict(zip(files["item_id"], files["content_hash"], strict=True)))


def ears_for(workspace: Workspace, clips: ClipConfig) -> Ears | None:
    """Load the network that an analysis with these settings embeds by; None where there is none, or it hears others."""
    try:
        ears = current_ears(workspace)
    except ArtifactError as error:
        console.err.print(f"nothing is embedded: {error}", markup=False)
        return None
    if ears.clip_config != clips:
        console.err.print(
            "nothing is embedded: the current network hears other clips than the settings say; train anew"
        )
        return None
    return ears
