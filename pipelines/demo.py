"""The demo: build the embedded world, train on its past, and compare with what its listeners did next."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines import console, ingest, serve, train
from pipelines.config import Settings, load_settings
from pipelines.workspace import Workspace, open_workspace
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.progress import Progress
from recommender.data.tables import write_table
from recommender.data.vocabulary import Vocabulary
from recommender.evaluation.attainable import demo_table
from recommender.ranking.ranker import HybridModel
from recommender.serving.bundle import current_bundle, load_bundle
from recommender.synthetic.world import World, WorldConfig, build_world, listening_log

METRICS = ("recall@20", "ndcg@20")


def run(folder: Path, *, serving: bool = True, port: int = 8000, config: WorldConfig | None = None) -> pd.DataFrame:
    """Build, learn, compare, and serve.

    A second run in the same folder takes what is there: the world, the analysis and, with the same data, the bundle.

    Parameters
    ----------
    folder : Path
        The workspace of the demo.
    serving : bool
        Serve the page at the end.
    port : int
    config : WorldConfig, optional

    Returns
    -------
    DataFrame
        The table, see `recommender.evaluation.attainable.demo_table`.
    """
    started = time.monotonic()
    workspace = open_workspace(folder, create=True)
    with console.progress("Making music and listeners") as bar:
        world = build_world(config or WorldConfig(), folder / "world", bar)
    ingest_world(workspace, world)
    settings = load_settings(folder)
    if not _is_trained(workspace, settings):
        train.run(workspace, settings)
    bundle = load_bundle(current_bundle(workspace.bundles))
    with console.progress("Comparing with what happened next") as bar:
        table = compare(bundle.model, workspace, world, bar)
    write_table(folder / "demo.csv", table)
    _show(table, world)
    console.out.print(f"From nothing to here: {time.monotonic() - started:.0f} s")
    if serving:
        _invite(workspace, bundle.model, port)
        serve.run(workspace, host="127.0.0.1", port=port, workers=1)
    return table


def compare(model: HybridModel, workspace: Workspace, world: World, progress: Progress) -> pd.DataFrame:
    """Hold the model, its parts and the baselines against what the listeners did after the split, and the truth."""
    ids = _item_ids(workspace)
    past = Interactions.from_frame(listening_log(world.past, ids), model.users, model.catalog.tracks)
    future = Interactions.from_frame(listening_log(world.future, ids), model.users, model.catalog.tracks)
    user_rows = {user: row for row, user in enumerate(world.users)}
    track_rows = {ids[path]: row for row, path in enumerate(world.tracks["path"])}
    affinity = world.affinity[
        np.ix_([user_rows[u] for u in model.users], [track_rows[t] for t in model.catalog.tracks])
    ]
    assert model.sound is not None
    heard = np.flatnonzero(model.sound.has_vector)
    embeddings = Embeddings.without_clips(
        Vocabulary("track", tuple(model.catalog.tracks.ids_of(heard))), model.sound.vectors[heard], model.sound.version
    )
    return demo_table(
        model.catalog, past, future, affinity, embeddings, model=model, config=model.config, progress=progress
    )


def ingest_world(workspace: Workspace, world: World) -> None:
    """Fill a workspace with the music and the past of the world in its folder ``world``."""
    music = workspace.folder / "world" / "music"
    with console.progress("Reading the music folder") as bar:
        ingest.run(workspace, music=music, progress=bar)
    with workspace.writing():
        ingest.add_plays(workspace, listening_log(world.past, _item_ids(workspace)))


def _item_ids(workspace: Workspace) -> dict[str, str]:
    files = workspace.files()
    return dict(zip(files["path"], files["item_id"], strict=True))


def _is_trained(workspace: Workspace, settings: Settings) -> bool:
    from recommender.errors import ArtifactError
    from recommender.serving.bundle import read_manifest

    try:
        manifest = read_manifest(current_bundle(workspace.bundles))
    except ArtifactError:
        return False
    train.analyse(workspace, settings.clips)
    return manifest.data_digest == train.read_library(workspace, settings.clips).digest


def _show(table: pd.DataFrame, world: World) -> None:
    names = {
        "new": "New tracks (released after the split, never played)",
        "known": "Known tracks",
        "both": "Both, mixed",
    }
    for group, title in names.items():
        rows = []
        for method, figures in table[table["candidates"] == group].groupby("method", sort=False):
            by = figures.set_index("metric")
            cells = [f"{by['mean'][m]:.3f} [{by['low'][m]:.3f}, {by['high'][m]:.3f}]" for m in METRICS]
            rows.append((method, *cells, f"{by['share_of_attainable']['ndcg@20']:.0%}"))
        console.table(title, ("method", "Recall@20", "NDCG@20", "of the attainable"), rows)
    new = table[(table["candidates"] == "new") & (table["metric"] == "ndcg@20")].set_index("method")
    share = new["share_of_attainable"]["First Listen"]
    console.out.print(
        f"{len(world.users)} listeners, {len(world.tracks)} tracks. For tracks that nobody had played, First Listen "
        f"reaches {share:.0%} of what an oracle who knows every listener's true taste could (random is 0 %).\n"
        "95 % intervals by user bootstrap. NDCG@20 decides the last column."
    )


def _invite(workspace: Workspace, model: HybridModel, port: int) -> None:
    new = [row for row in range(len(model.catalog)) if model.evidence[row] == 0]
    title = model.catalog.table["title"].iloc[new[0]] if new else "a title"
    console.out.print(
        f"\nOpen http://127.0.0.1:{port}/ and try:\n"
        f"  - choose the listener {model.users.ids[0]}: what would they get, and why\n"
        f'  - search for "{title}": a track nobody has played; play it, and see what sounds like it\n'
        "  - drop an audio file of your own: it can be recommended at once\n"
        f"or in another terminal: firstlisten recommend {workspace.folder} --user {model.users.ids[0]}\n",
        markup=False,
    )
