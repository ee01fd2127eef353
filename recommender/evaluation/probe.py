"""What a linear probe reads out of vectors: a label that it should not find there is a shortcut."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
"""Of the ridge, in samples times the mean variance; chosen on folds inside the training folds."""

N_FOLDS = 5
N_INNER_FOLDS = 3


def probe_scores(features: Floats, labels: npt.NDArray[np.bool_], groups: Ints, seed: int = 0) -> tuple[Floats, Ints]:
    """Predict a label of each row from the other groups' rows.

    Parameters
    ----------
    features : ndarray, shape (n, dim), float
    labels : ndarray, shape (n,), bool
    groups : ndarray, shape (n,), int
        Rows of one group are in one fold: both versions of a track, so that it cannot be known again.
    seed : int
        Deals the groups into folds.

    Returns
    -------
    scores : ndarray, shape (n,), float64
        Higher is more like True; comparable inside a fold only.
    folds : ndarray, shape (n,), int64
    """
    folds = _deal(groups, N_FOLDS, seed)
    scores = np.zeros(len(features))
    for fold in range(folds.max() + 1):
        test, train = folds == fold, folds != fold
        inner = _deal(groups[train], N_INNER_FOLDS, seed + 1)
        tried = np.zeros(len(STRENGTHS))
        for part in range(inner.max() + 1):
            held = inner == part
            guesses = _ridge(features[train][~held], labels[train][~held], features[train][held])
            tried += [auc(guess, labels[train][held]) for guess in guesses]
        scores[test] = _ridge(features[train], labels[train], features[test])[int(tried.argmax())]
    return scores, folds


def auc(scores: Floats, labels: npt.NDArray[np.bool_]) -> float:
    """Return the share of pairs (True, False) in which the True row scores higher; equal scores count half.

    0.5 without pairs.
    """
    pairs = wins(scores, labels)
    return float(pairs.mean()) if pairs.size else 0.5


def wins(scores: Floats, labels: npt.NDArray[np.bool_]) -> Floats:
    """Return, for each True row (first axis) and False row (second), 1 if the True one scores higher, .5 if equal."""
    difference = scores[labels][:, None] - scores[~labels][None, :]
    return 0.5 * (np.sign(difference) + 1)


def _deal(groups: Ints, n_folds: int, seed: int) -> Ints:
    names, of = np.unique(groups, return_inverse=True)
    fold_of = np.random.default_rng(seed).permutation(len(names)) % min(n_folds, len(names))
    return fold_of[of]


def _ridge(train: Floats, labels: npt.NDArray[np.bool_], test: Floats) -> list[Floats]:
    """Return the predictions for `test` by each of `STRENGTHS`."""
    center, spread = train.mean(axis=0), train.std(axis=0)
    spread = np.where(spread > 1e-9 * max(1.0, float(np.abs(train).max())), spread, np.inf)
    known, asked = (train - center) / spread, (test - center) / spread
    values, axes = np.linalg.eigh(known.T @ known)
    target = axes.T @ (known.T @ (labels - labels.mean()))
    return [asked @ (axes @ (target / (values.clip(min=0) + strength * len(known)))) for strength in STRENGTHS]
