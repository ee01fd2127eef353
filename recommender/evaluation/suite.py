"""The methods of the cold-start experiment, and which of its tasks each of them is put to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recommender.errors import ConfigError
from recommender.evaluation.baselines_content import (
    artist_and_content,
    by_prediction,
    feature_aware_als,
    kernel_ridge,
    linear_ridge,
)
from recommender.evaluation.baselines_networks import contrastive_tower, dropout_net, mlp
from recommender.evaluation.baselines_plays import MAX_TRACKS, ease, item_knn, plain_implicit, rp3beta
from recommender.evaluation.methods import METHODS, NEED_EMBEDDINGS, Method, gate

TASKS = ("cold", "mixed", "warm", "tracks", "users")
"""New tracks among themselves; new and known ones in one list; known ones; the curves of new tracks and new users."""

LISTS = ("cold", "mixed", "warm")
SUBJECT = "First Listen"
PARENTS = ("ALS alone", "audio alone", "popularity")
"""What First Listen joins: it should be no worse than the best of them."""


@dataclass(frozen=True)
class Entry:
    """A method, and where it has something to say.

    Parameters
    ----------
    method : Method
    tasks : tuple of str
        Of `TASKS`.
    needs_embeddings : bool
    max_tracks : int
        Left out where more tracks have plays; 0 for no limit.
    version : str
        Of code that is not the package's own: parts of another version are not taken.
    """

    method: Method
    tasks: tuple[str, ...] = TASKS
    needs_embeddings: bool = False
    max_tracks: int = 0
    version: str = ""


_WHERE = {
    "random": LISTS,
    "shuffled embeddings": ("cold",),
    "oracle popularity": ("cold", "mixed"),
    "kNN on CF and content": LISTS,
}

_NEW = ("cold", "mixed")
_KNOWN = ("mixed", "warm", "users")

SUITE: dict[str, Entry] = {
    name: Entry(method, _WHERE.get(name, TASKS), name in NEED_EMBEDDINGS)
    for name, method in METHODS.items()
    if name != SUBJECT
} | {
    "plain implicit": Entry(plain_implicit, _KNOWN),
    "item-kNN": Entry(item_knn, _KNOWN, max_tracks=MAX_TRACKS),
    "RP3beta": Entry(rp3beta, _KNOWN, max_tracks=MAX_TRACKS),
    "EASE": Entry(ease, _KNOWN, max_tracks=MAX_TRACKS),
    "linear ridge": Entry(by_prediction(linear_ridge), _NEW, needs_embeddings=True),
    "kernel ridge": Entry(by_prediction(kernel_ridge), _NEW, needs_embeddings=True),
    "artist mean + content": Entry(by_prediction(artist_and_content), _NEW, needs_embeddings=True),
    "feature-aware ALS": Entry(feature_aware_als, _NEW, needs_embeddings=True),
    "MLP": Entry(by_prediction(mlp), _NEW, needs_embeddings=True),
    "DropoutNet-like": Entry(by_prediction(dropout_net), _NEW, needs_embeddings=True),
    "contrastive tower": Entry(contrastive_tower, _NEW, needs_embeddings=True),
    "gate n/(n+3)": Entry(gate, needs_embeddings=True),
    SUBJECT: Entry(METHODS[SUBJECT]),
}
"""Every method by the name that tables show, in their order."""


def choose(suite: Mapping[str, Entry], names: Sequence[str]) -> dict[str, Entry]:
    """Return the named entries in the order of the suite; all where no name is given.

    Raises
    ------
    ConfigError
        If a name is in no table.
    """
    strange = [name for name in names if name not in suite]
    if strange:
        raise ConfigError(f"there is no method {strange[0]!r}; there are: {', '.join(suite)}")
    return {name: entry for name, entry in suite.items() if not names or name in names}


def refusal(entry: Entry, has_embeddings: bool, n_tracks: int) -> str:
    """Say why these data do not suit a method; ``""`` if they do."""
    if entry.needs_embeddings and not has_embeddings:
        return "needs embeddings"
    if entry.max_tracks and n_tracks > entry.max_tracks:
        return f"is made for {entry.max_tracks} tracks at most, {n_tracks} have plays"
    return ""
