"""A corpus on disk: 16-bit waveforms and a table of what is true of them, in shards that are whole or absent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.data.storage import atomic_path, read_json, write_json
from recommender.errors import ArtifactError, ConfigError
from recommender.synthetic.corpus.artists import draw_artist
from recommender.synthetic.corpus.rendering import render_windows, window_starts
from recommender.synthetic.corpus.soundfont import load_soundfont
from recommender.synthetic.corpus.tracks import draw_track
from recommender.synthetic.corpus.truth import window_truth
from recommender.synthetic.instruments import SAMPLE_RATE_HZ, Waveform

FORMAT = "3"
"""Raise it when the same config gives other music: a folder of the old one is then refused."""

_FULL_SCALE = 32_767


@dataclass(frozen=True)
class CorpusConfig:
    """What a corpus holds.

    Parameters
    ----------
    tracks_per_artist, albums_per_artist : int
    clips_per_track : int
    clip_s : float
    artists_per_shard : int
    seed : int

    Raises
    ------
    ConfigError
        If a number is below 1, or a clip is shorter than a second.
    """

    tracks_per_artist: int = 4
    albums_per_artist: int = 2
    clips_per_track: int = 4
    clip_s: float = 10.0
    artists_per_shard: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("tracks_per_artist", "albums_per_artist", "clips_per_track", "clip_s", "artists_per_shard"):
            if getattr(self, name) < 1:
                raise ConfigError(f"corpus {name} is {getattr(self, name)}, expected at least 1")


@dataclass(frozen=True, eq=False)
class Corpus:
    """A corpus that is read as it is needed.

    Parameters
    ----------
    truth : DataFrame
        One row a clip: ``artist``, ``album``, ``track`` (ids), ``clip``, and what `truth.window_truth` tells.
    shards : tuple of ndarray, each shape (n, n_samples), int16
        Mapped into memory; the clips in the order of `truth`.
    """

    truth: pd.DataFrame
    shards: tuple[npt.NDArray[np.int16], ...]

    def waveforms(self, rows: npt.NDArray[np.int64]) -> Waveform:
        """Read clips by their rows of `truth`.

        Returns
        -------
        ndarray, shape (len(rows), n_samples), float32
            Mono at 22,050 Hz.
        """
        ends = np.cumsum([len(shard) for shard in self.shards])
        which = np.searchsorted(ends, rows, side="right")
        clips = [self.shards[s][row - (ends[s - 1] if s else 0)] for s, row in zip(which, rows, strict=True)]
        return np.stack(clips).astype(np.float32) / np.float32(_FULL_SCALE)


def render_artist(
    config: CorpusConfig, artist: int, fonts: Sequence[Path]
) -> tuple[npt.NDArray[np.int16], list[dict[str, Any]]]:
    """Render all clips of one artist of a corpus; depends on the seed, the artist's number and the soundfonts alone.

    Returns
    -------
    clips : ndarray, shape (n_tracks * n_clips, n_samples), int16
    rows : list of dict
        The truth, a row a clip.
    """
    sounds = [load_soundfont(font) for font in fonts]
    rng = np.random.default_rng([config.seed, artist])
    drawn = draw_artist(rng)
    clips, rows = [], []
    for number in range(config.tracks_per_artist):
        album = number * config.albums_per_artist // config.tracks_per_artist
        track = draw_track(drawn, rng, album)
        starts = window_starts(track, config.clips_per_track, config.clip_s, rng)
        sound = render_windows(track, starts, config.clip_s, sounds)
        clips.append(np.round(sound * _FULL_SCALE).astype(np.int16))
        ids = {"artist": f"a{artist:05d}", "album": f"a{artist:05d}-{album}", "track": f"a{artist:05d}-{number:02d}"}
        rows += [{**ids, "clip": clip, **row} for clip, row in enumerate(window_truth(track, starts, config.clip_s))]
    return np.concatenate(clips), rows


def prepare(folder: Path, config: CorpusConfig, fonts: Sequence[Path]) -> None:
    """Make a corpus's folder, or make sure that the one that is there can be continued.

    Raises
    ------
    ConfigError
        If it was rendered with other settings or other soundfonts.
    """
    wanted = {
        "format": FORMAT,
        "config": asdict(config),
        "soundfonts": [{"name": font.name, "bytes": font.stat().st_size} for font in fonts],
        "sample_rate_hz": SAMPLE_RATE_HZ,
    }
    path = folder / "corpus.json"
    if not path.exists():
        write_json(path, wanted)
        return
    found = read_json(path)
    differing = [name for name, value in wanted.items() if found.get(name) != value]
    if differing:
        raise ConfigError(f"{folder} was rendered with another {', '.join(differing)}; choose another folder")


def missing_shards(folder: Path, config: CorpusConfig, n_artists: int) -> list[int]:
    """Return the numbers of the shards that are not there yet."""
    count = -(-n_artists // config.artists_per_shard)
    return [shard for shard in range(count) if not _truth_path(folder, shard).exists()]


def render_shard(folder: Path, config: CorpusConfig, shard: int, fonts: Sequence[Path]) -> int:
    """Render one shard; return how many clips it holds. The truth is written last: where it is, the clips are."""
    first = shard * config.artists_per_shard
    rendered = [render_artist(config, artist, fonts) for artist in range(first, first + config.artists_per_shard)]
    clips = np.concatenate([clips for clips, _ in rendered])
    with atomic_path(_clips_path(folder, shard)) as part, part.open("wb") as file:
        np.save(file, clips)
    with atomic_path(_truth_path(folder, shard)) as part:
        pd.DataFrame([row for _, rows in rendered for row in rows]).to_parquet(part, index=False)
    return len(clips)


def open_corpus(folder: Path) -> Corpus:
    """Open what has been rendered so far.

    Raises
    ------
    ArtifactError
        If there is no corpus, no whole shard yet, or a file is damaged.
    """
    read_json(folder / "corpus.json")
    shards = sorted(_rendered(folder))
    if not shards:
        raise ArtifactError(f"{folder} holds no rendered clips yet; let the rendering finish its first shard")
    try:
        truth = pd.concat([pd.read_parquet(_truth_path(folder, shard)) for shard in shards], ignore_index=True)
        clips = tuple(np.load(_clips_path(folder, shard), mmap_mode="r") for shard in shards)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{folder} is damaged: {error}; delete that shard and render again") from error
    if sum(map(len, clips)) != len(truth):
        raise ArtifactError(f"{folder} has {sum(map(len, clips))} clips and truth of {len(truth)}; render it again")
    return Corpus(truth, clips)


def _rendered(folder: Path) -> Iterator[int]:
    for path in folder.glob("truth-*.parquet"):
        if found := re.fullmatch(r"truth-(\d+)\.parquet", path.name):
            yield int(found[1])


def _clips_path(folder: Path, shard: int) -> Path:
    return folder / f"clips-{shard:05d}.npy"


def _truth_path(folder: Path, shard: int) -> Path:
    return folder / f"truth-{shard:05d}.parquet"
