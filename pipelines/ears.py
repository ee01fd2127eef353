"""Which network hears a workspace's music: that of its current bundle, or the shipped one until there is one."""

from __future__ import annotations

from pipelines import console
from pipelines.workspace import Workspace
from recommender.audio.clip_store import ClipStore
from recommender.data.embeddings import Embeddings
from recommender.errors import DataError
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
    """Embed every music file of a workspace, after analysing those that are new.

    Raises
    ------
    DataError
        If no music file can be used.
    """
    from pipelines import train

    files = workspace.files()
    files = files[files["error"] == ""]
    store = ClipStore(workspace.clips, ears.clip_config)
    if not files["content_hash"].isin(store.keys() | set(store.failures())).all():
        train.analyse(workspace, ears.clip_config)
        store = ClipStore(workspace.clips, ears.clip_config)
    files = files[files["content_hash"].isin(store.keys())]
    if not len(files):
        raise DataError(f"{workspace.folder} has no music that can be heard; ingest --music, or --embeddings")
    clips = store.load(dict(zip(files["item_id"], files["content_hash"], strict=True)))
    with console.progress("Listening") as bar:
        return ears.embed_clips(clips, bar)
