"""The hybrid model: arrays, and nothing that must be fitted again to be used."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.data.catalog import Catalog
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ConfigError, ModelError
from recommender.models.als import AlsConfig, play_confidence
from recommender.models.cold_start import UNKNOWN_ARTIST, PosteriorConfig, Prior, PriorConfig
from recommender.models.factors import Factors
from recommender.models.neighbours import NeighboursConfig
from recommender.ranking.sound import Sound

if TYPE_CHECKING:
    from recommender.ranking.learned import Learned
    from recommender.ranking.retrieval import CodedTracks

Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RankerConfig:
    """How a hybrid model is fitted.

    Parameters
    ----------
    als, neighbours, prior, posterior
        Configs of the models underneath. The scale of `posterior` is where the search starts, not where it ends.
    cold_share : float
        Least share of the played, embedded tracks that the inner validation hides whole, to stand for new tracks.
    held_out_share : float
        Share of the remaining plays that it hides: the latest, or of each user's where plays have no times.
    validation_users : int
        At most so many users are ranked while parameters are chosen.
    search_als : bool
        Whether the two weights of `als` are searched for, from its own on, on plays that are held out.
    warm_loss : float
        Most that the blend may lose of pure CF's NDCG on known tracks, as a share of it.
    validation_top : int
        Length of the lists that are measured.
    learned : bool
        Whether a learned ranker and the plain posterior are tried against the blend.
    seed : int
    """

    als: AlsConfig = field(default_factory=AlsConfig)
    neighbours: NeighboursConfig = field(default_factory=NeighboursConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)
    posterior: PosteriorConfig = field(default_factory=PosteriorConfig)
    cold_share: float = 0.12
    held_out_share: float = 0.1
    validation_users: int = 2000
    search_als: bool = True
    warm_loss: float = 0.01
    validation_top: int = 20
    learned: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("cold_share", "held_out_share"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigError(f"ranker {name} is {getattr(self, name)}, expected a share between 0 and 1")
        if self.validation_users < 1 or self.validation_top < 1:
            raise ConfigError("ranker validation_users and validation_top must be at least 1")


@dataclass(frozen=True)
class Blend:
    """The numbers that join plays, sound and popularity; chosen on the inner validation.

    For a user with m known plays and a track with n listeners, all parts standardised per user::

        w = n / (n + track_half)                           1 for a track without an embedding, or if plain_posterior
        v = m^2 / (m^2 + user_half^2)                      0 for a user without plays
        cf = (1 - neighbour_share) factors + neighbour_share neighbours
        taste = w cf + (1 - w) (content_gain content + content_offset) + popularity_gain popularity
        score = v taste + (1 - v) popularity

    Parameters
    ----------
    track_half : float > 0
        Listeners at which a track's plays weigh as much as its sound.
    user_half : float >= 0
        Plays at which a user's taste weighs as much as popularity.
    neighbour_share : float in [0, 1]
        Share of the CF score that comes from `recommender.models.neighbours`.
    prior_share : float in [0, 1]
        Share of the content score that comes from the predicted factors; the rest is likeness to the user's plays.
    content_gain : float
        What one standard deviation of content is worth, in standard deviations of CF.
    content_offset : float
        Where the middle of the new tracks stands among the known ones, in standard deviations of CF.
    popularity_gain : float
        What popularity adds to a user's own taste; below 0 it takes back what popular tracks have too much.
    plain_posterior : bool
        Whether the posterior factors, which have the sound in their prior, are left to rank new tracks too.
    """

    track_half: float = 3.0
    user_half: float = 0.5
    neighbour_share: float = 0.15
    prior_share: float = 0.5
    content_gain: float = 1.0
    content_offset: float = 0.0
    popularity_gain: float = 0.0
    plain_posterior: bool = False


@dataclass(frozen=True, eq=False)
class Standards:
    """Means and covariances over tracks, by which each user's scores are standardised without looking at all of them.

    Parameters
    ----------
    cf_mean, cf_covariance : ndarray, shapes (d,) and (d, d), float64
        Of the posterior factors of tracks with plays.
    content_mean, content_covariance : ndarray, shapes (d + dim,) and (d + dim, d + dim), float64
        Of the predicted factors and sound vectors, side by side, of tracks with an embedding.
    popularity_mean, popularity_std : float
        Of ``log(1 + listeners)`` over tracks with plays.
    gram : ndarray, shape (d, d), float64
        ``sum_i y_i y_i'`` over the tracks that ALS was trained on.
    n_known_tracks : int
        How many those are.
    """

    cf_mean: npt.NDArray[np.float64]
    cf_covariance: npt.NDArray[np.float64]
    content_mean: npt.NDArray[np.float64]
    content_covariance: npt.NDArray[np.float64]
    popularity_mean: float
    popularity_std: float
    gram: npt.NDArray[np.float64]
    n_known_tracks: int


@dataclass(frozen=True, eq=False)
class HybridModel:
    """Everything that is needed to recommend. All per-track arrays follow `catalog`, all per-user ones `users`.

    Parameters
    ----------
    catalog : Catalog
    users : Vocabulary
    plays, heard : csr_matrix, shape (n_users, n_tracks), float32
        Liked plays with their weights; 1 for everything played or skipped, -1 where disliked.
    evidence : ndarray, shape (n_tracks,), float32
        Users who played the track.
    factors : Factors
        ALS; one column of zeros without plays.
    neighbours : csr_matrix, shape (n_tracks, n_tracks), float32
        What a play of the row's track says for the column's.
    posterior_factors : ndarray, shape (n_tracks, d), float32
        Track factors that recommendations are made with.
    prior : Prior or None
        From an embedding to factors; None without plays or without embeddings.
    prior_means : ndarray, shape (n_tracks, d), float32
        Predicted factors; 0 where a track has no embedding.
    sound : Sound or None
        Audio vectors; None without embeddings.
    posterior : PosteriorConfig
        As chosen.
    blend : Blend
    standards : Standards
        Frozen at the fit, so that a live update moves only the tracks that it concerns.
    config : RankerConfig
    validation : dict
        What was tried, chosen and measured; JSON.
    learned : Learned or None
        Re-orders what the blend has drawn, where that was measured to be better.
    index : CodedTracks or None
        Of the tracks as they were when it was built; None builds one where there are many.
    changed_rows : ndarray, shape (k,), int32
        Tracks that changed or came since then.
    """

    catalog: Catalog
    users: Vocabulary
    plays: sparse.csr_matrix
    heard: sparse.csr_matrix
    evidence: Float32s
    factors: Factors
    neighbours: sparse.csr_matrix
    posterior_factors: Float32s
    prior: Prior | None
    prior_means: Float32s
    sound: Sound | None
    posterior: PosteriorConfig
    blend: Blend
    standards: Standards
    config: RankerConfig
    validation: dict[str, Any]
    learned: Learned | None = None
    index: CodedTracks | None = None
    changed_rows: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))

    def __post_init__(self) -> None:
        n_tracks, shape = len(self.catalog), (len(self.users), len(self.catalog))
        if self.plays.shape != shape or self.heard.shape != shape:
            raise ModelError(f"plays {self.plays.shape} and heard {self.heard.shape} do not fit users x tracks {shape}")
        lengths = {
            len(self.evidence),
            len(self.posterior_factors),
            len(self.prior_means),
            *self.neighbours.shape,
        }
        if lengths != {n_tracks} or (self.sound is not None and len(self.sound.vectors) != n_tracks):
            raise ModelError(f"per-track arrays of {sorted(lengths)} rows do not fit a catalog of {n_tracks} tracks")

    @cached_property
    def has_vector(self) -> npt.NDArray[np.bool_]:
        """Tell of each track whether its sound is known, shape (n_tracks,)."""
        return self.sound.has_vector if self.sound is not None else np.zeros(len(self.catalog), dtype=bool)

    @cached_property
    def knows_plays(self) -> bool:
        """Whether there were plays to fit factors on."""
        return bool(self.factors.track_factors.any())

    @cached_property
    def confidence(self) -> sparse.csr_matrix:
        """The weights of the plays, shape (n_users, n_tracks)."""
        return play_confidence(self.plays, self.factors.config.play_emphasis)

    @property
    def sound_vectors(self) -> Float32s:
        """Unit sound vectors in catalog rows, shape (n_tracks, dim); dim = 0 without embeddings."""
        return self.sound.vectors if self.sound is not None else np.zeros((len(self.catalog), 0), dtype=np.float32)

    @cached_property
    def user_gram(self) -> npt.NDArray[np.float64]:
        """``sum_u x_u x_u'`` of the users' factors, shape (d, d), float64."""
        gram = np.zeros((self.factors.dim, self.factors.dim))
        for start in range(0, len(self.users), 4096):
            block = self.factors.user_factors[start : start + 4096].astype(np.float64)
            gram += block.T @ block
        return gram

    @cached_property
    def play_weight(self) -> Float32s:
        """W of `Blend` for each track, see `recommender.ranking.scoring.play_weight`."""
        from recommender.ranking.scoring import play_weight

        return play_weight(self)

    @cached_property
    def retrieval(self) -> CodedTracks | None:
        """What many tracks are narrowed down with, None where they are few; see `recommender.ranking.retrieval`."""
        from recommender.ranking.retrieval import code_tracks, is_large

        return code_tracks(self) if self.index is None and is_large(self) else self.index

    @cached_property
    def track_index(self) -> Float32s:
        """The tracks' side of the score, see `recommender.ranking.scoring.track_vectors`."""
        from recommender.ranking.scoring import track_vectors

        return track_vectors(self)

    @property
    def artist_codes(self) -> npt.NDArray[np.int32]:
        """One code an artist, shape (n_tracks,)."""
        return self.catalog.artists


def known_artists(catalog: Catalog) -> npt.NDArray[np.int32]:
    """Return one code an artist as the prior wants them, shape (n_tracks,): `UNKNOWN_ARTIST` where none is named."""
    named = catalog.table["artist"].str.strip().to_numpy(dtype=object) != ""
    return np.where(named, catalog.artist_codes(), UNKNOWN_ARTIST).astype(np.int32)
