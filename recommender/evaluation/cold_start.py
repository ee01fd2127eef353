"""The cold-start experiment: tracks or users lose all their plays, and every method has to find out who likes what.

Tasks: ``cold`` (new tracks among themselves), ``mixed`` (new and known tracks in one list, read apart too), ``warm``,
and two curves, ``tracks`` and ``users``: what each method knows after the first few plays of a new track or user.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import recommender
from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.progress import Progress, silent
from recommender.data.storage import digest_of
from recommender.errors import ConfigError, DataError, LeakageError, ModelError
from recommender.evaluation.cold_splits import SPLITS, SplitBy, filter_min_users, hide_tracks, hide_users
from recommender.evaluation.curves import MIN_HIDDEN, MIN_NEW, Curve, track_curve, user_curve
from recommender.evaluation.figures import SeedFigures, load_figures, measure, merge_figures, save_figures
from recommender.evaluation.methods import Embed, Fits
from recommender.evaluation.protocol import Task, cold_task, mixed_task, warm_task
from recommender.evaluation.report import Report, build_report, describe_data, package_versions
from recommender.evaluation.suite import SUBJECT, SUITE, TASKS, Entry, choose, refusal
from recommender.ranking.ranker import RankerConfig

TITLE = "Cold-start experiment"
SHOWING = ("bootstrap.py", "comparison.py", "curve_figures.py", "pages.py", "plots.py", "report.py")
"""Files that change no per-user figure."""


@dataclass(frozen=True)
class ColdStartConfig:
    """How the experiment splits, and what it reads.

    Parameters
    ----------
    seeds : tuple of int
        One split each; figures are averaged over them. The default five are folds: each eligible track is cold once.
    fraction : float in (0, 1)
        Share of the eligible tracks that goes cold: those with an embedding and at least `min_plays` listeners. Also
        the share of users that are new on the curve of users.
    min_plays : int >= 1
        Tracks with fewer listeners are left out of everything.
    ks : tuple of int
        List lengths.
    draws : int
        Bootstrap samples for the intervals.
    ranker : RankerConfig
        Of First Listen; its ALS configuration is that of the baselines too.
    split : {"random", "time", "artist"}
        Which tracks go cold together, see `cold_splits.hide_tracks`.
    tasks : tuple of str
        Of `suite.TASKS`.
    methods : tuple of str
        Names in the suite; all if empty.
    track_points, user_points : tuple of int
        Revealed plays at the points of the curves.
    min_new : int
        A point that fewer new tracks or users have plays enough for is left out.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    fraction: float = 0.2
    min_plays: int = 5
    ks: tuple[int, ...] = (10, 20, 50)
    draws: int = 1000
    ranker: RankerConfig = field(default_factory=RankerConfig)
    split: SplitBy = "random"
    tasks: tuple[str, ...] = ("cold", "mixed", "tracks", "users")
    methods: tuple[str, ...] = ()
    track_points: tuple[int, ...] = (0, 1, 2, 5, 10, 20)
    user_points: tuple[int, ...] = (0, 1, 3, 10)
    min_new: int = MIN_NEW

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ConfigError(f"seeds {self.seeds} must be one or more distinct numbers")
        if not 0 < self.fraction < 1:
            raise ConfigError(f"fraction {self.fraction} must lie between 0 and 1")
        if not self.ks or min(self.ks) < 1:
            raise ConfigError(f"ks {self.ks} must be one or more list lengths >= 1")
        if self.split not in SPLITS:
            raise ConfigError(f"split {self.split!r} is none of {', '.join(SPLITS)}")
        strange = [task for task in self.tasks if task not in TASKS]
        if strange or not self.tasks:
            raise ConfigError(f"task {strange[0] if strange else ''!r} is none of {', '.join(TASKS)}")
        for points in (self.track_points, self.user_points):
            if len(points) < 2 or min(points) < 0 or list(points) != sorted(set(points)):
                raise ConfigError(f"the points {points} of a curve must be two or more ascending numbers of plays")


