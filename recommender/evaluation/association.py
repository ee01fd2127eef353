"""Whether tell-tales separate classes of tracks more than chance does: permutations of whole artists, and Holm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.integer]

DRAWS = 999
LEVEL = 0.01
"""Chance of a false alarm of one whole audit, all classes and tell-tales together."""

LEAST = 0.1
"""A separation whose AUC is nearer than this to 0.5 is of no use to a network, however sure it is."""


@dataclass(frozen=True)
class Separation:
    """How well one tell-tale separates one class from the rest.

    Parameters
    ----------
    label, feature : str
    auc : float
        Above 0.5, the class has more of it. For artists, 0.5 plus half of the variance that they explain.
    p : float
        Adjusted for all tell-tales and classes.
    """

    label: str
    feature: str
    auc: float
    p: float

    @property
    def is_found(self) -> bool:
        """Whether it is both sure and large."""
        return self.p <= LEVEL and abs(self.auc - 0.5) >= LEAST


def separations(
    features: Floats,
    names: Sequence[str],
    labels: Mapping[str, Ints],
    groups: Ints,
    *,
    columns: Mapping[str, npt.NDArray[np.bool_]] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[Separation]:
    """Test every tell-tale on every class.

    Parameters
    ----------
    features : ndarray, shape (n, n_features), float64
    names : sequence of str
        Of the features.
    labels : mapping of name to ndarray, shape (n,), int
        1 in the class, 0 not in it, -1 left out. A name that ends in ``*`` is of many classes, whose numbers the array
        holds (-1 is left out).
    groups : ndarray, shape (n,), int
        The artist of each row: tracks of one artist are no independent observations, so that a draw gives each artist
        the tell-tales of another one whole. Where the classes are the artists, rows are drawn one by one.
    columns : mapping of a class's name to ndarray, shape (n_features,), bool, optional
        The tell-tales that count for it; all by default.
    draws, seed : int

    Returns
    -------
    list of Separation
        Best first inside a class; classes in the order given.

    Notes
    -----
    Westfall and Young's single-step maxT over tell-tales, on statistics in their own permutation deviations; Holm over
    classes.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, tuple[Ints, Floats, Floats]] = {}
    for label, classes in labels.items():
        used = classes >= 0
        kept = np.flatnonzero((columns or {}).get(label, np.ones(len(names), dtype=bool)))
        if not len(kept) or len(np.unique(classes[used])) < 2:
            continue
        ranks = np.apply_along_axis(rankdata, 0, features[used][:, kept]) / used.sum()
        if label.endswith("*"):
            tested = _test(ranks, classes[used], np.arange(used.sum()), _explained, draws, rng)
        else:
            tested = _test(ranks, classes[used], groups[used], _shift, draws, rng)
        found[label] = (kept, *tested)
    order = sorted(found, key=lambda label: found[label][2].min())
    factors = {label: len(order) - place for place, label in enumerate(order)}
    highest, made = 0.0, {}
    for label in order:
        columns_kept, values, p = found[label]
        adjusted = np.maximum(np.minimum(p * factors[label], 1.0), highest)
        highest = float(adjusted.min())
        rows = [
            Separation(label, names[column], 0.5 + float(value), float(each))
            for column, value, each in zip(columns_kept.tolist(), values, adjusted, strict=True)
        ]
        made[label] = sorted(rows, key=lambda one: (one.p, -abs(one.auc - 0.5)))
    return [one for label in labels if label in made for one in made[label]]


def _test(
    ranks: Floats,
    classes: Ints,
    groups: Ints,
    statistic: Callable[[Floats, Ints], Floats],
    draws: int,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    observed = statistic(ranks, classes)
    null = np.stack([statistic(ranks[rows], classes) for rows in _exchanged(groups, draws, rng)])
    spread = np.maximum(null.std(axis=0), 1e-6)
    centre = null.mean(axis=0)
    highest = (np.abs(null - centre) / spread).max(axis=1)
    reached = (highest[:, None] >= np.abs(observed - centre)[None, :] / spread - 1e-9).sum(axis=0)
    return observed, (1.0 + reached) / (draws + 1)


def _shift(ranks: Floats, classes: Ints) -> Floats:
    """Return the AUC less 0.5: the difference of mean ranks, as a share."""
    shift: Floats = ranks[classes == 1].mean(axis=0) - ranks[classes == 0].mean(axis=0)
    return shift


def _explained(ranks: Floats, classes: Ints) -> Floats:
    """Return half of the share of the variance that lies between classes."""
    _, of, counts = np.unique(classes, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), ranks.shape[1]))
    np.add.at(sums, of, ranks)
    centre = ranks.mean(axis=0)
    between = (counts[:, None] * (sums / counts[:, None] - centre) ** 2).sum(axis=0)
    share: Floats = 0.5 * between / np.maximum(((ranks - centre) ** 2).sum(axis=0), 1e-12)
    return share


def _exchanged(groups: Ints, draws: int, rng: np.random.Generator) -> Iterator[Ints]:
    """Yield rows so that each group has those of another one, repeated or cut to its own size."""
    _, of = np.unique(groups, return_inverse=True)
    members = [np.flatnonzero(of == group) for group in range(of.max() + 1)]
    if len(members) == len(groups):
        for _ in range(draws):
            yield rng.permutation(len(groups))
        return
    for _ in range(draws):
        rows = np.empty(len(groups), dtype=np.intp)
        for own, other in zip(members, rng.permutation(len(members)), strict=True):
            rows[own] = np.resize(rng.permutation(members[other]), len(own))
        yield rows
