"""What a network hears besides music: the same clips through a codec or filter, at another level, tempo or pitch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recommender.audio.changes import change_pitch, change_tempo, gain, high_pass, low_pass, through_codec
from recommender.audio.clips import SILENCE, ClipConfig, clip_starts
from recommender.audio.stretch import Waveform
from recommender.data.embeddings import to_unit_length
from recommender.data.progress import Progress, silent
from recommender.errors import AudioError
from recommender.evaluation.bootstrap import interval
from recommender.evaluation.hearing_baselines import mel_extract
from recommender.evaluation.hearing_tracks import FILE_HZ, HEARD_HZ, decode_stereo, to_heard
from recommender.evaluation.probe import auc, probe_scores

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.integer]
Embed = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]

UNCHANGED = "unchanged"
PASSING = {"gain +6 dB": 0.85, "gain -6 dB": 0.85, "MP3 64k": 0.85, "low-pass 16 kHz": 0.85, "high-pass 40 Hz": 0.85}
MUSICAL = {"low-pass 11 kHz": 0.7, "tempo +6 %": 0.5, "tempo -6 %": 0.5, "pitch +1": 0.5, "pitch -1": 0.5}
"""Least share of the nearest that should stay: of what no listener minds, and of what changes the music a little."""

TONE_HZ, TONE_LEVEL = 19000.0, 0.01
CLIPS_A_TRACK = 2
SPARE_S = 1.0
NEAREST = 10
PROBE_DRAWS = 300
SWAPS = 39
SURE = 0.03
TESTED = ("gain -6 dB", "MP3 64k", "low-pass 11 kHz", "tone")
"""Versions whose probe is tested, by swapping the versions of tracks; a probe on few tracks is often lucky."""


@dataclass(frozen=True, eq=False)
class Changed:
    """The same clips in several versions, embedded.

    Parameters
    ----------
    vectors : dict of version to ndarray, shape (n_clips, dim), float32
    clip_tracks : ndarray, shape (n_clips,), int
        Which of the sampled tracks each clip is of.
    """

    vectors: dict[str, npt.NDArray[np.float32]]
    clip_tracks: Ints

    def tracks(self, version: str) -> npt.NDArray[np.float32]:
        """Return the unit vectors of the tracks in a version."""
        sums = np.zeros((int(self.clip_tracks.max()) + 1, self.vectors[version].shape[1]), np.float32)
        np.add.at(sums, self.clip_tracks, self.vectors[version])
        return to_unit_length(sums)


@dataclass(frozen=True)
class Heard:
    """Whether a change is heard.

    Parameters
    ----------
    auc, low, high : float
        Of a linear probe for it, with its 95 % interval over artists.
    stay : float
        Share of the 10 nearest that stay.
    p : float
        Of an AUC so high if it were by chance which of a track's two versions is the changed one; NaN if not tested.
    """

    auc: float
    low: float
    high: float
    stay: float
    p: float

    @property
    def is_heard(self) -> bool:
        """Whether the probe surely tells the change."""
        return self.low > 0.55 and self.auc >= 0.6 and self.p <= SURE


def change_and_embed(
    files: Sequence[tuple[Path, float]],
    embed: Embed,
    config: ClipConfig,
    tone_hz: float = TONE_HZ,
    progress: Progress = silent,
) -> tuple[Changed, list[int]]:
    """Embed clips of files in every version.

    Parameters
    ----------
    files : sequence of (path, duration in seconds)
    embed : callable
        Spectrograms (n, n_mels, n_frames) uint8 -> unit vectors.
    config : ClipConfig
        What the network hears.
    tone_hz : float
        Of the tone that one version adds.
    progress : Progress
        In files.

    Returns
    -------
    changed : Changed
    used : list of int
        The places in `files` of those that could be decoded, in the order of the tracks of `changed`.

    Raises
    ------
    AudioError
        If none could.
    """
    found: dict[str, list[Any]] = {}
    owners: list[int] = []
    used: list[int] = []
    spectrograms = mel_extract(config.mel)
    n_samples = round(config.clip_s * HEARD_HZ)
    for place, (path, duration_s) in enumerate(files):
        progress(place, len(files))
        starts = clip_starts(max(duration_s, config.clip_s), config)
        starts = [starts[0], starts[-1]][: min(CLIPS_A_TRACK, len(starts))]
        try:
            windows = decode_stereo(path, starts, config.clip_s + SPARE_S)
        except (AudioError, OSError, ValueError, IndexError):
            continue
        windows = [each for each in windows if each.shape[1] > FILE_HZ and np.abs(each).max() >= SILENCE]
        for stereo in windows:
            for version, waveform in versions(stereo, tone_hz).items():
                mels = spectrograms.compute(np.resize(waveform, n_samples)[None])
                found.setdefault(version, []).append(embed(mels)[0])
            owners.append(len(used))
        if windows:
            used.append(place)
    progress(len(files), len(files))
    if not used:
        raise AudioError(f"none of {len(files)} files can be decoded; are they still where they were ingested?")
    return Changed({version: np.stack(rows) for version, rows in found.items()}, np.array(owners)), used


def versions(stereo: Waveform, tone_hz: float = TONE_HZ) -> dict[str, Waveform]:
    """Return every version of one clip, (2, n) at `FILE_HZ`, as mono at `HEARD_HZ`."""
    full = stereo.mean(axis=0)
    mono = to_heard(full)
    tone = TONE_LEVEL * np.sin(2 * np.pi * tone_hz / FILE_HZ * np.arange(len(full)))
    return {
        UNCHANGED: mono,
        "gain +6 dB": gain(mono, 6.0),
        "gain -6 dB": gain(mono, -6.0),
        "MP3 64k": to_heard(through_codec(stereo, FILE_HZ, "libmp3lame", 64000).mean(axis=0)),
        "low-pass 16 kHz": to_heard(low_pass(full, FILE_HZ, 16000.0)),
        "high-pass 40 Hz": high_pass(mono, HEARD_HZ, 40.0),
        "low-pass 11 kHz": to_heard(low_pass(full, FILE_HZ, 11000.0)),
        "tempo +6 %": change_tempo(mono, HEARD_HZ, 1.06),
        "tempo -6 %": change_tempo(mono, HEARD_HZ, 0.94),
        "pitch +1": change_pitch(mono, HEARD_HZ, 1.0),
        "pitch -1": change_pitch(mono, HEARD_HZ, -1.0),
        "tone": to_heard((full + tone).astype(np.float32)),
    }


def what_is_heard(
    changed: Changed,
    library: npt.NDArray[np.float32],
    own_rows: Ints,
    artists: Ints,
    place: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]],
    seed: int = 0,
) -> dict[str, Heard]:
    """Measure every version against the unchanged one.

    Parameters
    ----------
    changed : Changed
    library : ndarray, shape (n_library, dim), float32
        The unit vectors among which the nearest are looked for.
    own_rows : ndarray, shape (n_tracks,), int
        The sampled tracks' rows in `library`: left out of their own nearest.
    artists : ndarray, shape (n_tracks,), int
        A probe is asked about artists that it was not trained on.
    place : callable
        Takes vectors as the network gives them into the space of `library`, as unit vectors.
    seed : int
    """
    before = _nearest(place(changed.tracks(UNCHANGED)), library, own_rows)
    heard = {}
    for version in changed.vectors:
        if version == UNCHANGED:
            continue
        after = _nearest(place(changed.tracks(version)), library, own_rows)
        stay = np.mean([len(set(one) & set(other)) / len(one) for one, other in zip(before, after, strict=True)])
        both = np.concatenate([changed.vectors[UNCHANGED], changed.vectors[version]])
        labels = np.repeat([False, True], len(changed.clip_tracks))
        groups = np.tile(artists[changed.clip_tracks], 2)
        told = probe_auc(both, labels, groups, seed)
        p = _by_luck(both, changed.clip_tracks, groups, told[0], seed) if version in TESTED else float("nan")
        heard[version] = Heard(*told, float(stay), p)
    return heard


def probe_auc(
    vectors: npt.NDArray[np.floating], labels: npt.NDArray[np.bool_], groups: Ints, seed: int = 0
) -> tuple[float, float, float]:
    """Return the AUC of a cross-validated linear probe and its 95 % interval over groups (artists) drawn again.

    NaN with fewer than three groups or without both labels.
    """
    names, of = np.unique(groups, return_inverse=True)
    if len(names) < 3 or len(np.unique(labels)) < 2:
        return float("nan"), float("nan"), float("nan")
    scores, folds = probe_scores(vectors.astype(np.float64), labels, of.astype(np.int64), seed)
    scores = _standardised(scores, folds)
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(of == group) for group in range(len(names))]
    drawn = []
    for _ in range(PROBE_DRAWS):
        rows = np.concatenate([members[group] for group in rng.integers(len(names), size=len(names))])
        if 0 < labels[rows].sum() < len(rows):
            drawn.append(auc(scores[rows], labels[rows]))
    low, high = interval(np.array(drawn)[:, None])
    return auc(scores, labels), float(low[0]), float(high[0])


def _by_luck(vectors: npt.NDArray[np.floating], clip_tracks: Ints, groups: Ints, reached: float, seed: int) -> float:
    """Return how often the probe does as well where half of the tracks have their two versions swapped."""
    rng = np.random.default_rng(seed)
    _, of = np.unique(groups, return_inverse=True)
    as_high = 0
    for _ in range(SWAPS if len(np.unique(of)) >= 3 else 0):
        swapped = rng.random(int(clip_tracks.max()) + 1) < 0.5
        labels = np.concatenate([swapped[clip_tracks], ~swapped[clip_tracks]])
        scores, folds = probe_scores(vectors.astype(np.float64), labels, of.astype(np.int64), seed)
        as_high += auc(_standardised(scores, folds), labels) >= reached
    return (1 + as_high) / (1 + SWAPS)


def _standardised(scores: Floats, folds: Ints) -> Floats:
    """Bring the scores of all folds to one scale."""
    for fold in np.unique(folds):
        inside = scores[folds == fold]
        scores[folds == fold] = (inside - inside.mean()) / max(float(inside.std()), 1e-9)
    return scores


def _nearest(tracks: npt.NDArray[np.float32], library: npt.NDArray[np.float32], own_rows: Ints) -> npt.NDArray[np.intp]:
    likeness = tracks @ library.T
    likeness[np.arange(len(tracks)), own_rows] = -np.inf
    order: npt.NDArray[np.intp] = np.argsort(-likeness, axis=1, kind="stable")[:, : min(NEAREST, len(library) - 1)]
    return order
