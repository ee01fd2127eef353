"""Real music for the evaluation of hearing: clips of each file, unchanged and changed, and what is computed of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

from recommender.audio.changes import change_pitch, change_tempo, gain, low_pass, through_codec
from recommender.audio.clips import SILENCE, ClipConfig, clip_starts
from recommender.audio.stretch import Waveform
from recommender.data.library import scan_music
from recommender.data.progress import Progress, silent
from recommender.data.storage import load_arrays, save_arrays
from recommender.errors import ArtifactError, AudioError, DataError
from recommender.evaluation.hearing import UNCHANGED, TestClips

Array = npt.NDArray[Any]

FILE_HZ = 44100
"""Rate at which files are decoded, in stereo, and at which codec and low-pass act: as on a real file."""

HEARD_HZ = 22050
"""Rate of the clips that are heard."""

CLIPS = ClipConfig()
SPARE_S = 0.5
"""Decoded behind each clip, for what is played faster."""

VERSIONS = (UNCHANGED, "mp3 64k", "-6 dB", "low-pass 11 kHz", "tempo +4 %", "tempo -4 %", "pitch +1 semitone")
CACHE_KIND = "hearing-cache"
CACHE_FORMAT = "1"
"""Another one where the same file gives other versions than before."""


@dataclass(frozen=True)
class Extract:
    """Something computed of waveforms, and kept.

    Parameters
    ----------
    name : str
        Names the folder of the cache: another computation needs another name.
    compute : callable
        Waveforms (n, n_samples), float32 at `HEARD_HZ` -> array (n, ...).
    """

    name: str
    compute: Callable[[Waveform], Array]


@dataclass(frozen=True, eq=False)
class HeardTracks:
    """Clips of a music folder.

    Parameters
    ----------
    clips : TestClips
    paths : tuple of str, one a track
    extracts : dict of extract name to dict of version to ndarray, shape (n_clips, ...)
    unusable : tuple of str
        Files that were left out, each with its reason.
    """

    clips: TestClips
    paths: tuple[str, ...]
    extracts: dict[str, dict[str, Array]]
    unusable: tuple[str, ...]


def hear_folders(
    folders: Sequence[Path],
    extracts: Sequence[Extract],
    *,
    cache: Path | None = None,
    max_tracks: int | None = None,
    leave_out: frozenset[str] = frozenset(),
    seed: int = 0,
    progress: Progress = silent,
) -> HeardTracks:
    """Decode each file once and compute every extract of every version of its clips; only extracts stay in memory.

    Parameters
    ----------
    folders : sequence of Path
        Music, artists and albums by tags or else by folders. Files of the same content, and
        those of the same title and artist, count once.
    extracts : sequence of Extract
    cache : Path, optional
        Where extracts are kept for the next run.
    max_tracks : int, optional
        Whole artists are taken, in an order that `seed` draws, until there are as many tracks.
    leave_out : frozenset of str
        Artists, in lower case, that a model has heard in training.
    seed : int
    progress : Progress
        In tracks.

    Returns
    -------
    HeardTracks

    Raises
    ------
    DataError
        If no file can be used.
    """
    files, unusable = _files_of(folders, leave_out)
    files = _draw_artists(files, seed) if max_tracks is not None else files
    wanted = len(files) if max_tracks is None else min(max_tracks, len(files))
    kept: list[_File] = []
    arrays: list[dict[str, Array]] = []
    for file in files:
        if len(kept) == wanted:
            break
        progress(len(kept), wanted)
        try:
            arrays.append(_extract(file, extracts, cache))
            kept.append(file)
        except AudioError as error:
            unusable.append(str(error))
    progress(wanted, wanted)
    if not kept:
        raise DataError(f"no audio file of {', '.join(map(str, folders))} can be used; expected a folder of music")
    counts = [len(found["starts_s"]) for found in arrays]
    clips = TestClips(
        tuple(file.artist for file in kept),
        tuple(file.album for file in kept),
        np.repeat(np.arange(len(kept)), counts),
        np.concatenate([found["starts_s"] for found in arrays]).astype(np.float64),
        CLIPS.clip_s,
    )
    joined = {
        extract.name: {
            version: np.concatenate([found[extract.name][row] for found in arrays])
            for row, version in enumerate(VERSIONS)
        }
        for extract in extracts
    }
    return HeardTracks(clips, tuple(str(file.path) for file in kept), joined, tuple(unusable))


def versions_of(stereo: Waveform, n_samples: int) -> Waveform:
    """Return every version of one clip.

    Parameters
    ----------
    stereo : ndarray, shape (2, n), float32, at `FILE_HZ`
    n_samples : int
        Of each version, at `HEARD_HZ`; what is shorter is repeated, as analysis does.

    Returns
    -------
    ndarray, shape (len(VERSIONS), n_samples), float32
        In the order of `VERSIONS`, mono at `HEARD_HZ`.
    """
    mono = to_heard(stereo.mean(axis=0))
    changed = [
        mono,
        to_heard(through_codec(stereo, FILE_HZ, "libmp3lame", 64000).mean(axis=0)),
        gain(mono, -6.0),
        to_heard(low_pass(stereo.mean(axis=0), FILE_HZ, 11000.0)),
        change_tempo(mono, HEARD_HZ, 1.04),
        change_tempo(mono, HEARD_HZ, 0.96),
        change_pitch(mono, HEARD_HZ, 1.0),
    ]
    return np.stack(
        [np.resize(version, n_samples) if len(version) < n_samples else version[:n_samples] for version in changed]
    )


@dataclass(frozen=True)
class _File:
    path: Path
    content: str
    artist: str
    album: str
    duration_s: float


def _files_of(folders: Sequence[Path], leave_out: frozenset[str]) -> tuple[list[_File], list[str]]:
    """Return the files, one a content and one (the longest) a title of an artist; and those that cannot be used."""
    found: dict[tuple[str, ...], _File] = {}
    unusable = []
    for folder in folders:
        for row in scan_music(folder).files.to_dict("records"):
            if row["error"]:
                unusable.append(f"{row['path']}: {row['error']}")
            elif row["artist"].casefold() not in leave_out:
                file = _File(folder / row["path"], row["content_hash"], row["artist"], row["album"], row["duration_s"])
                named = (row["artist"].casefold(), row["title"].casefold())
                same = named if all(named) else (file.content,)
                if same not in found or file.duration_s > found[same].duration_s:
                    found[same] = file
    return list({file.content: file for file in found.values()}.values()), unusable


def _draw_artists(files: list[_File], seed: int) -> list[_File]:
    artists = sorted({file.artist for file in files})
    place = dict(zip(artists, np.random.default_rng(seed).permutation(len(artists)), strict=True))
    return sorted(files, key=lambda file: place[file.artist])


def _extract(file: _File, extracts: Sequence[Extract], cache: Path | None) -> dict[str, Array]:
    found: dict[str, Array] = {}
    missing = []
    for extract in extracts:
        path = cache / CACHE_FORMAT / extract.name / f"{file.content}.safetensors" if cache else None
        try:
            if path is None or not path.exists():
                raise ArtifactError("not kept")
            stored, _ = load_arrays(path, CACHE_KIND, extract.name)
            found["starts_s"], found[extract.name] = stored["starts_s"], stored["values"]
        except ArtifactError:
            missing.append((extract, path))
    if missing:
        starts_s, waveforms = _decode_versions(file)
        flat = waveforms.reshape(-1, waveforms.shape[-1])
        for extract, path in missing:
            values = extract.compute(flat)
            values = values.reshape(*waveforms.shape[:2], *values.shape[1:])
            found["starts_s"], found[extract.name] = starts_s, values
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                save_arrays(path, CACHE_KIND, extract.name, {"starts_s": starts_s, "values": values})
    return found


def _decode_versions(file: _File) -> tuple[npt.NDArray[np.float32], Waveform]:
    """Return the starts of the clips that are whole and not silent, and their versions.

    The latter have shape (n_versions, n_clips, n_samples).
    """
    if not file.duration_s >= CLIPS.clip_s:
        raise AudioError(f"{file.path.name}: lasts {file.duration_s:.1f} s, expected a clip of {CLIPS.clip_s:g} s")
    starts_s = clip_starts(file.duration_s, CLIPS)
    try:
        stereo = decode_stereo(file.path, starts_s, CLIPS.clip_s + SPARE_S)
    except (av.error.FFmpegError, ValueError, IndexError) as error:
        raise AudioError(f"{file.path.name}: cannot be decoded ({error})") from error
    enough = (CLIPS.clip_s - 0.05) * FILE_HZ
    usable = [row for row, clip in enumerate(stereo) if clip.shape[1] >= enough and np.abs(clip).max() >= SILENCE]
    if not usable:
        raise AudioError(f"{file.path.name}: silent or damaged where its clips are, expected music")
    versions = [versions_of(stereo[row], round(CLIPS.clip_s * HEARD_HZ)) for row in usable]
    return np.array([starts_s[row] for row in usable], dtype=np.float32), np.stack(versions, axis=1)


def decode_stereo(path: Path, starts_s: Sequence[float], window_s: float) -> list[Waveform]:
    """Decode windows in stereo at `FILE_HZ`.

    Returns
    -------
    list of ndarray, shape (2, at most window_s * FILE_HZ), float32
    """
    windows = []
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        tick_s = float(stream.time_base or 1)
        origin_s = (stream.start_time or 0) * tick_s
        for start_s in starts_s:
            container.seek(math.floor((max(start_s - 0.5, 0) + origin_s) / tick_s), stream=stream)
            resampler = av.AudioResampler(format="fltp", layout="stereo", rate=FILE_HZ)
            parts: list[Waveform] = []
            first_s = 0.0
            for frame in container.decode(stream):
                at_s = (frame.time or 0.0) - origin_s
                if at_s >= start_s + window_s + 0.1:
                    break
                if not parts:
                    first_s = at_s
                parts += [np.asarray(part.to_ndarray(), dtype=np.float32) for part in resampler.resample(frame)]
            skipped = max(round((start_s - first_s) * FILE_HZ), 0)
            joined = np.concatenate(parts, axis=1) if parts else np.zeros((2, 0), np.float32)
            windows.append(joined[:, skipped : skipped + round(window_s * FILE_HZ)])
    return windows


def to_heard(mono: Waveform) -> Waveform:
    """Return a waveform at `FILE_HZ` at `HEARD_HZ`."""
    heard: Waveform = resample_poly(mono, 1, FILE_HZ // HEARD_HZ).astype(np.float32)
    return heard
