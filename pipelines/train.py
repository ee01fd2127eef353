"""Analyse what is new, teach the network to hear, fit the blend, write a bundle.

One file though it is long: it is one training, in the order in which it happens.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipelines import console
from pipelines.als_memory import recall_strength, remember_strength
from pipelines.config import Settings
from pipelines.ingest import add_music, add_plays, add_tracks
from pipelines.publish import held_out_ndcg, loads, worse_than
from pipelines.workspace import Workspace
from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.progress import Progress, silent
from recommender.data.storage import digest_of
from recommender.errors import DataError

if TYPE_CHECKING:
    from recommender.audio.clips import ClipConfig, Clips
    from recommender.audio.signatures import Signature
    from recommender.models.cnn_config import TrainCnnConfig
    from recommender.models.ears import Ears
    from recommender.models.trained_cnn import TrainedCnn
    from recommender.ranking.model import RankerConfig
    from recommender.serving.bundle import Manifest

MIN_HEARD_TRACKS = 8
DIAL_FIGURES = ("total", "known part", "new part")


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
    signatures : mapping of track id to Signature
        Of the tracks that were analysed.
    """

    catalog: Catalog
    interactions: Interactions
    embeddings: Embeddings | None
    clips: Clips | None
    signatures: Mapping[str, Signature] = field(default_factory=dict)

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
            plays.times,
            self.catalog.artist_codes(),
        ]
        if self.embeddings is not None:
            parts += [np.array(self.embeddings.tracks.ids, dtype=object), self.embeddings.vectors]
        if self.clips is not None:
            parts += [np.array(self.clips.tracks.ids, dtype=object), self.clips.clip_tracks, self.clips.mels]
        return digest_of(*parts)


def analyse(
    workspace: Workspace,
    clips: ClipConfig,
    *,
    ears: Ears | None = None,
    workers: int | None = None,
    retry: bool = False,
) -> None:
    """Decode every new or changed file of the workspace, and embed what `ears` have not heard yet.

    Vectors of networks that no bundle has are deleted once those of `ears` are complete; see `pipelines.analyse`.
    """
    from pipelines.analyse import analyse_files
    from recommender.audio.clip_store import ClipStore
    from recommender.audio.vector_store import VectorStore

    files = workspace.files()
    files = files[files["error"] == ""]
    if not len(files):
        console.out.print("no music files to analyse")
        return
    store = ClipStore(workspace.clips, clips)
    jobs = [
        (str(item), str(content), Path(root) / path)
        for item, content, root, path in zip(
            files["item_id"], files["content_hash"], files["root"], files["path"], strict=True
        )
    ]
    vectors = None if ears is None else VectorStore(workspace.embeddings, ears.version, store.version)
    with workspace.writing(), console.progress("Analysing") as bar:
        report = analyse_files(jobs, store, ears=ears, vectors=vectors, workers=workers, retry=retry, progress=bar)
        if ears is not None:
            _forget_vectors(workspace, ears)
    console.out.print(f"analysed {report.done} files, {report.skipped} were known, {len(report.failed)} cannot be used")
    if vectors is not None and report.embedded:
        console.out.print(f"{report.embedded} of the known were embedded anew, by {vectors.version}", markup=False)
    console.warn([f"{path}: {reason}" for path, reason in report.failed])
    if report.warned:
        console.err.print(f"{len(report.warned)} used in part:")
        console.warn([f"{path}: {text}" for path, text in report.warned])


def _forget_vectors(workspace: Workspace, ears: Ears) -> None:
    from recommender.audio.vector_store import forget_others
    from recommender.serving.bundle import list_bundles

    kept = {part.version for bundle in list_bundles(workspace.bundles) for part in bundle.artifacts}
    forget_others(workspace.embeddings, {ears.version, *kept})


