"""A trained bundle as a Python object: ids in, ids out.

The command line and the server do the same and more; this is the short way for a notebook or a job of your own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError
from recommender.models.ears import Ears
from recommender.ranking.ranker import RecommendOptions, explain_lists, recommend, similar_tracks
from recommender.ranking.recommendation import Recommendation
from recommender.ranking.sound import Sound, SoundQuery, query_of_row, query_of_vector
from recommender.serving.bundle import Bundle, current_bundle, load_bundle
from recommender.serving.hearing import hear


@dataclass(frozen=True)
class Similar:
    """A track that sounds like what was asked for.

    Parameters
    ----------
    track_id : str
    similarity : float
        Cosine, at most 1.
    here_s, there_s : float or None
        Where a passage of what was asked for, and of this track, match best, in seconds; None where embeddings were
        supplied without passages.
    """

    track_id: str
    similarity: float
    here_s: float | None
    there_s: float | None


@dataclass(frozen=True, eq=False)
class Library:
    """A bundle that answers questions.

    Parameters
    ----------
    bundle : Bundle
    """

    bundle: Bundle

    @property
    def users(self) -> tuple[str, ...]:
        """The ids of the users that it was trained on."""
        return self.bundle.model.users.ids

    @property
    def tracks(self) -> tuple[str, ...]:
        """The ids of its tracks."""
        return self.bundle.model.catalog.tracks.ids

    def label(self, track_id: str) -> str:
        """Return a track as ``Artist - Title``."""
        catalog = self.bundle.model.catalog
        return catalog.label(catalog.tracks.row(track_id))

    def recommend(
        self, user: str | Mapping[str, float] | Sequence[str], top: int = 10, options: RecommendOptions | None = None
    ) -> list[Recommendation]:
        """Recommend tracks.

        Parameters
        ----------
        user : str, mapping or sequence
            A user's id; or for somebody unknown what was played: plays by track id (0 a skip, -1 a dislike), or ids.
        top : int
        options : RecommendOptions, optional
            Instead of the default ones with `top`.

        Returns
        -------
        list of Recommendation
            Best first, each with its reason.

        Raises
        ------
        UnknownIdError
            If a user or track is not known.
        """
        model = self.bundle.model
        if isinstance(user, str):
            row = model.users.row(user)
            plays, heard = model.plays[row], model.heard[row]
        else:
            given = user if isinstance(user, Mapping) else dict.fromkeys(user, 1.0)
            rows = model.catalog.tracks.rows(list(given), unknown="raise")
            somebody, weights = Vocabulary("user", ("?",)), np.array(list(given.values()), dtype=np.float32)
            times = np.full(len(rows), np.datetime64("NaT", "s"))
            told = Interactions(somebody, model.catalog.tracks, np.zeros_like(rows), rows, weights, times)
            plays, heard = told.to_csr(), told.heard()
        found = recommend(model, plays, heard, options or RecommendOptions(top=top))
        return explain_lists(model, plays, found)[0]

    def similar(self, track: str | Path, top: int = 10) -> list[Similar]:
        """Return what sounds like a track of the library, or like an audio file.

        Parameters
        ----------
        track : str or Path
            A track's id, or a file.
        top : int

        Raises
        ------
        UnknownIdError
            If it is neither.
        DataError
            If the bundle knows no sound, or not that of the track.
        AudioError
            If the file holds no usable audio.
        """
        model = self.bundle.model
        if model.sound is None:
            raise DataError(f"bundle {self.bundle.manifest.version} knows no sound; train with music or embeddings")
        is_file = isinstance(track, Path) or (track not in model.catalog.tracks and Path(track).is_file())
        rows = [] if is_file else [model.catalog.tracks.row(str(track))]
        if rows and not model.sound.has_vector[rows[0]]:
            raise DataError(f"track {track!r} has no embedding: its file was not analysed")
        query = self._heard(Path(track), model.sound) if is_file else query_of_row(model.sound, rows[0])
        return [
            Similar(self.tracks[found.track_row], found.similarity, found.query_start_s, found.match_start_s)
            for found in similar_tracks(model.sound, query, top, exclude=rows)
        ]

    @cached_property
    def _ears(self) -> Ears:
        ears = self.bundle.ears()
        if ears is None:
            raise DataError(f"bundle {self.bundle.manifest.version} has no audio model to hear files with")
        return ears

    def _heard(self, path: Path, sound: Sound) -> SoundQuery:
        heard = hear(self._ears, path)
        return query_of_vector(sound, heard.vector, heard.clip_vectors, heard.clip_starts_s)


def load(folder: str | Path) -> Library:
    """Load a workspace's current bundle, or the bundle in a folder.

    Raises
    ------
    ArtifactError
        If there is no bundle, or it is damaged.
    """
    folder = Path(folder)
    return Library(load_bundle(current_bundle(folder / "bundles") if (folder / "bundles").is_dir() else folder))
