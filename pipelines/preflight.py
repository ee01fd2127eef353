"""The checks to pass before a long training: can the network learn, at which rate, and are the data what they seem."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines import console
from pipelines.config import Settings
from pipelines.train import read_library
from pipelines.workspace import Workspace
from recommender.data.catalog import Catalog
from recommender.data.checks import Check, names_of
from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError, ModelError


def run(workspace: Workspace, settings: Settings, *, out: Path | None = None) -> list[Check]:
    """Check a workspace's clips, plays and settings, print a verdict for each, and draw one picture.

    Parameters
    ----------
    workspace : Workspace
    settings : Settings
    out : Path, optional
        The picture; ``W/preflight.png`` by default.

    Returns
    -------
    list of Check

    Raises
    ------
    DataError
        If nothing was analysed.
    ModelError
        If a check is broken; all of them are printed before.
    """
    from recommender.audio.checks import check_clips, check_plays, measure_clips
    from recommender.evaluation.check_plots import plot_preflight
    from recommender.models.als import fit_als
    from recommender.models.preflight import try_network
    from recommender.models.preflight_verdicts import judge_network

    library = read_library(workspace, settings.clips)
    clips = library.clips
    if clips is None:
        why = "its embeddings were supplied" if library.embeddings is not None else "nothing was analysed"
        raise DataError(
            f"{workspace.folder} has no clips to train on: {why}; run firstlisten analyse {workspace.folder}"
        )
    plays, config = library.interactions, settings.train_cnn
    factors = fit_als(plays, settings.ranker.als) if plays.to_csr().nnz else None
    evidence = plays.track_evidence() if factors is not None else None
    with console.progress("Trying the network") as bar:
        report = try_network(
            clips, factors, evidence, config, progress=bar, plays=plays.to_csr() if factors is not None else None
        )
    checks = judge_network(report, config)
    checks += check_clips(clips, measure_clips(clips, settings.clips.mel), _durations(library.catalog, clips.tracks))
    if factors is not None and config.alignment_weight > 0:
        checks.append(check_plays(plays, clips, config.min_evidence))
    picture = out or workspace.folder / "preflight.png"
    plot_preflight(report, config, checks, picture)
    console.checks("Preflight", checks)
    console.out.print(f"{picture}: the curves", markup=False)
    broken, warned = names_of(checks, "broken"), names_of(checks, "warning")
    if broken:
        raise ModelError(f"preflight: broken: {', '.join(broken)}; mend that before training")
    console.out.print(f"fit to train: {len(checks)} checks, {len(warned)} with a warning")
    return checks


def _durations(catalog: Catalog, tracks: Vocabulary) -> npt.NDArray[np.float64]:
    durations = np.full(len(tracks), np.nan)
    shared = np.flatnonzero(catalog.tracks.known(tracks))
    rows = catalog.tracks.rows(tracks.ids_of(shared), unknown="raise")
    durations[shared] = catalog.table["duration_s"].to_numpy()[rows]
    return durations
