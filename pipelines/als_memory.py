"""The strength of ALS that was found for a workspace is remembered: much the same plays need no second search."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recommender.data.storage import read_json, write_json
from recommender.errors import ArtifactError, ConfigError
from recommender.models.factors import AlsConfig
from recommender.ranking.model import RankerConfig

GROWTH = 1.5
"""With so many times the plays, or so many times fewer, the search is done again."""


def recall_strength(path: Path, ranker: RankerConfig, n_plays: int) -> RankerConfig:
    """Return the configuration with the weights that were found last time, without a search.

    Parameters
    ----------
    path : Path
        What `remember_strength` wrote.
    ranker : RankerConfig
    n_plays : int
        Of the workspace now.

    Returns
    -------
    RankerConfig
        As it was given where nothing is remembered, the search began elsewhere, or the plays have changed in number by
        more than `GROWTH`.
    """
    if not ranker.search_als or not path.exists():
        return ranker
    try:
        found = read_json(path)
        near = found["plays"] / GROWTH <= n_plays <= found["plays"] * GROWTH
        if not near or found["began_at"] != [ranker.als.unobserved_weight, ranker.als.regularization]:
            return ranker
        als = replace(ranker.als, unobserved_weight=found["unobserved_weight"], regularization=found["regularization"])
    except (ArtifactError, ConfigError, KeyError, TypeError):
        return ranker
    return replace(ranker, als=als, search_als=False)


def remember_strength(path: Path, began_at: AlsConfig, found: AlsConfig, n_plays: int) -> None:
    """Keep the weights that a search found, with where it began and how many plays it saw."""
    write_json(
        path,
        {
            "unobserved_weight": found.unobserved_weight,
            "regularization": found.regularization,
            "began_at": [began_at.unobserved_weight, began_at.regularization],
            "plays": n_plays,
        },
    )