@dataclass(frozen=True, eq=False)
class Experiment:
    """A finished experiment.

    Parameters
    ----------
    report : Report
    seeds : tuple of SeedFigures
        Per-user figures, one a seed.
    curves : dict of str to tuple of int
        Points of the curves that were read.
    parts : list of dict
        Of each part: ``file`` (its name in ``parts``), ``version`` and ``seed``.
    """

    report: Report
    seeds: tuple[SeedFigures, ...]
    curves: dict[str, tuple[int, ...]]
    parts: list[dict[str, Any]]


def run_cold_start_experiment(
    catalog: Catalog,
    interactions: Interactions,
    embed: Embeddings | Embed | None,
    config: ColdStartConfig,
    out: Path,
    progress: Progress | None = None,
    *,
    embeddable: npt.NDArray[np.bool_] | None = None,
    embed_version: str = "",
    suite: Mapping[str, Entry] = SUITE,
) -> Report:
    """Put every method to every task, and write what was found: see `pages.write_experiment`.

    Parameters
    ----------
    catalog : Catalog
    interactions : Interactions
    embed : Embeddings, callable or None
        Embeddings that owe nothing to these plays, or a function that makes them from the training plays of a split.
        Without any, what needs them is left out.
    config : ColdStartConfig
    out : Path
        A folder. What was measured lies in its ``parts``, one file a seed, task and method; a run with the same data,
        configuration, package versions and code takes it from there.
    progress : Progress, optional
        Called with (done, total) methods, over all tasks and seeds.
    embeddable : ndarray, shape (n_tracks,), bool, optional
        The tracks that a callable `embed` gives a vector; all by default. Supplied embeddings know it themselves.
    embed_version : str
        Of a callable `embed`: names its settings and what it hears. Parts of another version are not taken.
    suite : mapping of name to Entry

    Returns
    -------
    Report
        Its `left_out` says which tasks, methods and points the data do not support.

    Raises
    ------
    LeakageError
        If a play of a cold track is in the training data.
    DataError
        If the data support none of the tasks.
    """
    from recommender.evaluation.pages import write_experiment

    experiment = measure_cold_start(
        catalog, interactions, embed, config, out, progress,
        embeddable=embeddable, embed_version=embed_version, suite=suite,
    )  # fmt: skip
    write_experiment(experiment, config, out)
    return experiment.report


def measure_cold_start(
    catalog: Catalog,
    interactions: Interactions,
    embed: Embeddings | Embed | None,
    config: ColdStartConfig,
    out: Path,
    progress: Progress | None = None,
    *,
    embeddable: npt.NDArray[np.bool_] | None = None,
    embed_version: str = "",
    suite: Mapping[str, Entry] = SUITE,
) -> Experiment:
    """Do what `run_cold_start_experiment` does, without writing more than the parts."""
    tell = progress or silent
    entries = choose(suite, config.methods)
    world = _World(catalog, interactions, embed, _has_embedding(interactions, embed, embeddable), config)
    groups, curves, left_out = _survey(world)
    n_tracks = int((interactions.track_evidence() >= config.min_plays).sum())
    jobs = []
    for name, entry in entries.items():
        if why := refusal(entry, embed is not None, n_tracks):
            left_out[f"method {name}"] = why
        else:
            jobs += [(group, name, entry) for group in groups if group in entry.tasks]
    for group in [group for group in groups if group not in {job[0] for job in jobs}]:
        left_out[f"task {group}"] = "none of the methods is made for it"
        groups.remove(group)
    if not jobs:
        raise ConfigError(f"none of the methods {', '.join(entries)} can be put to the tasks {', '.join(config.tasks)}")
    data = describe_data(catalog, interactions, embed if isinstance(embed, Embeddings) else None)
    data["embeddings"] = "none" if embed is None else data["embeddings"]
    if callable(embed) and embed_version:
        data["embeddings"] = f"trained in each split, {embed_version}"
    versions = {group: _version(data, config, curves.get(group, ()), group) for group in groups}
    pieces: dict[int, list[SeedFigures]] = {seed: [] for seed in config.seeds}
    parts: list[dict[str, Any]] = []
    failed: dict[tuple[str, str], str] = {}
    total, done = len(config.seeds) * len(jobs), 0
    tell(0, total)
    for seed in config.seeds:
        work = _SeedWork(world, seed, curves)
        for group, name, entry in sorted(jobs, key=lambda job: groups.index(job[0])):
            version = digest_of(np.frombuffer(f"{versions[group]} {entry.version} {name}".encode(), dtype=np.uint8))
            part = (
                out / "parts" / f"{group}-{re.sub('[^a-z0-9]+', '-', name.lower())}-{version}-seed-{seed}.safetensors"
            )
            try:
                figures = load_figures(part, version) if part.exists() else None
                if figures is None:
                    figures = measure(seed, work.questions(group), {name: entry.method}, config.ks)
                    save_figures(part, version, figures)
                pieces[seed].append(figures)
                parts.append({"file": part.name, "version": version, "seed": seed})
            except ModelError as error:
                if name == SUBJECT or entry.version:
                    raise
                failed[group, name] = str(error)
            done += 1
            tell(done, total)
    for (group, name), why in failed.items():
        left_out[f"method {name}, task {group}"] = why
    merged = tuple(_without(merge_figures(pieces[seed]), failed) for seed in config.seeds)
    report = build_report(
        TITLE, asdict(config), data, merged, subject=SUBJECT, draws=config.draws, left_out=tuple(left_out.items())
    )
    read = {task.partition(",")[0] for task in report.table["task"]}
    return Experiment(report, merged, {name: points for name, points in curves.items() if name in read}, parts)


