"""Energy, and the arcs that it can follow over a playlist."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from recommender.audio.signatures import Signatures
from recommender.errors import ConfigError

Floats = npt.NDArray[np.float64]
Arc = Literal["none", "flat", "rising", "falling", "peak"]
ARCS: tuple[Arc, ...] = get_args(Arc)

PEAK_AT = 0.65
"""Where in a warm-up, peak and cool-down the peak is, as a share of the list."""

WAVE_TRACKS = 8
"""Length of a flat list's waves: over so many tracks its energy is the whole list's."""

ARC_WEIGHT = 4.0
"""What a track costs that is one deviation off its place's energy, in deviations of a transition."""

PARTS = ("loudness", "tempo", "density", "brightness")


def energies(signatures: Signatures, rows: npt.NDArray[np.integer]) -> Floats:
    """Return how energetic tracks are among those of their library.

    Returns
    -------
    ndarray, shape (k,)
        NaN where a track has no signature.

    Notes
    -----
    The mean of four parts, each in standard deviations from the library's mean and times its confidence: loudness
    (LUFS), and the logarithms of tempo (beats a minute), density (onsets a second, plus 0.25) and brightness (Hz).
    """
    columns = (
        signatures.column("loudness_lufs"),
        np.log2(signatures.column("tempo_bpm")),
        np.log2(signatures.column("density_hz") + 0.25),
        np.log2(signatures.column("brightness_hz")),
    )
    total = np.zeros(len(rows))
    for name, values in zip(PARTS, columns, strict=True):
        known = values[signatures.known]
        mean, deviation = (float(known.mean()), float(known.std())) if len(known) else (0.0, 1.0)
        confidence = signatures.column(f"{name}_confidence")[rows]
        total += confidence * (values[rows] - mean) / (deviation if deviation > 1e-9 else 1.0)
    return total / len(PARTS)


def arc_heights(arc: Arc, n: int) -> Floats:
    """Return the arc's height at each of n positions, (n,), in [0, 1].

    Raises
    ------
    ConfigError
        If it is none of `ARCS`, or ``"none"``.

    Examples
    --------
    >>> arc_heights("rising", 3).tolist()
    [0.0, 0.5, 1.0]
    """
    along = np.linspace(0, 1, n) if n > 1 else np.zeros(n)
    if arc == "rising":
        return along
    if arc == "falling":
        return 1 - along
    if arc == "peak":
        return np.where(along <= PEAK_AT, along / PEAK_AT, (1 - along) / (1 - PEAK_AT))
    if arc == "flat":
        return np.asarray(np.abs(2 * ((np.arange(n) / WAVE_TRACKS + 0.25) % 1) - 1))
    raise ConfigError(f"the energy arc is {arc!r}, expected one of {', '.join(ARCS)}")


def placing(energy: Floats, arc: Arc) -> Floats | None:
    """Return what it costs to have each track at each position; None for the arc ``"none"``.

    The tracks at hand are dealt along the arc: the position where it is highest wants the highest energy among them.

    Returns
    -------
    ndarray, shape (n, n) or None
        `ARC_WEIGHT` times the squared distance from the energy that the position (column) wants, in variances of the
        list's energy; 0 for a track (row) of unknown energy.
    """
    if arc == "none" or len(energy) == 0 or not np.isfinite(energy).any():
        return None
    known = np.isfinite(energy)
    filled = np.where(known, energy, np.median(energy[known]))
    spread = filled.std()
    wanted = np.empty(len(energy))
    wanted[np.argsort(arc_heights(arc, len(energy)), kind="stable")] = np.sort(filled)
    cost = ((filled[:, None] - wanted) / (spread if spread > 1e-9 else 1.0)) ** 2
    return np.where(known[:, None], ARC_WEIGHT * cost, 0.0)
