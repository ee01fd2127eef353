"""What is known of a track and of each window of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from recommender.synthetic.corpus.patches import FAMILIES
from recommender.synthetic.corpus.scores import Score, score
from recommender.synthetic.corpus.tracks import Track

_TOGETHER_S = 0.03


def window_truth(track: Track, starts_s: Sequence[float], length_s: float) -> list[dict[str, Any]]:
    """Return one row for each window.

    Returns
    -------
    list of dict
        ``start_s``; ``tempo_bpm``, ``steady`` (the tempo does not waver and something marks it), ``key`` (pitch class),
        ``minor``, ``scale``, ``kind``, ``track_families`` of the track; ``families``, ``density`` (onsets a second;
        what begins within 30 ms is one) and ``energy`` (log1p of the strokes and notes a second, each counted by its
        loudness) of the window. Families are 0 or 1 for each of `patches.FAMILIES`.
    """
    scores = [score(track, start, length_s) for start in starts_s]
    return [
        {
            "start_s": start,
            "tempo_bpm": track.tempo_bpm,
            "steady": track.artist.rubato == 0 and density(each, length_s) >= 0.8,
            "key": track.key,
            "minor": track.minor,
            "scale": track.scale,
            "kind": track.artist.kind.name,
            "track_families": _marked(track.families),
            "families": _marked(families(track, each)),
            "density": density(each, length_s),
            "energy": energy(each, length_s),
        }
        for start, each in zip(starts_s, scores, strict=True)
    ]


def families(track: Track, window: Score) -> frozenset[str]:
    """Return the families of instruments that play in a window."""
    playing = {voice.patch.family for voice, part in zip(track.voices, window.parts, strict=True) if part}
    return frozenset(playing | ({"drums"} if window.strokes else set()))


def density(window: Score, length_s: float) -> float:
    """Return onsets a second; what begins within 30 ms counts once."""
    onsets = np.sort([note.at_s for note in _notes(window) if 0 <= note.at_s < length_s])
    return float(1 + np.sum(np.diff(onsets) > _TOGETHER_S)) / length_s if len(onsets) else 0.0


def energy(window: Score, length_s: float) -> float:
    """Return log1p of the strokes and notes a second, each counted by the square of its loudness."""
    return float(np.log1p(sum(note.level**2 for note in _notes(window) if note.at_s >= 0) / length_s))


def _notes(window: Score) -> list[Any]:
    return [note for part in window.parts for note in part] + [note for _, note in window.strokes]


def _marked(present: frozenset[str]) -> list[int]:
    return [int(family in present) for family in FAMILIES]
