"""What lists would have been worth that nobody was shown, from the log of those that were.

A log says for each place who was shown there, with which probability (`recommender.ranking.exploration`), and whether
it was played. Where the logged list shows a track that the other list would show too, its reward counts, with weight
``w = 1 / propensity``: tracks that are shown rarely stand for all the times they were not. With S the shown places that
hold a track of the other list, n the length of the other lists, r the rewards, q any prediction of them::

    IPS    sum_S w r / sum n                                unbiased where the log may show all that the other list has
    SNIPS  sum_S w r / sum_S w                              less variance; a ratio, biased by order 1/n
    DR     (sum_other q + sum_S w (r - q)) / sum n          as IPS, less variance the better q is

Horvitz & Thompson, JASA 1952; Swaminathan & Joachims, NIPS 2015; Dudik, Langford & Li, ICML 2011. All are means for
each place of a list. They take it that a reward depends on the user and the track, not on the place nor the rest of the
list (the item-position model of Li et al., KDD 2018, without the position): a track's chance is its chance to be in the
list at all. What the log could never show counts 0 in IPS, is left out of SNIPS, and is predicted in DR; the mean of
``sum_S w / sum n``, 1 where nothing is missing, says how much that is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.errors import DataError
from recommender.evaluation.bootstrap import DRAWS, Floats, interval

Ints = npt.NDArray[np.int64]
METHODS = ("logged lists", "IPS", "SNIPS", "DR")
MIN_USERS = 30
MIN_EFFECTIVE = 100.0
MIN_OVERLAP = 0.8
MAX_CLIPPED = 0.01
N_BINS = 10


@dataclass(frozen=True, eq=False)
class LoggedLists:
    """Lists that were shown, beside those that another policy would have shown in their place.

    Parameters
    ----------
    users : ndarray, shape (n_lists,), int64
        Who was shown each list, any numbers.
    shown_list : ndarray, shape (n_shown,), int64
        The list that each shown track was in.
    propensities : ndarray, shape (n_shown,), float64
        In (0, 1].
    rewards : ndarray, shape (n_shown,), float64
        1 where the track was played, for example.
    wanted : ndarray, shape (n_shown,), bool
        Whether the other list has the shown track too.
    shown_scores : ndarray, shape (n_shown,), float64
        Any number that tells good tracks from bad ones, to predict rewards by.
    other_list : ndarray, shape (n_other,), int64
        The same for the tracks of the other lists: which list,
    other_scores : ndarray, shape (n_other,), float64
        and the number.

    Raises
    ------
    DataError
        If a propensity is not in (0, 1], or lengths do not fit.
    """

    users: Ints
    shown_list: Ints
    propensities: Floats
    rewards: Floats
    wanted: npt.NDArray[np.bool_]
    shown_scores: Floats
    other_list: Ints
    other_scores: Floats

    def __post_init__(self) -> None:
        shown = [self.shown_list, self.propensities, self.rewards, self.wanted, self.shown_scores]
        if len({len(column) for column in shown}) > 1 or len(self.other_list) != len(self.other_scores):
            raise DataError(f"columns of shown tracks have different lengths: {[len(column) for column in shown]}")
        outside = self.propensities[~((self.propensities > 0) & (self.propensities <= 1))]
        if len(outside):
            raise DataError(f"a shown track has the propensity {outside[0]}, expected a probability above 0, at most 1")


@dataclass(frozen=True, eq=False)
class OffPolicyEstimate:
    """What another policy is worth, and how much the log can say about it.

    Parameters
    ----------
    table : DataFrame
        Columns method, value, low, high: reward for each place, with its interval by drawing the users again. The
        first line is what was shown itself.
    n_users, n_lists, n_shown, n_rewarded : int
    effective : float
        Effective sample size of the weights, ``(sum w)^2 / sum w^2`` (Kish).
    clipped : float
        Share of the weighted places whose weight was cut.
    overlap : float
        Share of the other lists that the log could have shown, estimated.
    """

    table: pd.DataFrame
    n_users: int
    n_lists: int
    n_shown: int
    n_rewarded: int
    effective: float
    clipped: float
    overlap: float

    @property
    def doubts(self) -> tuple[str, ...]:
        """One sentence for each reason not to trust the estimates."""
        found = []
        if self.n_users < MIN_USERS:
            found.append(f"the log holds lists of {self.n_users} users, {MIN_USERS} are needed: serve for longer")
        if self.effective < MIN_EFFECTIVE:
            found.append(
                f"the log is worth {self.effective:.0f} tracks shown by this bundle itself, {MIN_EFFECTIVE:.0f} are "
                "needed: serve for longer, or with more exploration"
            )
        if self.overlap < MIN_OVERLAP:
            found.append(
                f"the log could have shown {self.overlap:.0%} of what this bundle would show, {MIN_OVERLAP:.0%} are "
                "needed: IPS is too low and SNIPS is of that part only; serve with more exploration"
            )
        if self.clipped > MAX_CLIPPED:
            found.append(
                f"{self.clipped:.1%} of the weights were cut, at most {MAX_CLIPPED:.0%} may be: IPS is too low"
            )
        return tuple(found)


def estimate_value(
    logged: LoggedLists, *, clip: float = 1000.0, draws: int = DRAWS, seed: int = 0, level: float = 0.95
) -> OffPolicyEstimate:
    """Estimate what the other lists are worth.

    Parameters
    ----------
    logged : LoggedLists
    clip : float
        Larger weights are cut to it.
    draws, seed : int
        Of the bootstrap: users are drawn with all their lists.
    level : float
        Of the intervals.

    Returns
    -------
    OffPolicyEstimate

    Raises
    ------
    DataError
        If there is no shown track.
    """
    if not len(logged.propensities):
        raise DataError("no list was logged: serve with the log on, and ask for recommendations of users")
    full = np.where(logged.wanted, 1 / logged.propensities, 0.0)
    weights = np.minimum(full, clip)
    shown_predicted, other_predicted = _predict(logged)
    users, of_list = np.unique(logged.users, return_inverse=True)

    def by_user(lists: Ints, values: Floats) -> Floats:
        return np.bincount(of_list[lists], values, minlength=len(users)).astype(np.float64)

    shown, other = logged.shown_list, logged.other_list
    corrected = by_user(shown, weights * (logged.rewards - shown_predicted)) + by_user(other, other_predicted)
    rewarded, length = by_user(shown, weights * logged.rewards), by_user(other, np.ones(len(other)))
    ratios = (
        (by_user(shown, logged.rewards), by_user(shown, np.ones(len(shown)))),
        (rewarded, length),
        (rewarded, by_user(shown, weights)),
        (corrected, length),
    )
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(users), np.full(len(users), 1 / len(users)), size=draws)
    rows = []
    for method, (above, below) in zip(METHODS, ratios, strict=True):
        samples = _ratio(drawn @ above, drawn @ below)
        low, high = interval(samples[:, None], level)
        rows.append((method, float(_ratio(above.sum(), below.sum())), float(low[0]), float(high[0])))
    total, squares = weights.sum(), (weights**2).sum()
    return OffPolicyEstimate(
        pd.DataFrame(rows, columns=["method", "value", "low", "high"]),
        n_users=len(users),
        n_lists=len(logged.users),
        n_shown=len(shown),
        n_rewarded=int(np.count_nonzero(logged.rewards)),
        effective=float(total**2 / squares) if squares else 0.0,
        clipped=float((full > clip).sum() / max(logged.wanted.sum(), 1)),
        overlap=float(_ratio(full.sum(), len(other))),
    )


def _predict(logged: LoggedLists) -> tuple[Floats, Floats]:
    """Predict the rewards of shown and of other tracks: what their score's bin got from the other half of the users."""
    edges = np.unique(np.quantile(logged.shown_scores, np.arange(1, N_BINS) / N_BINS))
    shown_bins, other_bins = np.searchsorted(edges, logged.shown_scores), np.searchsorted(edges, logged.other_scores)
    half = np.unique(logged.users, return_inverse=True)[1] % 2
    shown_half, other_half = half[logged.shown_list], half[logged.other_list]
    shown_predicted, other_predicted = np.zeros(len(logged.rewards)), np.zeros(len(logged.other_scores))
    for side in (0, 1):
        learned, n_bins = shown_half != side, len(edges) + 1
        overall = _ratio(logged.rewards[learned].sum(), learned.sum(), 0.0)
        sums = np.bincount(shown_bins[learned], logged.rewards[learned], minlength=n_bins)
        counts = np.bincount(shown_bins[learned], minlength=n_bins)
        means = (sums + overall) / (counts + 1)
        shown_predicted[~learned] = means[shown_bins[~learned]]
        other_predicted[other_half == side] = means[other_bins[other_half == side]]
    return shown_predicted, other_predicted


def _ratio(above: npt.ArrayLike, below: npt.ArrayLike, otherwise: float = np.nan) -> Floats:
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    return np.asarray(np.divide(above, below, out=np.full(above.shape, otherwise), where=below > 0))
