"""How well one track follows another: sound where they meet, tempo, key and loudness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.audio.signatures import Signatures
from recommender.ranking.sound import Sound

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.integer]

TERMS = ("sound", "tempo", "key", "loudness")
WEIGHTS = (1.0, 1.0, 1.0, 1.0)
"""Of the terms, each of one deviation over pairs of the library: none dominates (``benchmarks/playlists.py``)."""

MAX_LOUDNESS_JUMP = 12.0
"""LU; two tracks further apart are no worse, so that one silent file does not set the scale."""

SAMPLE = 300


@dataclass(frozen=True, eq=False)
class Flow:
    """What of some tracks matters to what they follow and what follows them; NaN and 0 where unknown.

    Parameters
    ----------
    starts, ends : ndarray, shape (n, dim), float32
        Unit vectors of the first and of the last clip; the track's where clips are not known, zeros without sound.
    tempo_octaves : ndarray, shape (n,)
        Binary logarithm of the beats a minute.
    hours : ndarray, shape (n,)
        Number on the Camelot wheel, from 0.
    minor : ndarray, shape (n,)
        1 for the wheel's inner ring, 0 for the outer.
    loudness_lufs : ndarray, shape (n,)
    trust : ndarray, shape (4, n)
        How sure each of `TERMS` is, in [0, 1].
    """

    starts: npt.NDArray[np.float32]
    ends: npt.NDArray[np.float32]
    tempo_octaves: Floats
    hours: Floats
    minor: Floats
    loudness_lufs: Floats
    trust: Floats


@dataclass(frozen=True, eq=False)
class FlowScale:
    """Over pairs of a library: the mean of each of `TERMS`, and the standard deviation of what it adds, shape (4,)."""

    means: Floats
    deviations: Floats


def flow_of(sound: Sound | None, signatures: Signatures | None, rows: Rows) -> Flow:
    """Gather what is known of the tracks in `rows` (n,)."""
    n = len(rows)
    trust = np.zeros((4, n))
    starts = ends = np.zeros((n, 0), dtype=np.float32)
    if sound is not None:
        trust[0] = sound.has_vector[rows]
        starts, ends = _edges(sound, rows)
    unknown = np.full(n, np.nan)
    tempo = hours = minor = loudness = unknown
    if signatures is not None:
        known = signatures.known[rows]
        names = ("tempo_confidence", "key_confidence", "loudness_confidence")
        trust[1:] = [np.where(known, signatures.column(name)[rows], 0.0) for name in names]
        tempo = np.log2(signatures.column("tempo_bpm")[rows].astype(np.float64))
        minor = np.where(known, signatures.minor[rows], np.nan)
        hours = np.where(known, camelot_hours(signatures.tonics[rows], signatures.minor[rows]), np.nan)
        loudness = signatures.column("loudness_lufs")[rows].astype(np.float64)
    return Flow(starts, ends, tempo, hours, minor, loudness, np.nan_to_num(trust))


def camelot_hours(tonics: npt.NDArray[np.integer], minor: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Return each key's number on the Camelot wheel, from 0; without meaning where the key is unknown.

    Examples
    --------
    >>> camelot_hours(np.array([9, 0]), np.array([1, 0])).tolist()  # A minor and C major: 8A and 8B
    [7, 7]
    """
    return np.asarray((7 * (tonics.astype(np.int64) + 3 * minor.astype(np.int64)) + 7) % 12)


def jumps(flow: Flow) -> Floats:
    """Return how far every track is from every other that follows it.

    Returns
    -------
    ndarray, shape (4, n, n)
        From the row's track to the column's; NaN where unknown. Sound: one minus the cosine of the end of the one and
        the start of the other. Tempo: octaves, after halving or doubling to the nearest, 0 to 0.5. Key: steps on the
        Camelot wheel (mixedinkey.com), to an hour beside or to the other ring of the same hour; 0 to 7. Loudness: LU,
        up to `MAX_LOUDNESS_JUMP`.
    """
    sound = 1 - flow.ends.astype(np.float64) @ flow.starts.astype(np.float64).T
    octaves = flow.tempo_octaves[:, None] - flow.tempo_octaves
    around = np.abs(flow.hours[:, None] - flow.hours)
    steps = np.minimum(around, 12 - around) + np.abs(flow.minor[:, None] - flow.minor)
    loudness = np.minimum(np.abs(flow.loudness_lufs[:, None] - flow.loudness_lufs), MAX_LOUDNESS_JUMP)
    found = np.stack([sound, np.abs(octaves - np.rint(octaves)), steps, loudness])
    has_sound = flow.trust[0] > 0
    found[0][~(has_sound[:, None] & has_sound)] = np.nan
    return found


def fit_scale(sound: Sound | None, signatures: Signatures | None, n_tracks: int) -> FlowScale:
    """Measure the terms over pairs of a library of `n_tracks`; of a large one, over pairs of `SAMPLE` of its tracks."""
    rows = np.arange(n_tracks)
    if n_tracks > SAMPLE:
        rows = np.sort(np.random.default_rng(0).choice(n_tracks, SAMPLE, replace=False))
    flow = flow_of(sound, signatures, rows)
    found = jumps(flow)
    found[:, np.arange(len(rows)), np.arange(len(rows))] = np.nan
    means, deviations = np.zeros(4), np.ones(4)
    for term, (values, trust) in enumerate(zip(found, flow.trust, strict=True)):
        known = np.isfinite(values)
        if known.any():
            means[term] = values[known].mean()
            spread = ((values - means[term]) * trust[:, None] * trust)[known].std()
            deviations[term] = spread if spread > 1e-9 else 1.0
    return FlowScale(means, deviations)


def terms(flow: Flow, scale: FlowScale) -> Floats:
    """Return what each of `TERMS` adds to each transition, (4, n, n): from the row's track to the column's.

    Notes
    -----
    ``c_ki c_kj (jump_kij - mean_k) / deviation_k`` with the confidences c of the signatures: of deviation 1 over pairs
    of the library, and 0, as of an ordinary pair, where something is unknown.
    """
    scaled = (jumps(flow) - scale.means[:, None, None]) / scale.deviations[:, None, None]
    return np.asarray(np.nan_to_num(scaled) * flow.trust[:, :, None] * flow.trust[:, None, :])


def transitions(flow: Flow, scale: FlowScale, weights: tuple[float, float, float, float] = WEIGHTS) -> Floats:
    """Return what each transition costs, (n, n): the weighted sum of `terms`; less is better, 0 is ordinary."""
    return np.asarray(np.tensordot(np.array(weights), terms(flow, scale), axes=1))


def _edges(sound: Sound, rows: Rows) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    starts, ends = sound.vectors[rows].copy(), sound.vectors[rows].copy()
    first, last = np.searchsorted(sound.clip_tracks, rows), np.searchsorted(sound.clip_tracks, rows, side="right")
    has = last > first
    starts[has], ends[has] = sound.clip_vectors[first[has]], sound.clip_vectors[last[has] - 1]
    return starts, ends
