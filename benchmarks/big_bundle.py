"""A bundle of any size from generated listeners and music: for timings, not for figures of quality.

Tracks and users lie in clusters, tracks have a power law of popularity, embeddings follow the factors loosely, and the
newest fiftieth of the tracks has no plays. Nothing is trained: factors are drawn, so that a size takes a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from recommender.data.catalog import Catalog
from recommender.data.vocabulary import Vocabulary
from recommender.models.als import AlsConfig, play_confidence
from recommender.models.cold_start import PosteriorConfig
from recommender.models.factors import Factors
from recommender.models.neighbours import NeighboursConfig, fit_neighbours
from recommender.ranking.model import Blend, HybridModel, RankerConfig
from recommender.ranking.scoring import measure_standards
from recommender.ranking.sound import Sound
from recommender.serving.bundle import use_bundle, write_bundle

VERSION = "20260101T000000-bench"


@dataclass(frozen=True)
class Size:
    """How large a bundle is; `plays` a user on average."""

    tracks: int = 100_000
    users: int = 50_000
    factors: int = 128
    dim: int = 192
    plays: int = 60
    clips: int = 3


def ensure_bundle(folder: Path, size: Size, seed: int = 0) -> Path:
    """Write the bundle into ``folder/bundles`` and make it current, unless it is there; return that folder."""
    bundles = folder / "bundles"
    if not (bundles / VERSION / "manifest.json").exists():
        write_bundle(bundles / VERSION, draw_model(size, seed), None, config={}, data_digest="generated", metrics={})
    use_bundle(bundles, VERSION)
    return bundles


def draw_model(size: Size, seed: int) -> HybridModel:
    """Draw a model."""
    rng = np.random.default_rng(seed)
    n_clusters = 60
    centres = rng.normal(size=(n_clusters, size.factors)) * np.linspace(1.5, 0.2, size.factors)
    of_track = rng.integers(n_clusters, size=size.tracks)
    of_user = rng.integers(n_clusters, size=size.users)
    popularity = rng.permutation(1 / np.arange(1, size.tracks + 1) ** 0.7)
    new = rng.random(size.tracks) < 0.02
    popularity[new] = 0
    plays = _draw_plays(rng, size, of_user, of_track, popularity)
    evidence = np.bincount(plays.indices, minlength=size.tracks).astype(np.float32)
    scale = 0.25 / np.sqrt(size.factors)
    spread = 0.6 * np.linspace(1.5, 0.2, size.factors)
    track_factors = _float32(scale * (centres[of_track] + spread * rng.normal(size=(size.tracks, size.factors))))
    user_factors = _float32(centres[of_user] + spread * rng.normal(size=(size.users, size.factors)))
    track_factors *= np.log1p(evidence)[:, None] / np.log1p(evidence).mean()
    turn = rng.normal(size=(size.factors, size.dim)) / np.sqrt(size.factors)
    raw = (centres[of_track] @ turn) + 0.8 * rng.normal(size=(size.tracks, size.dim))
    vectors = _unit(raw)
    means = _float32(scale * (vectors @ np.linalg.pinv(turn)))
    clips = _unit(np.repeat(vectors, size.clips, axis=0) + 0.05 * rng.normal(size=(size.tracks * size.clips, size.dim)))
    sound = Sound(
        vectors,
        np.ones(size.tracks, dtype=bool),
        clips,
        np.repeat(np.arange(size.tracks, dtype=np.int32), size.clips),
        np.tile(_float32(10.0 * np.arange(size.clips)), size.tracks),
        np.zeros(size.dim, dtype=np.float32),
        np.ones(size.dim, dtype=np.float32),
        "generated",
    )
    catalog, users = _catalog(rng, size, of_track), Vocabulary("user", tuple(f"u{n:06d}" for n in range(size.users)))
    config = RankerConfig(als=AlsConfig(factors=size.factors))
    posterior_factors = np.where(evidence[:, None] > 0, track_factors, means)
    track_factors[new] = 0
    return HybridModel(
        catalog=catalog,
        users=users,
        plays=plays,
        heard=_ones(plays),
        evidence=evidence,
        factors=Factors(users, catalog.tracks, user_factors, track_factors, config.als),
        neighbours=fit_neighbours(play_confidence(plays, config.als.play_emphasis), NeighboursConfig(per_track=30)),
        posterior_factors=posterior_factors,
        prior=None,
        prior_means=means,
        sound=sound,
        posterior=PosteriorConfig(),
        blend=Blend(),
        standards=measure_standards(
            Factors(users, catalog.tracks, user_factors, track_factors, config.als),
            posterior_factors,
            evidence,
            means,
            vectors,
            sound.has_vector,
        ),
        config=config,
        validation={},
    )


def _draw_plays(
    rng: np.random.Generator,
    size: Size,
    of_user: npt.NDArray[np.integer],
    of_track: npt.NDArray[np.integer],
    popularity: npt.NDArray[np.float64],
) -> sparse.csr_matrix:
    """Draw who played what: three quarters from the user's own cluster, the rest from everywhere."""
    counts = np.maximum(3, rng.poisson(size.plays, size=size.users))
    users = np.repeat(np.arange(size.users), counts)
    tracks = rng.choice(size.tracks, p=popularity / popularity.sum(), size=len(users))
    own = rng.random(len(users)) < 0.75
    for cluster in range(of_track.max() + 1):
        mine = np.flatnonzero(own & (of_user[users] == cluster))
        members = np.flatnonzero((of_track == cluster) & (popularity > 0))
        if len(members):
            weights = popularity[members]
            tracks[mine] = rng.choice(members, p=weights / weights.sum(), size=len(mine))
    weights = np.ones(len(users), dtype=np.float32)
    plays = sparse.csr_matrix((weights, (users, tracks)), shape=(size.users, size.tracks))
    plays.sum_duplicates()
    return plays


def _catalog(rng: np.random.Generator, size: Size, of_track: npt.NDArray[np.integer]) -> Catalog:
    artists = of_track * 400 + rng.integers(400, size=size.tracks)
    days = np.datetime64("2015-01-01") + rng.integers(4000, size=size.tracks)
    return Catalog.from_frame(
        pd.DataFrame(
            {
                "item_id": [f"t{n:06d}" for n in range(size.tracks)],
                "title": [f"Song {n}" for n in range(size.tracks)],
                "artist": [f"Artist {n}" for n in artists],
                "album": [f"Album {n % 5} of artist {artist}" for n, artist in enumerate(artists)],
                "duration_s": rng.uniform(120, 400, size.tracks).round(1),
                "released": days.astype(str),
                "path": [f"/music/artist {artist}/{n:06d}.flac" for n, artist in enumerate(artists)],
            }
        )
    )


def _ones(plays: sparse.csr_matrix) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.ones_like(plays.data), plays.indices, plays.indptr), plays.shape)


def _unit(raw: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    return _float32(raw / np.linalg.norm(raw, axis=1, keepdims=True))


def _float32(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32)