def read_library(workspace: Workspace, clip_config: ClipConfig) -> Library:
    """Read a workspace's tables, and the clips that were analysed with these settings.

    Raises
    ------
    DataError
        If there is nothing to learn from.
    """
    from recommender.audio.clip_store import ClipStore

    catalog = workspace.catalog()
    if not len(catalog):
        raise DataError(f"{workspace.folder} holds no tracks; fill it with: firstlisten ingest {workspace.folder} ...")
    interactions = workspace.interactions(catalog)
    embeddings = workspace.supplied_embeddings()
    clips, signatures = None, {}
    if workspace.clips.is_dir():
        files = workspace.files()
        store = ClipStore(workspace.clips, clip_config)
        analysed = files["content_hash"].isin(store.keys())
        keys = dict(zip(files["item_id"][analysed], files["content_hash"][analysed], strict=True))
        signatures = store.signatures(keys)
        if embeddings is None and len(keys) >= MIN_HEARD_TRACKS:
            clips = store.load(keys)
    if not len(interactions) and embeddings is None and clips is None:
        raise DataError(
            f"{workspace.folder} holds {len(catalog)} tracks but no plays of them and nothing to hear "
            f"(at least {MIN_HEARD_TRACKS} analysed tracks); ingest --interactions, --music or --embeddings"
        )
    return Library(catalog, interactions, embeddings, clips, signatures)


def network_to_start_from(config: TrainCnnConfig) -> TrainedCnn | None:
    """Load what ``start_from`` names; None, saying why, where the shipped network is not there or has another shape.

    Raises
    ------
    ArtifactError
        If the file is damaged, or another than the shipped one is named that is not there.
    """
    from recommender.models.shipped import FOLDER, WEIGHTS_FILE, load_shipped_trained
    from recommender.models.trained_cnn import load_trained

    if config.start_from == "scratch":
        return None
    if config.start_from != "shipped":
        return load_trained(Path(config.start_from))
    if not (FOLDER / WEIGHTS_FILE).exists():
        console.out.print("hearing is learned from scratch: this installation has no shipped network")
        return None
    shipped = load_shipped_trained()
    if shipped.config.cnn != config.cnn:
        console.out.print(
            "hearing is learned from scratch: [train_cnn.cnn] asks for another network than the shipped one",
            markup=False,
        )
        return None
    return shipped


