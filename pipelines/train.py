"""Analyse what is new, teach the network to hear, fit the blend, write a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines import console
from pipelines.config import Settings
from pipelines.ingest import add_music
from pipelines.workspace import Workspace
from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.progress import Progress, silent
from recommender.data.storage import digest_of
from recommender.errors import DataError

if TYPE_CHECKING:
    from recommender.audio.clips import Clips
    from recommender.models.train_cnn import TrainedCnn

MIN_HEARD_TRACKS = 8


@dataclass(frozen=True, eq=False)
class Library:
    """A workspace's tables, read once.

    Parameters
    ----------
    catalog : Catalog
    interactions : Interactions
    embeddings : Embeddings or None
        Supplied ones; they are used instead of audio.
    clips : Clips or None
        Of the tracks that were analysed; None without audio or with supplied embeddings.
    """

    catalog: Catalog
    interactions: Interactions
    embeddings: Embeddings | None
    clips: Clips | None

    @property
    def digest(self) -> str:
        """Digest of everything that a training sees."""
        plays = self.interactions
        parts = [
            np.array(self.catalog.tracks.ids, dtype=object),
            np.array(plays.users.ids, dtype=object),
            plays.user_rows,
            plays.track_rows,
            plays.weights,
        ]
        if self.embeddings is not None:
            parts.append(self.embeddings.vectors)
        if self.clips is not None:
            parts += [np.array(self.clips.tracks.ids, dtype=object), self.clips.mels]
        return digest_of(*parts)


def analyse(workspace: Workspace, *, workers: int | None = None, retry: bool = False) -> None:
    """Decode every new or changed file of the workspace; see `pipelines.analyse`."""
    from pipelines.analyse import analyse_files
    from recommender.audio.clip_store import ClipStore
    from recommender.audio.clips import ClipConfig

    if workspace.uploads.is_dir():
        with workspace.writing():
            add_music(workspace, workspace.uploads, [], [], silent)
    files = workspace.files()
    files = files[files["error"] == ""]
    if not len(files):
        return
    store = ClipStore(workspace.clips, ClipConfig())
    jobs = [
        (str(item), str(content), Path(root) / path)
        for item, content, root, path in zip(
            files["item_id"], files["content_hash"], files["root"], files["path"], strict=True
        )
    ]
    with workspace.writing(), console.progress("Analysing") as bar:
        report = analyse_files(jobs, store, workers=workers, retry=retry, progress=bar)
    console.out.print(f"analysed {report.done} files, {report.skipped} were known, {len(report.failed)} cannot be used")
    console.warn([f"{path}: {reason}" for path, reason in report.failed])
    if report.warned:
        console.err.print(f"{len(report.warned)} used in part:")
        console.warn([f"{path}: {text}" for path, text in report.warned])


def read_library(workspace: Workspace) -> Library:
    """Read a workspace's tables and analysed clips.

    Raises
    ------
    DataError
        If there is nothing to learn from.
    """
    from recommender.audio.clip_store import ClipStore
    from recommender.audio.clips import ClipConfig

    catalog = workspace.catalog()
    if not len(catalog):
        raise DataError(f"{workspace.folder} holds no tracks; fill it with: firstlisten ingest {workspace.folder} ...")
    interactions = workspace.interactions(catalog)
    embeddings = workspace.supplied_embeddings()
    clips = None
    if embeddings is None and workspace.clips.is_dir():
        files = workspace.files()
        store = ClipStore(workspace.clips, ClipConfig())
        analysed = files["content_hash"].isin(store.keys())
        keys = dict(zip(files["item_id"][analysed], files["content_hash"][analysed], strict=True))
        if len(keys) >= MIN_HEARD_TRACKS:
            clips = store.load(keys)
    if not len(interactions) and embeddings is None and clips is None:
        raise DataError(
            f"{workspace.folder} holds {len(catalog)} tracks but no plays of them and nothing to hear "
            f"(at least {MIN_HEARD_TRACKS} analysed tracks); ingest --interactions, --music or --embeddings"
        )
    return Library(catalog, interactions, embeddings, clips)


def hear(
    library: Library,
    training: Interactions,
    settings: Settings,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> tuple[Embeddings | None, TrainedCnn | None]:
    """Give every analysed track its embedding, by a network that has seen only the plays in `training`.

    Parameters
    ----------
    library : Library
    training : Interactions
    settings : Settings
    seed : int
    checkpoint : Path, optional
        Training goes on from it where it is there.
    progress : Progress

    Returns
    -------
    embeddings : Embeddings or None
        The supplied ones where there are some; None where there is no audio either.
    trained : TrainedCnn or None
        None where nothing was trained.
    """
    if library.clips is None:
        return library.embeddings, None
    from dataclasses import replace

    from recommender.models.als import fit_als
    from recommender.models.embed import embed_clips, load_cnn
    from recommender.models.train_cnn import train_cnn

    factors = fit_als(training, replace(settings.ranker.als, seed=seed)) if len(training) else None
    evidence = training.track_evidence() if len(training) else None
    config = replace(settings.train_cnn, seed=seed)
    trained = train_cnn(library.clips, factors, evidence, config, checkpoint, progress)
    return embed_clips(load_cnn(trained), library.clips), trained
