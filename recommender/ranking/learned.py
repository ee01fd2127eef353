"""A learned ranker that re-orders a pool: trees that correct the blend's scores by what else is known of the pair.

The trees are LightGBM's (Ke et al., NeurIPS 2017), grown with LambdaRank (Burges, MSR-TR-2010-82) from the blend's own
scores on: no tree is the blend. A score stays a sum of parts, for the trees' answers are split among what they looked
at by TreeSHAP (Lundberg et al., Nature Machine Intelligence 2020). `recommender.ranking.ranker_choice` says when a
model has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.ranking.model import Float32s, HybridModel
from recommender.ranking.scoring import PARTS, Side, UserVectors, fame

if TYPE_CHECKING:
    from lightgbm import Booster

FEATURES = (
    "factors",
    "neighbours",
    "content",
    "popularity",
    "listeners",
    "plays",
    "play_weight",
    "embedded",
    "artist_plays",
    "cf_over_content",
)
"""The columns of `features`."""

LEARNED_PARTS = (*PARTS, "context")
"""The columns of `Learned.parts`."""

POOL = 100
"""What is re-ordered: the best of so many by the blend, at least."""

DECIMALS = 3
"""Features are rounded, so that what differs by float noise falls on the same side of a tree's threshold."""

_PART_OF = {name: PARTS.index(name) for name in PARTS} | {"listeners": PARTS.index("popularity")}


@dataclass(frozen=True, eq=False)
class Learned:
    """A trained ranker.

    Parameters
    ----------
    text : str
        LightGBM's text format.
    """

    text: str

    @cached_property
    def booster(self) -> Booster:
        """The trees, ready to be asked."""
        from lightgbm import Booster

        return Booster(model_str=self.text)

    def corrections(self, of: Float32s) -> npt.NDArray[np.float64]:
        """Return what is added to the blend's scores, shape (k,), from `features` (k, n)."""
        if not len(of):
            return np.zeros(0)
        return np.asarray(self.booster.predict(of, num_threads=1), dtype=np.float64)

    def parts(self, of: Float32s) -> npt.NDArray[np.float64]:
        """Split `corrections` among `LEARNED_PARTS`, shape (k, 5), from `features` (k, n); rows add up to them.

        What belongs to none of the blend's parts, and the trees' answer before they look at anything, is context.
        """
        split = np.zeros((len(of), len(LEARNED_PARTS)))
        if len(of):
            found = np.asarray(self.booster.predict(of, pred_contrib=True, num_threads=1), dtype=np.float64)
            for column, name in enumerate((*FEATURES, "bias")):
                split[:, _PART_OF.get(name, len(PARTS))] += found[:, column]
        return split


def features(
    model: HybridModel,
    users: UserVectors,
    user: int,
    plays: sparse.csr_matrix,
    track_rows: npt.NDArray[np.integer],
) -> Float32s:
    """Return `side_features` of the row `user` of `users`, whose plays are `plays` (1, n_tracks)."""
    return side_features(model, users.side(user), np.unique(plays.indices[plays.data > 0]), track_rows)


def side_features(
    model: HybridModel, side: Side, played: npt.NDArray[np.integer], track_rows: npt.NDArray[np.integer]
) -> Float32s:
    """Return what the learned ranker knows of a user and some tracks.

    Parameters
    ----------
    model : HybridModel
    side : Side
        The user's side of the score.
    played : ndarray, shape (m,), int
        The tracks that the user played, each once.
    track_rows : ndarray, shape (k,), int

    Returns
    -------
    ndarray, shape (k, len(FEATURES)), float32
        Factors, neighbours and content as the blend standardises them, before w weighs them; popularity in standard
        deviations; log(1 + n) of the track's listeners, the user's plays and those of other tracks by the artist; w; 1
        where there is an embedding; CF less content. Content is 0 where there is none.
    """
    d, vector = model.posterior_factors.shape[1], side.vector
    factors = model.posterior_factors[track_rows] @ vector[:d] + vector[d]
    near = side.near_of(track_rows)
    index = np.hstack([model.prior_means[track_rows], model.sound_vectors[track_rows]])
    embedded = model.has_vector[track_rows].astype(np.float32)
    content = embedded * (index @ vector[d + 1 : -2] + vector[-2])
    codes = model.artist_codes
    others = (codes[track_rows][:, None] == codes[played]).sum(axis=1) - np.isin(track_rows, played)
    evidence = model.evidence[track_rows]
    columns = (
        factors,
        near,
        content,
        fame(model, evidence),
        np.log1p(evidence),
        np.full(len(track_rows), np.log1p(len(played))),
        model.play_weight[track_rows],
        embedded,
        np.log1p(others),
        factors + near - content,
    )
    return np.round(np.column_stack(columns), DECIMALS).astype(np.float32)


def side_corrections(
    model: HybridModel, side: Side, played: npt.NDArray[np.integer], track_rows: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    """Return what the learned ranker adds to the blend's scores of tracks, shape (k,); 0 where the model has none."""
    if model.learned is None:
        return np.zeros(len(track_rows))
    return model.learned.corrections(side_features(model, side, played, track_rows))
