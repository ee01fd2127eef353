"""Is it the music? Shortcuts in a workspace's files, in what its network hears, and in how new tracks are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipelines import console
from pipelines.config import Settings
from pipelines.ears import current_ears, hear_library
from pipelines.workspace import Workspace
from recommender.data.catalog import Catalog
from recommender.data.checks import Check, names_of
from recommender.data.interactions import Interactions
from recommender.data.storage import write_json
from recommender.data.tables import ITEM_ALIASES, read_table
from recommender.errors import ArtifactError, AudioError, DataError

if TYPE_CHECKING:
    from recommender.audio.telltales import Features, Telltales
    from recommender.evaluation.association import Separation
    from recommender.evaluation.audit_hearing import Heard
    from recommender.evaluation.audit_retrieval import Retrieval
    from recommender.models.ears import Ears
    from recommender.models.factors import Factors
    from recommender.ranking.sound import Sound

Rows = npt.NDArray[np.int64]
LABEL_ALIASES = {"item_id": ITEM_ALIASES, "label": ("labels", "class", "group")}
MOST_LABELS = 8
LEAST_CLASS = 5


def run(
    workspace: Workspace,
    settings: Settings,
    *,
    labels: Path | None = None,
    out: Path | None = None,
    files: int = 300,
    changed: int = 32,
    seed: int = 0,
) -> list[Check]:
    """Audit a workspace: its files at full rate, its network by changed clips, its retrieval of new tracks.

    Parameters
    ----------
    workspace : Workspace
    settings : Settings
    labels : Path, optional
        Table of item_id and label: further classes that tell-tales must not separate.
    out : Path, optional
        A folder for ``audit.json`` and ``audit.png``.
    files : int
        Files that are read at full rate, drawn at random.
    changed : int
        Files of which clips are changed and heard again.
    seed : int

    Returns
    -------
    list of Check

    Raises
    ------
    DataError
        If there is neither music nor anything embedded.
    """
    from recommender.audio.telltales import feature_table
    from recommender.evaluation.association import separations
    from recommender.evaluation.audit import (
        judge_hearing,
        judge_neighbourhood,
        judge_probes,
        judge_retrieval,
        judge_tell_tales,
    )
    from recommender.evaluation.audit_retrieval import neighbourhood
    from recommender.evaluation.check_plots import plot_audit

    catalog = workspace.catalog()
    plays = workspace.interactions(catalog)
    given = _given_labels(labels, catalog) if labels is not None else {}
    rng = np.random.default_rng(seed)
    rows, telltales = _read_files(catalog, files, rng)
    ears, sound = _ears_and_sound(workspace, catalog)
    if not len(rows) and sound is None:
        raise DataError(f"{workspace.folder} has no music files and no embeddings to audit; ingest --music")
    factors = _factors(plays, settings)
    checks: list[Check] = []
    heard: dict[str, Heard] = {}
    if ears is not None and sound is not None and len(rows):
        heard, n_changed = _change(catalog, rows, sound, ears, changed, seed)
    features = feature_table(telltales)
    classes = _classes(catalog, plays, factors, rows) | {name: each[rows] for name, each in given.items()}
    technical = np.array([kind != "level" for kind in features.kinds], dtype=bool)
    found = separations(
        features.values,
        features.names,
        classes,
        catalog.artist_codes()[rows],
        columns={"artists*": technical},
        seed=seed,
    )
    kinds = dict(zip(features.names, features.kinds, strict=True))
    if len(rows):
        checks += judge_tell_tales(found, kinds, heard, len(rows)) or [_alike(len(rows))]
    if heard:
        checks += judge_hearing(heard, n_changed)
    retrieval = None
    if sound is not None:
        checks += judge_probes(_probes(catalog, rows, telltales, sound, seed))
        retrieval = _retrieve(workspace, settings, catalog, plays, sound, seed)
        checks += judge_retrieval(retrieval) if retrieval is not None else []
        has = np.flatnonzero(sound.has_vector)
        near = neighbourhood(sound.vectors[has], catalog.artist_codes()[has], _albums(catalog)[has])
        checks += judge_neighbourhood(near)
    console.checks("Audit", checks)
    if out is not None:
        write_json(out / "audit.json", _report(checks, found, heard, retrieval, features, len(rows)))
        plot_audit(found, heard, retrieval, out / "audit.png")
        console.out.print(f"{out}: audit.json, audit.png", markup=False)
    bad, warned = names_of(checks, "found"), names_of(checks, "warning")
    says = "found: " + ", ".join(bad) if bad else "no shortcut found"
    console.out.print(f"{len(checks)} checks: {says}; {len(warned)} with a warning", markup=False)
    return checks


def _read_files(catalog: Catalog, most: int, rng: np.random.Generator) -> tuple[Rows, list[Telltales]]:
    from recommender.audio.telltales import read_telltales

    paths = catalog.table["path"].to_numpy(dtype=object)
    drawn = np.sort(rng.permutation(np.flatnonzero(paths != ""))[:most])
    rows, found, failed = [], [], []
    with console.progress("Reading files at full rate") as bar:
        for done, row in enumerate(drawn):
            bar(done, len(drawn))
            try:
                found.append(read_telltales(Path(paths[row])))
                rows.append(row)
            except AudioError as error:
                failed.append(str(error))
    console.warn(failed)
    return np.array(rows, dtype=np.int64), found


def _ears_and_sound(workspace: Workspace, catalog: Catalog) -> tuple[Ears | None, Sound | None]:
    """Return the network and what it made of the library; supplied embeddings have no network."""
    from recommender.ranking.sound import place_sound
    from recommender.serving.bundle import current_bundle, load_bundle

    if (workspace.bundles / "current").exists():
        bundle = load_bundle(current_bundle(workspace.bundles))
        if bundle.model.sound is not None and bundle.model.catalog.tracks == catalog.tracks:
            return (current_ears(workspace) if bundle.cnn_path is not None else None), bundle.model.sound
    if (supplied := workspace.supplied_embeddings()) is not None:
        return None, place_sound(supplied, catalog.tracks)
    try:
        ears = current_ears(workspace)
    except ArtifactError:
        console.err.print("no network yet: the files alone are audited; make one with: firstlisten train")
        return None, None
    return ears, place_sound(hear_library(workspace, ears), catalog.tracks) if len(workspace.files()) else None


def _factors(plays: Interactions, settings: Settings) -> Factors | None:
    from recommender.models.als import fit_als

    return fit_als(plays, settings.ranker.als) if plays.to_csr().nnz else None


def _classes(catalog: Catalog, plays: Interactions, factors: Factors | None, rows: Rows) -> dict[str, Rows]:
    """Return the classes of tracks that tell-tales must not separate, over `rows`."""
    evidence = plays.track_evidence()[rows]
    codes = catalog.artist_codes()[rows]
    _, of, counts = np.unique(codes, return_inverse=True, return_counts=True)
    made: dict[str, Rows] = {"artists*": np.where(counts[of] > 1, codes, -1).astype(np.int64)}
    played = evidence > 0
    if factors is not None and played.any():
        made["known and new tracks"] = played.astype(np.int64)
        middle = np.median(evidence[played])
        made["popular and unpopular tracks"] = np.where(played, evidence > middle, -1).astype(np.int64)
        vectors = factors.track_factors[rows][played]
        unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        _, _, axes = np.linalg.svd(unit - unit.mean(axis=0), full_matrices=False)
        sides = np.full(len(rows), -1, dtype=np.int64)
        sides[played] = (unit - unit.mean(axis=0)) @ axes[0] > 0
        made["the two sides of the leading taste"] = sides
    return {name: each for name, each in made.items() if name.endswith("*") or _is_asked(each)}


def _is_asked(classes: Rows) -> bool:
    return all((classes == side).sum() >= LEAST_CLASS for side in (0, 1))


def _given_labels(path: Path, catalog: Catalog) -> dict[str, Rows]:
    """Return a class for each label of a file: the tracks that have it against the others of the file."""
    frame, _ = read_table(path, LABEL_ALIASES, ("item_id", "label"))
    known = catalog.tracks.known(frame["item_id"])
    if not known.any():
        raise DataError(f"{path}: none of its {len(frame)} item_ids is in the catalog; expected ids of this workspace")
    frame = frame[known]
    places = catalog.tracks.rows(frame["item_id"], unknown="raise")
    values = frame["label"].astype(str).to_numpy(dtype=object)
    names = sorted(set(values))
    if not 2 <= len(names) <= MOST_LABELS:
        raise DataError(f"{path} has {len(names)} different labels, expected 2 to {MOST_LABELS}")
    made = {}
    for name in names[1:] if len(names) == 2 else names:
        classes = np.full(len(catalog), -1, dtype=np.int64)
        classes[places] = values == name
        made[f"label {name}"] = classes
    return made


def _change(
    catalog: Catalog, rows: Rows, sound: Sound, ears: Ears, most: int, seed: int
) -> tuple[dict[str, Heard], int]:
    from recommender.evaluation.audit_hearing import change_and_embed, what_is_heard
    from recommender.ranking.sound import to_unit

    table = catalog.table
    drawn = np.random.default_rng(seed).permutation(rows[sound.has_vector[rows]])[:most]
    files = [(Path(table["path"].iloc[row]), float(np.nan_to_num(table["duration_s"].iloc[row]))) for row in drawn]
    with console.progress("Changing clips") as bar:
        changed, used = change_and_embed(files, ears.embed, ears.clip_config, progress=bar)
    kept = drawn[used]
    has = np.flatnonzero(sound.has_vector)
    own = np.searchsorted(has, kept)
    artists = catalog.artist_codes()[kept]
    return what_is_heard(changed, sound.vectors[has], own, artists, lambda raw: to_unit(sound, raw), seed), len(kept)


def _probes(
    catalog: Catalog, rows: Rows, telltales: Sequence[Telltales], sound: Sound, seed: int
) -> dict[str, tuple[float, float, float]]:
    from recommender.evaluation.audit_hearing import probe_auc

    made = {}
    artists = catalog.artist_codes()
    has = sound.has_vector[rows]
    heard = rows[has]
    if len(heard):
        told = [one for one, is_heard in zip(telltales, has, strict=True) if is_heard]
        halves = {
            "codec (lossy)": np.array([one.bit_rate_k > 0 for one in told]),
            "cut-off": np.isfinite([one.cutoff_hz for one in told]),
            "sample rate (lower)": np.array([one.sample_rate_hz < 44100 for one in told]),
            "loudness": _upper_half(np.array([one.loudness_db for one in told])),
            "duration": _upper_half(catalog.table["duration_s"].to_numpy(dtype=np.float64)[heard]),
        }
        for name, classes in halves.items():
            if _is_asked(classes.astype(np.int64)):
                made[name] = probe_auc(sound.vectors[heard], classes, artists[heard], seed)
    owners = sound.clip_tracks
    if len(owners):
        first = np.concatenate([[True], np.diff(owners) > 0])
        last = np.concatenate([np.diff(owners) > 0, [True]])
        ends = np.flatnonzero(first ^ last)[:2000]
        if _is_asked(last[ends].astype(np.int64)):
            made["position (first and last clip)"] = probe_auc(
                sound.clip_vectors[ends], last[ends], artists[owners[ends]], seed
            )
    return made


def _retrieve(
    workspace: Workspace, settings: Settings, catalog: Catalog, plays: Interactions, sound: Sound, seed: int
) -> Retrieval | None:
    from recommender.evaluation.audit_retrieval import cold_retrieval

    try:
        return cold_retrieval(
            catalog,
            plays,
            sound.vectors,
            sound.has_vector,
            settings.ranker.als,
            lazy=_loudness_and_bandwidth(workspace, settings, catalog),
            untouched=_untouched(workspace, catalog),
            seed=seed,
        )
    except DataError as error:
        console.err.print(f"left out: how new tracks are found: {error}", markup=False)
        return None


def _loudness_and_bandwidth(
    workspace: Workspace, settings: Settings, catalog: Catalog
) -> npt.NDArray[np.float32] | None:
    """Return mean and spread of the level and the bandwidth of each track's clips, zeros without clips."""
    from pipelines.train import read_library
    from recommender.audio.checks import measure_clips

    clips = read_library(workspace, settings.clips).clips
    if clips is None:
        return None
    figures = measure_clips(clips, settings.clips.mel)
    lazy = np.zeros((len(catalog), 4), dtype=np.float32)
    places = np.full(len(clips.tracks), -1)
    shared = np.flatnonzero(catalog.tracks.known(clips.tracks))
    places[shared] = catalog.tracks.rows(clips.tracks.ids_of(shared), unknown="raise")
    owners = places[clips.clip_tracks]
    counts = np.maximum(np.bincount(owners[owners >= 0], minlength=len(catalog)), 1)
    for column, values in enumerate((figures.level_db, np.log2(np.maximum(figures.bandwidth_hz, 20.0)))):
        inside = owners >= 0
        mean = np.bincount(owners[inside], values[inside], len(catalog)) / counts
        square = np.bincount(owners[inside], values[inside] ** 2, len(catalog)) / counts
        lazy[:, 2 * column], lazy[:, 2 * column + 1] = mean, np.sqrt(np.maximum(square - mean**2, 0))
    return lazy


