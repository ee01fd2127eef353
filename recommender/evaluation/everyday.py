"""How good a workspace's model is: known tracks, new tracks, and both in one list, against the baselines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt

from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.progress import Progress, silent
from recommender.errors import ConfigError
from recommender.evaluation.cold_start import check_cold
from recommender.evaluation.figures import measure
from recommender.evaluation.methods import METHODS, NEED_EMBEDDINGS, Embed, Fits, Method
from recommender.evaluation.protocol import Task, cold_task, mixed_task, time_task, warm_task
from recommender.evaluation.report import Report, build_report, describe_data
from recommender.ranking.ranker import RankerConfig

EVERYDAY_METHODS = ("random", "popularity", "ALS alone", "audio alone", "First Listen")
PROTOCOLS = ("warm", "cold", "mixed", "time")


@dataclass(frozen=True)
class EvaluationConfig:
    """What is hidden, how often, and what is read.

    Parameters
    ----------
    seeds : tuple of int
        One split each; figures are averaged over them.
    fraction : float in (0, 1)
        Of each user's (user, track) pairs, and of the tracks that go cold.
    min_users : int >= 1
        Tracks with fewer users are left out of everything.
    ks : tuple of int
    protocols : tuple of {"warm", "cold", "mixed", "time"}
        Without embeddings ``"cold"`` and ``"mixed"`` are not read. ``"time"`` needs plays with times and hides the same
        for every seed.
    methods : tuple of str
        Names in `methods.METHODS`.
    draws : int
        Bootstrap samples for the intervals.
    ranker : RankerConfig
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    fraction: float = 0.2
    min_users: int = 5
    ks: tuple[int, ...] = (20, 50)
    protocols: tuple[str, ...] = ("warm", "cold", "mixed")
    methods: tuple[str, ...] = EVERYDAY_METHODS
    draws: int = 1000
    ranker: RankerConfig = field(default_factory=RankerConfig)

    def __post_init__(self) -> None:
        for name, values, known in (("protocol", self.protocols, PROTOCOLS), ("method", self.methods, tuple(METHODS))):
            strange = [value for value in values if value not in known]
            if strange or not values:
                raise ConfigError(f"{name} {strange[0] if strange else values!r} is none of {', '.join(known)}")


def warm_evaluation(
    catalog: Catalog,
    interactions: Interactions,
    embed: Embeddings | Embed | None,
    config: EvaluationConfig,
    progress: Progress | None = None,
    *,
    embeddable: npt.NDArray[np.bool_] | None = None,
) -> Report:
    """Evaluate everything that a workspace's data allow, several seeds averaged.

    Parameters
    ----------
    catalog : Catalog
    interactions : Interactions
    embed : Embeddings, callable or None
        As in `cold_start.run_cold_start_experiment`; None reads the warm protocol alone, without the methods that hear.
    config : EvaluationConfig
    progress : Progress, optional
        Called with (done, total) methods, over all tasks and seeds.
    embeddable : ndarray, shape (n_tracks,), bool, optional
        The tracks that a callable `embed` gives a vector; all by default.

    Returns
    -------
    Report
        Tasks ``warm``, ``cold``, ``mixed``, ``mixed, cold`` and ``mixed, warm``, as far as `config` asks for them.

    Notes
    -----
    Warm: a fraction of each user's pairs hidden. Cold: every play of a fraction of the embedded tracks hidden, those
    tracks alone as candidates. Mixed: both hidden, all tracks as candidates. Time: the last plays hidden, a fraction of
    all, every track a candidate.
    """
    methods: Mapping[str, Method] = {
        name: METHODS[name] for name in config.methods if embed is not None or name not in NEED_EMBEDDINGS
    }
    protocols = [p for p in config.protocols if embed is not None or p not in ("cold", "mixed")] or ["warm"]
    if isinstance(embed, Embeddings):
        has_embedding = embed.tracks.known(interactions.tracks)
    else:
        has_embedding = np.ones(len(interactions.tracks), dtype=bool) if embeddable is None else embeddable

    def tasks(seed: int) -> Iterator[tuple[Task, Fits]]:
        for protocol in protocols:
            task = _task(protocol, interactions, has_embedding, config, seed)
            embeddings = embed(task.train) if callable(embed) else embed
            yield task, Fits(catalog, task.train, embeddings, config.ranker, seed)

    tell = progress or silent
    total = len(config.seeds) * len(protocols) * len(methods)
    counter = iter(range(1, total + 1))
    tell(0, total)
    finished = [
        measure(seed, tasks(seed), methods, config.ks, lambda: tell(next(counter), total)) for seed in config.seeds
    ]
    data = describe_data(catalog, interactions, embed if isinstance(embed, Embeddings) else None)
    if embed is None:
        data["embeddings"] = "none"
    return build_report("Evaluation", asdict(config), data, finished, draws=config.draws)


def _task(
    protocol: str,
    interactions: Interactions,
    has_embedding: npt.NDArray[np.bool_],
    config: EvaluationConfig,
    seed: int,
) -> Task:
    if protocol == "time":
        in_order = np.sort(interactions.times)
        return time_task(interactions, in_order[int((1 - config.fraction) * (len(in_order) - 1))])
    if protocol == "warm":
        return warm_task(interactions, fraction=config.fraction, min_users=config.min_users, seed=seed)
    make = cold_task if protocol == "cold" else mixed_task
    task = make(interactions, has_embedding, fraction=config.fraction, min_users=config.min_users, seed=seed)
    if protocol == "cold":
        check_cold(task)
    return task