def check_cold(task: Task) -> None:
    """Refuse a cold task of which training has heard a candidate.

    Raises
    ------
    LeakageError
        Naming the first such track.
    """
    heard = np.bincount(task.train.track_rows, minlength=len(task.train.tracks)) > 0
    leaked = task.candidate_rows[heard[task.candidate_rows]]
    if len(leaked):
        raise LeakageError(f"track {task.train.tracks.ids[leaked[0]]!r} is to be cold, but training has plays of it")


@dataclass(frozen=True, eq=False)
class _World:
    """What the tasks of all seeds are made of."""

    catalog: Catalog
    interactions: Interactions
    embed: Embeddings | Embed | None
    has_embedding: npt.NDArray[np.bool_]
    config: ColdStartConfig

    def tasks(self, group: str, seed: int, points: tuple[int, ...]) -> tuple[Task, ...] | Curve:
        """Make the tasks of one of `TASKS`; a curve's with the given points."""
        config, plays = self.config, self.interactions
        if group == "users":
            kept = filter_min_users(plays, config.min_plays)
            split = hide_users(kept, fraction=config.fraction, min_pairs=points[1] + MIN_HIDDEN, seed=seed)
            return user_curve(split, points, seed, min_new=config.min_new)
        if group == "warm":
            return (warm_task(plays, fraction=config.fraction, min_users=config.min_plays, seed=seed),)
        how: dict[str, Any] = {
            "fraction": config.fraction,
            "min_users": config.min_plays,
            "seed": seed,
            "by": config.split,
            "catalog": self.catalog,
        }
        if group == "tracks":
            curve = track_curve(hide_tracks(plays, self.has_embedding, **how), points, seed, min_new=config.min_new)
            check_cold(curve.tasks[0])
            return curve
        task = (cold_task if group == "cold" else mixed_task)(plays, self.has_embedding, **how)
        if group == "cold":
            check_cold(task)
        return (task,)


@dataclass(frozen=True, eq=False)
class _SeedWork:
    """The tasks of one seed and what is fitted for them, made when first asked for; one task's fits at a time."""

    world: _World
    seed: int
    curves: dict[str, tuple[int, ...]]
    _made: dict[str, list[tuple[Task, Fits]]] = field(default_factory=dict)
    _fits: dict[str, Fits] = field(default_factory=dict)

    def questions(self, group: str) -> list[tuple[Task, Fits]]:
        if group not in self._made:
            self._made.clear()
            tasks = self.world.tasks(group, self.seed, self.curves.get(group, ()))
            tasks = tasks.tasks if isinstance(tasks, Curve) else tasks
            fits = self._fit("cold" if group == "tracks" else group, tasks[0].train)
            self._made[group] = [(task, fits.after(task.revealed)) for task in tasks]
        return self._made[group]

    def _fit(self, key: str, train: Interactions) -> Fits:
        """The curve of new tracks learns from what the task ``cold`` learns from: nothing is fitted twice."""
        if key not in self._fits:
            self._fits.clear()
            world = self.world
            embeddings = world.embed(train) if callable(world.embed) else world.embed
            self._fits[key] = Fits(world.catalog, train, embeddings, world.config.ranker, self.seed)
        return self._fits[key]


