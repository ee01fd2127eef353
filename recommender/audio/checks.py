"""What may be wrong with clips before a network learns from them: silence, sameness, doubles, and what stands out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.audio.clips import Clips
from recommender.audio.mel import DB_FLOOR, MelConfig, band_centres_hz, dequantise
from recommender.data.checks import Check, Verdict, named
from recommender.data.interactions import Interactions

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]

SILENT_DB = DB_FLOOR + 15.0
"""A frame in which no band is louder than this is silent."""

MOST_SILENT = 0.8
STILL_DB = 1.0
"""The least that the bands of music move, as the median over bands of the standard deviation over time."""

SAME = 0.99
"""Likeness of two fingerprints from which on two tracks are taken for one recording."""

FINGER_BANDS, FINGER_FRAMES = 24, 40
STANDS_OUT = 8.0
"""Robust standard deviations from the median."""

AUDIBLE_DB = 50.0
_BLOCK = 512


@dataclass(frozen=True, eq=False)
class ClipFigures:
    """What each clip measures.

    Parameters
    ----------
    level_db : ndarray, shape (n_clips,), float32
        Mean power over bands and frames.
    bandwidth_hz : ndarray, shape (n_clips,), float32
        Up to where the loudest moments of a band are within `AUDIBLE_DB` of the loudest band's.
    silent_share : ndarray, shape (n_clips,), float32
        Share of the frames that are silent.
    motion_db : ndarray, shape (n_clips,), float32
        Median over the bands of the standard deviation over time.
    """

    level_db: Floats
    bandwidth_hz: Floats
    silent_share: Floats
    motion_db: Floats


def measure_clips(clips: Clips, mel: MelConfig) -> ClipFigures:
    """Measure every clip; `mel` says what the bands are."""
    hz = band_centres_hz(mel)
    level, width, silent, motion = (np.empty(len(clips), np.float32) for _ in range(4))
    for start in range(0, len(clips), _BLOCK):
        rows = slice(start, start + _BLOCK)
        db = dequantise(clips.mels[rows])
        level[rows] = 10 * np.log10(np.mean(10 ** (db / 10), axis=(1, 2)))
        peaks = np.quantile(db, 0.95, axis=2)
        audible = peaks > np.maximum(peaks.max(axis=1, keepdims=True) - AUDIBLE_DB, DB_FLOOR)
        last = db.shape[1] - 1 - audible[:, ::-1].argmax(axis=1)
        width[rows] = np.where(audible.any(axis=1), hz[last], 0.0)
        silent[rows] = (db.max(axis=1) <= SILENT_DB).mean(axis=1)
        motion[rows] = np.median(db.std(axis=2), axis=1)
    return ClipFigures(level, width, silent, motion)


def find_doubles(clips: Clips) -> list[tuple[int, int]]:
    """Return pairs of track rows that hold one recording, whatever its level and codec, the earlier row first.

    Compared are the first clips of tracks, coarsely in time and frequency, so that the delay of a codec does not
    matter. A recording that was cut elsewhere is not found.
    """
    _, firsts = np.unique(clips.clip_tracks, return_index=True)
    fingers = np.concatenate([_fingerprints(clips.mels[firsts[at : at + _BLOCK]]) for at in range(0, len(firsts), 512)])
    pairs = []
    for start in range(0, len(fingers), _BLOCK):
        alike = fingers[start : start + _BLOCK] @ fingers[start:].T > SAME
        for one, other in np.argwhere(np.triu(alike, 1)):
            pairs.append((int(clips.clip_tracks[firsts[start + one]]), int(clips.clip_tracks[firsts[start + other]])))
    return pairs


def check_clips(clips: Clips, figures: ClipFigures, durations_s: npt.NDArray[np.floating] | None = None) -> list[Check]:
    """Judge the clips.

    Parameters
    ----------
    clips : Clips
    figures : ClipFigures
        What `measure_clips` gave.
    durations_s : ndarray, shape (len(clips.tracks),), optional
        NaN where unknown.

    Returns
    -------
    list of Check
        Silence, sameness, doubles, tracks with one clip, and what stands out in level, bandwidth or duration.
    """
    silent = np.flatnonzero(figures.silent_share > MOST_SILENT)
    still = np.setdiff1d(np.flatnonzero(figures.motion_db < STILL_DB), silent)
    doubles = find_doubles(clips)
    counts = np.bincount(clips.clip_tracks, minlength=len(clips.tracks))
    alone = np.flatnonzero(counts == 1)
    n_heard = int((counts > 0).sum())
    return [
        _shared(
            "silent clips",
            silent,
            clips,
            f"no clip silent for {MOST_SILENT:.0%} of its time",
            "remove the files, or train without them: they teach that silence is music",
        ),
        _shared(
            "constant spectrograms",
            still,
            clips,
            f"bands that move by {STILL_DB:g} dB or more",
            "listen to the files: a tone, a hum or noise is no music",
        ),
        _doubles(doubles, clips, n_heard),
        Check(
            "clips a track",
            "ok" if len(alone) <= 0.5 * n_heard else "warning",
            f"{len(alone)} of {n_heard} tracks have one clip",
            "two or more for most",
            "" if len(alone) <= 0.5 * n_heard else "lower clip_s or raise max_clips: two crops of one clip share more",
        ),
        *_stand_out(clips, figures, durations_s),
    ]


def check_plays(interactions: Interactions, clips: Clips, min_evidence: int) -> Check:
    """Tell whether the plays are of tracks that can be heard: nothing else aligns the network with listeners."""
    evidence = interactions.track_evidence()
    heard = clips.tracks.known(interactions.tracks)
    plays = float(evidence[heard].sum() / max(evidence.sum(), 1))
    n_taught = int((heard & (evidence >= min_evidence)).sum())
    verdict: Verdict = "broken" if n_taught == 0 else "warning" if plays < 0.5 or n_taught < 50 else "ok"
    advice = {
        "broken": "ingest the music that was played, or set train_cnn alignment_weight to 0",
        "warning": "ingest more of the music that was played: what is not heard teaches nothing",
    }
    return Check(
        "plays of tracks with sound",
        verdict,
        f"{plays:.0%} of the plays, {n_taught} tracks with {min_evidence} listeners or more",
        "most plays, 50 tracks or more",
        advice.get(verdict, ""),
    )


def _fingerprints(mels: npt.NDArray[np.uint8]) -> Floats:
    """Return unit vectors, shape (n, FINGER_BANDS * FINGER_FRAMES): levels in coarse steps, each band without its mean.

    Without a band's mean, so that not every two tracks with the same tone are alike.
    """
    n, n_mels, n_frames = mels.shape
    bands = np.array_split(np.arange(n_mels), min(FINGER_BANDS, n_mels))
    frames = np.array_split(np.arange(n_frames), min(FINGER_FRAMES, n_frames))
    db = dequantise(mels)
    coarse = np.stack([db[:, rows].mean(axis=1) for rows in bands], axis=1)
    coarse = np.stack([coarse[:, :, columns].mean(axis=2) for columns in frames], axis=2)
    coarse = (coarse - coarse.mean(axis=2, keepdims=True)).reshape(n, -1)
    lengths = np.linalg.norm(coarse, axis=1, keepdims=True)
    unit: Floats = (coarse / np.maximum(lengths, 1e-6)).astype(np.float32)
    return unit


def _shared(name: str, rows: Rows, clips: Clips, expected: str, advice: str) -> Check:
    share = len(rows) / max(len(clips), 1)
    verdict: Verdict = "broken" if share > 0.2 else "warning" if len(rows) else "ok"
    tracks = [clips.tracks.ids[row] for row in dict.fromkeys(clips.clip_tracks[rows].tolist())]
    found = f"{len(rows)} of {len(clips)} clips" + (f", of {named(tracks)}" if tracks else "")
    return Check(name, verdict, found, expected, advice if len(rows) else "")


def _doubles(pairs: list[tuple[int, int]], clips: Clips, n_heard: int) -> Check:
    share = len({row for pair in pairs for row in pair[1:]}) / max(n_heard, 1)
    verdict: Verdict = "broken" if share > 0.2 else "warning" if pairs else "ok"
    shown = named([f"{clips.tracks.ids[one]} = {clips.tracks.ids[other]}" for one, other in pairs])
    return Check(
        "the same recording under two ids",
        verdict,
        f"{len(pairs)} pairs" + (f": {shown}" if pairs else ""),
        "none: a double is pushed away from itself, and sits in training and validation",
        "keep one file of each" if pairs else "",
    )


def _stand_out(clips: Clips, figures: ClipFigures, durations_s: npt.NDArray[np.floating] | None) -> list[Check]:
    measured = [
        ("level", "dB", figures.level_db, 3.0, clips.clip_tracks),
        ("bandwidth", "Hz", figures.bandwidth_hz, 800.0, clips.clip_tracks),
    ]
    if durations_s is not None and np.isfinite(durations_s).any():
        known = np.flatnonzero(np.isfinite(durations_s))
        logs = np.log2(np.maximum(durations_s[known], 1e-3)).astype(np.float32)
        measured.append(("duration", "octaves of seconds", logs, 0.5, known.astype(np.int32)))
    checks = []
    for name, unit, values, least, rows in measured:
        median = float(np.median(values))
        spread = max(1.4826 * float(np.median(np.abs(values - median))), least)
        out = np.flatnonzero(np.abs(values - median) > STANDS_OUT * spread)
        tracks = [clips.tracks.ids[row] for row in dict.fromkeys(rows[out].tolist())]
        few = f" {named(tracks)} (as far as {values[out][np.abs(values[out] - median).argmax()]:.4g})" if tracks else ""
        found = (
            f"median {median:.4g} {unit}, {len(tracks)} tracks stand out:{few}" if tracks else f"median {median:.4g}"
        )
        advice = f"listen to them: is their {name} what it should be?" if tracks else ""
        expected = f"all within {STANDS_OUT:g} deviations ({spread:.3g} {unit}) of the median"
        checks.append(Check(name, "warning" if tracks else "ok", found, expected, advice))
    return checks