def _untouched(workspace: Workspace, catalog: Catalog) -> npt.NDArray[np.int32] | None:
    """Return the tracks that the bundle's network was not trained on, None where that is not known."""
    from recommender.models.trained_cnn import load_trained
    from recommender.serving.bundle import current_bundle, load_bundle

    if not (workspace.bundles / "current").exists():
        return None
    path = load_bundle(current_bundle(workspace.bundles)).cnn_path
    if path is None:
        return None
    held_out = [track for track in load_trained(path).held_out if track in catalog.tracks]
    return catalog.tracks.rows(held_out, unknown="raise")


def _albums(catalog: Catalog) -> npt.NDArray[np.int64]:
    """Return one number an album of an artist; a track without one has its own."""
    album = catalog.table["album"].str.casefold().str.strip().to_numpy(dtype=object)
    codes = catalog.artist_codes()
    named = [
        f"{code}\0{name}" if name else f"\0\0{row}" for row, (code, name) in enumerate(zip(codes, album, strict=True))
    ]
    return np.unique(named, return_inverse=True)[1].astype(np.int64)


def _upper_half(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    half: npt.NDArray[np.bool_] = (
        values > np.nanmedian(values) if np.isfinite(values).any() else np.zeros(len(values), bool)
    )
    return half


def _alike(n_files: int) -> Check:
    return Check(
        "data: tell-tales", "ok", f"{n_files} files, alike in codec, rate, cut-off and tones", "nothing to tell"
    )


def _report(
    checks: Sequence[Check],
    found: Sequence[Separation],
    heard: dict[str, Heard],
    retrieval: Retrieval | None,
    features: Features,
    n_files: int,
) -> dict[str, Any]:
    return {
        "files": n_files,
        "tell_tales": list(features.names),
        "checks": [asdict(check) for check in checks],
        "separations": [asdict(one) | {"found": one.is_found} for one in found],
        "heard": {name: _known(asdict(one)) for name, one in heard.items()},
        "retrieval": _known(asdict(retrieval)) if retrieval is not None else None,
    }


def _known(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what could not be measured: JSON has no NaN."""
    inner = {name: _known(each) if isinstance(each, dict) else each for name, each in values.items()}
    return {name: each for name, each in inner.items() if each == each}