def _survey(world: _World) -> tuple[list[str], dict[str, tuple[int, ...]], dict[str, str]]:
    """Find the tasks, and points of curves, that the data support in every seed; say why others are left out."""
    config = world.config
    curves = {"tracks": config.track_points, "users": config.user_points}
    groups: list[str] = []
    left_out: dict[str, str] = {}
    for group in (task for task in ("cold", "tracks", "mixed", "warm", "users") if task in config.tasks):
        if world.embed is None and group in ("cold", "mixed", "tracks"):
            left_out[f"task {group}"] = "needs embeddings: without them nothing is known of a new track"
            continue
        try:
            for seed in config.seeds:
                made = world.tasks(group, seed, curves.get(group, ()))
                if isinstance(made, Curve) and made.left_out:
                    curves[group] = made.points
        except LeakageError:
            raise
        except DataError as error:
            left_out[f"task {group}"] = str(error)
            continue
        groups.append(group)
        asked = {"tracks": config.track_points, "users": config.user_points}.get(group, ())
        if missing := [str(k) for k in asked if k not in curves[group]]:
            left_out[f"curve of {group}, {', '.join(missing)} plays"] = (
                f"too few new {group} have so many plays and {MIN_HIDDEN} more to be found"
            )
    if not groups:
        raise DataError("the data support none of the tasks: " + "; ".join(f"{k}: {v}" for k, v in left_out.items()))
    return groups, curves, left_out


def _version(data: dict[str, Any], config: ColdStartConfig, points: tuple[int, ...], group: str) -> str:
    """Name all that the figures of a task depend on, apart from its seed and the method."""
    settings = asdict(config)
    for name in ("seeds", "tasks", "methods", "draws", "track_points", "user_points"):
        del settings[name]
    if group in ("warm", "users"):
        del settings["split"]
    run = {
        "config": settings,
        "points": points,
        "embeddings": data["embeddings"],
        "digest": data["digest"],
        "packages": package_versions(),
        "code": _code_digest(),
    }
    return digest_of(np.frombuffer(json.dumps(run, sort_keys=True).encode(), dtype=np.uint8))


def _code_digest() -> str:
    """Return a digest of the package's source: figures of another code are not taken for this one's."""
    folder = Path(recommender.__file__).parent
    kinds = ("data", "models", "ranking", "evaluation")
    sources = sorted(path for kind in kinds for path in (folder / kind).glob("*.py") if path.name not in SHOWING)
    return digest_of(*(np.frombuffer(path.read_bytes() + b"\n", dtype=np.uint8) for path in sources))


def _without(figures: SeedFigures, failed: Mapping[tuple[str, str], str]) -> SeedFigures:
    """Leave out a method where it failed for any seed: a mean over fewer seeds would compare with nothing."""
    per_user = {
        task: {name: frame for name, frame in frames.items() if (task.partition(",")[0], name) not in failed}
        for task, frames in figures.per_user.items()
    }
    per_user = {task: frames for task, frames in per_user.items() if frames}
    gone = [(t.partition(",")[0], m) in failed for t, m in figures.catalog[["task", "method"]].itertuples(index=False)]
    catalog = figures.catalog[~np.array(gone, dtype=bool)]
    return SeedFigures(figures.seed, per_user, catalog, figures.durations_s, figures.counts)


def _has_embedding(
    interactions: Interactions, embed: Embeddings | Embed | None, embeddable: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.bool_]:
    if isinstance(embed, Embeddings):
        return embed.tracks.known(interactions.tracks)
    return np.ones(len(interactions.tracks), dtype=bool) if embeddable is None else embeddable