def hear(
    library: Library,
    training: Interactions,
    settings: Settings,
    *,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> tuple[Embeddings | None, TrainedCnn | None]:
    """Give every analysed track its embedding.

    The network sees only the inner part of the plays in `training`: `fit_hybrid` makes the same split and chooses the
    blend on the rest, which neither the network nor the factors then know.

    Parameters
    ----------
    library : Library
    training : Interactions
    settings : Settings
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
    from recommender.models.als import fit_als
    from recommender.models.embed import embed_clips, load_cnn
    from recommender.models.train_cnn import train_cnn
    from recommender.ranking.ranker import validation_split

    factors, evidence, plays = None, None, None
    ranker = settings.ranker
    heard = library.clips.tracks.known(library.catalog.tracks)
    if training.to_csr().nnz:
        inner = validation_split(training, heard, ranker.seed, ranker.cold_share, ranker.held_out_share).train
        factors, evidence, plays = fit_als(inner, ranker.als), inner.track_evidence(), inner.to_csr()
    rows = library.catalog.tracks.rows(library.clips.tracks.ids, unknown="raise")
    trained = train_cnn(
        library.clips,
        factors,
        evidence,
        settings.train_cnn,
        checkpoint,
        progress,
        initial=network_to_start_from(settings.train_cnn),
        plays=plays,
        artists=library.catalog.artist_codes()[rows],
        albums=library.catalog.album_codes()[rows],
    )
    return embed_clips(load_cnn(trained), library.clips), trained


def run(workspace: Workspace, settings: Settings, *, workers: int | None = None) -> Manifest:
    """Fit everything that the data allows, write a bundle, and make it current if it is no worse.

    An interrupted training goes on where it stopped, as long as the data and the settings stay the same.

    Parameters
    ----------
    workspace : Workspace
    settings : Settings
    workers : int, optional
        Processes of the analysis.

    Returns
    -------
    Manifest
        Of the new bundle.
    """
    heeded = take_in(workspace)
    if len(workspace.files()):
        analyse(workspace, settings.clips, workers=workers)
    with workspace.writing():
        library = read_library(workspace, settings.clips)
        console.out.print(
            f"{len(library.catalog)} tracks, {len(library.interactions.users)} users, "
            f"{len(library.interactions)} interactions, {_heard(library)} tracks with sound"
        )
        return _fit(workspace, library, settings, heeded)


def _fit(workspace: Workspace, library: Library, settings: Settings, heeded: Mapping[str, Any]) -> Manifest:
    from recommender.audio.signatures import Signatures
    from recommender.ranking.ranker import fit_hybrid
    from recommender.serving.bundle import list_bundles, new_version, use_bundle, write_bundle
    from recommender.serving.mapping import draw_map

    checkpoint = workspace.checkpoints / f"cnn-{library.digest}-{_digest(settings)}.safetensors"
    settled, found_als = _settle_strength(workspace.folder / "als.json", library, settings.ranker)
    settings = settings.model_copy(update={"ranker": settled})
    if library.clips is None:
        embeddings, trained = library.embeddings, None
    else:
        with console.progress("Learning to hear") as bar:
            embeddings, trained = hear(library, library.interactions, settings, checkpoint=checkpoint, progress=bar)
    with console.progress("Fitting the blend") as bar:
        model = fit_hybrid(library.catalog, library.interactions, embeddings, settings.ranker, progress=bar)
    digest = library.digest
    validation = model.validation | {"als": found_als}
    hearing = list(trained.history) if trained is not None else []
    metrics = {"validation": validation, "hearing": hearing, "erasures": dict(heeded)}
    before = list_bundles(workspace.bundles)
    manifest = write_bundle(
        workspace.bundles / new_version(digest),
        model,
        trained,
        config=settings.model_dump(mode="json"),
        data_digest=digest,
        metrics=metrics,
        signatures=Signatures.in_rows(model.catalog.tracks, library.signatures) if library.signatures else None,
    )
    with console.progress("Drawing the map"):
        draw_map(workspace.bundles / manifest.version, model)
    if trained is not None:
        start = trained.started_from or "nothing"
        console.out.print(f"hearing, from {start}: {trained.stopped_because}; epoch {trained.best_epoch} is the best")
        from recommender.evaluation.plots import training_curves

        training_curves(
            trained.history,
            workspace.bundles / manifest.version / "hearing.png",
            best_epoch=trained.best_epoch,
            stopped_because=trained.stopped_because,
        )
        shutil.rmtree(workspace.checkpoints, ignore_errors=True)
    current = workspace.bundles / "current"
    serving = current.read_text(encoding="utf-8").strip() if current.exists() else None
    rival = next((old for old in before if old.version == serving and loads(workspace.bundles / old.version)), None)
    reason = worse_than(manifest, rival)
    if (ndcg := held_out_ndcg(manifest)) is not None:
        console.out.print(f"NDCG@{settings.ranker.validation_top} on plays hidden while it learned: {ndcg:.3f}")
    if (ranker := model.validation.get("ranker")) is not None:
        console.out.print(f"ranked by the {ranker['chosen']}: {ranker['why']}")
    _show_dial(model.validation)
    if reason is None:
        use_bundle(workspace.bundles, manifest.version)
        console.out.print(f"bundle {manifest.version} is current")
    else:
        console.out.print(
            f"bundle {manifest.version} is written but not current: {reason}; "
            f"to use it all the same: firstlisten bundles {workspace.folder} use {manifest.version}"
        )
    return manifest


def _show_dial(validation: dict[str, Any]) -> None:
    """Print what the exposure of new tracks brings and costs, and what knowing the artist adds to the sound."""
    if dial := validation.get("discovery"):
        console.table(
            "What --discovery brings and costs, on plays hidden while it learned",
            ("discovery", "new in a list", "NDCG in all", "of known tracks", "of new tracks"),
            [
                (f"{one['discovery']:g}", f"{one['new']:.0%}", *(f"{one[name]:.3f}" for name in DIAL_FIGURES))
                for one in dial
            ],
        )
    if share := validation.get("artist", {}).get("share"):
        console.out.print(f"an artist's other tracks take {share:.0%} off what the sound alone gets wrong of a track")


def _settle_strength(path: Path, library: Library, ranker: RankerConfig) -> tuple[RankerConfig, dict[str, Any]]:
    """Recall the strength of ALS or search for it, before the network or the blend learns from factors."""
    from recommender.ranking.als_search import search_als
    from recommender.ranking.ranker import validation_split

    plays = library.interactions
    recalled = recall_strength(path, ranker, len(plays))
    if not recalled.search_als or not plays.to_csr().nnz:
        return recalled, {"recalled": asdict(recalled.als)}
    heard = np.zeros(len(library.catalog), dtype=bool)
    source = library.embeddings or library.clips
    if source is not None:
        heard = source.tracks.known(library.catalog.tracks)
    split = validation_split(plays, heard, ranker.seed, ranker.cold_share, ranker.held_out_share)
    if not split.train.to_csr().nnz or not len(split.held_out):
        return recalled, {"recalled": asdict(recalled.als)}
    with console.progress("Finding the strength of ALS") as bar:
        als, found = search_als(split, ranker, bar)
    remember_strength(path, ranker.als, als, len(plays))
    return replace(ranker, als=als, search_als=False), found


def take_in(workspace: Workspace) -> dict[str, Any]:
    """Copy what came in through the API into the tables, listens and the names of uploads, and forget who was erased.

    Listens that waited for their tracks are looked up once more.

    Returns
    -------
    dict
        Up to which erasure of which store the tables are rid of users, for the bundle that is made of them.
    """
    if not workspace.has_store:
        return {}
    from recommender.data.matching import TrackMatcher
    from recommender.serving.finding import Part
    from recommender.serving.rematching import rematch
    from recommender.serving.store import Store

    with closing(Store.open(workspace.store_url)) as store:
        if store.unmatched_after(0, 1)[0]:
            catalog = workspace.catalog()
            rematch(store, Part(catalog, 0, TrackMatcher(catalog)))
        erasures, through = store.erasures_after(0)
        uploads = store.uploads_after(0)[0]
        listens = []
        block, seq = store.listens_after(0)
        while block:
            listens += block
            block, seq = store.listens_after(seq)
        with workspace.writing():
            _forget(workspace, {one.user_hash for one in erasures}, store.hash_of)
        heeded = {"store": store.hash_of(""), "through": through}
    with workspace.writing():
        if listens:
            seconds = np.array([listen.listened_at_ms // 1000 for listen in listens])
            add_plays(
                workspace,
                pd.DataFrame(
                    {
                        "user_id": [listen.user_id for listen in listens],
                        "item_id": [listen.track_id for listen in listens],
                        "weight": [listen.weight for listen in listens],
                        "timestamp": seconds.astype("datetime64[s]"),
                    }
                ),
            )
        if uploads:
            add_music(workspace, workspace.uploads, [], [], silent)
            names = pd.DataFrame(
                {
                    "item_id": [upload.track_id for upload in uploads],
                    "title": [upload.title for upload in uploads],
                    "artist": [upload.artist for upload in uploads],
                    "album": [upload.album for upload in uploads],
                    "duration_s": [upload.duration_s for upload in uploads],
                    "path": [str(workspace.uploads.resolve() / upload.file_name) for upload in uploads],
                    "released": "",
                }
            )
            add_tracks(workspace, names)
    return heeded


def _forget(workspace: Workspace, hashes: set[str], hash_of: Callable[[str], str]) -> None:
    """Leave erased users out of the table of plays: what they have played since comes from the store."""
    plays = workspace.interaction_table()
    erased = [user_id for user_id in plays["user_id"].unique() if hash_of(user_id) in hashes] if hashes else []
    if erased:
        workspace.write_interactions(plays[~plays["user_id"].isin(erased)])


def _heard(library: Library) -> int:
    if library.embeddings is not None:
        return int(library.catalog.tracks.known(library.embeddings.tracks).sum())
    return len(library.clips.tracks) if library.clips is not None else 0


def _digest(settings: Settings) -> str:
    return digest_of(np.frombuffer(settings.model_dump_json().encode(), dtype=np.uint8))
