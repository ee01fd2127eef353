"""The embedded world: a folder of music, a listening log, and the truth behind both."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.data.progress import Progress, silent
from recommender.data.storage import atomic_path, load_arrays, read_json, save_arrays, write_json
from recommender.errors import ConfigError, DataError
from recommender.synthetic.instruments import SAMPLE_RATE_HZ
from recommender.synthetic.listeners import Appeal, ListenerConfig, draw_affinity, draw_plays
from recommender.synthetic.music import KEYS, render
from recommender.synthetic.names import draw_artists, draw_titles
from recommender.synthetic.plans import Signature, TrackPlan, draw_signature, plan_track
from recommender.synthetic.styles import STYLES

FORMAT = "2"
"""Raise it when the same config gives another world: a folder of the old one is then refused."""

START = np.datetime64("2022-01-01")
_ALONE_S = 400
"""Seconds of music below which starting other processes takes longer than it saves."""


@dataclass(frozen=True)
class WorldConfig:
    """The size of the world.

    Parameters
    ----------
    n_tracks : int
    min_length_s, max_length_s : float
        Tracks end with a whole bar, up to one bar before a length drawn from here.
    new_share : float
        Share of the tracks that are released after the split, at least two tracks.
    days, days_after_split : int
        How long it is listened to, and how much of that is after the split.
    listeners : ListenerConfig
    seed : int

    Raises
    ------
    ConfigError
        If no world can be made so.
    """

    n_tracks: int = 300
    min_length_s: float = 23.0
    max_length_s: float = 28.0
    new_share: float = 0.18
    days: int = 1095
    days_after_split: int = 182
    listeners: ListenerConfig = field(default_factory=ListenerConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_tracks < 12:
            raise ConfigError(f"n_tracks is {self.n_tracks}, expected 12 or more: a world needs several artists")
        if not 0 < self.min_length_s <= self.max_length_s:
            raise ConfigError(f"tracks of {self.min_length_s} to {self.max_length_s} s cannot be rendered")
        if not 0 < self.new_share < 0.9:
            raise ConfigError(f"new_share is {self.new_share}, expected a share between 0 and 0.9")
        if not 2 <= self.days_after_split <= self.days - 30:
            raise ConfigError(
                f"days_after_split is {self.days_after_split}, expected 2 or more, and 30 of {self.days} before them"
            )


TINY = WorldConfig(
    n_tracks=36, min_length_s=6.0, max_length_s=7.0, new_share=0.2, listeners=ListenerConfig(n_users=60, plays=40)
)
"""A world that is built in two or three seconds."""


@dataclass(frozen=True, eq=False)
class World:
    """What happened in the world, and why.

    Parameters
    ----------
    tracks : DataFrame
        path (relative to the music folder, posix), title, artist, album, released (ISO date), and the truth: style,
        tempo_bpm, key, mode, brightness (0 to 1), density (notes of the melody a second), room (0 to 1), drums
        (level), length_s.
    users : tuple of str
    past, future : DataFrame
        user_id, path, weight (0 is a skip), timestamp; before and from `split_time` on.
    affinity : ndarray, shape (n_users, n_tracks), float32
        How much each user would like each track, in the order of `users` and `tracks`.
    audible : ndarray, shape (n_users, n_tracks), float32
        The part of `affinity` that sound explains: what perfect ears could tell of a track that nobody has played.
    split_time : datetime64[s]
        Tracks released from then on have no plays in the past.
    """

    tracks: pd.DataFrame
    users: tuple[str, ...]
    past: pd.DataFrame
    future: pd.DataFrame
    affinity: npt.NDArray[np.float32]
    audible: npt.NDArray[np.float32]
    split_time: np.datetime64


@dataclass(frozen=True)
class Release:
    """A track on its album, and the plan of its sound."""

    artist: str
    artist_number: int
    album: str
    album_track: int
    released: np.datetime64
    title: str
    plan: TrackPlan

    @property
    def path(self) -> str:
        """Where the file lies in the music folder."""
        return f"{self.artist}/{self.album}/{self.album_track:02d} {self.title}.flac"


def build_world(config: WorldConfig, folder: Path, progress: Progress = silent, *, workers: int | None = None) -> World:
    """Render the music into ``folder/music`` and draw who plays what.

    Finished files stay; an interrupted build goes on.

    Parameters
    ----------
    config : WorldConfig
    folder : Path
    progress : Progress
        In tracks.
    workers : int, optional
        Processes; one a core by default, 1 renders in this one. The result does not depend on it.

    Returns
    -------
    World

    Raises
    ------
    DataError
        If the folder holds a world of another config, or of another version of this package.
    """
    marker, wanted = folder / "world.json", {"format": FORMAT, "config": asdict(config)}
    if marker.exists() and read_json(marker) != wanted:
        raise DataError(f"{folder} holds a world of another config or version; delete it or give another folder")
    write_json(marker, wanted)
    world, releases = draw_world(config)
    _render_all(releases, folder / "music", progress, workers)
    truth = {"affinity": world.affinity, "audible": world.audible}
    save_arrays(folder / "affinity.safetensors", "affinity", FORMAT, truth)
    for name, frame in (("tracks", world.tracks), ("past", world.past), ("future", world.future)):
        with atomic_path(folder / f"{name}.parquet") as part:
            frame.to_parquet(part, index=False)
    return world


def draw_world(config: WorldConfig) -> tuple[World, list[Release]]:
    """Draw who releases and who plays what, without a sound.

    Returns
    -------
    world : World
    releases : list of Release
        What is to be rendered, in the order of ``world.tracks``.
    """
    rng = np.random.default_rng(config.seed)
    split_time = _split_time(config.days, config.days_after_split)
    releases = list(_draw_releases(config, split_time.astype("datetime64[D]"), rng))
    tracks = pd.DataFrame([_describe(release) for release in releases])
    affinity = draw_affinity(_appeal(releases), config.listeners, rng)
    users = _user_ids(config.listeners.n_users)
    end = START + np.timedelta64(config.days, "D")
    released = np.array([release.released for release in releases])
    plays = draw_plays(affinity.total, released, START, end, config.listeners, rng)
    log = pd.DataFrame(
        {
            "user_id": np.array(users, dtype=object)[plays["user"]],
            "path": tracks["path"].to_numpy(dtype=object)[plays["track"]],
            "weight": plays["weight"],
            "timestamp": plays["timestamp"],
        }
    )
    late = (log["timestamp"] >= split_time).to_numpy()
    past, future = log[~late].reset_index(drop=True), log[late].reset_index(drop=True)
    return World(tracks, users, past, future, affinity.total, affinity.audible, split_time), releases


def load_world(folder: Path) -> World:
    """Read what `build_world` wrote.

    Raises
    ------
    ArtifactError
        If a part is missing.
    """
    config = read_json(folder / "world.json")["config"]
    arrays, _ = load_arrays(folder / "affinity.safetensors", "affinity", FORMAT)
    tracks, past, future = (pd.read_parquet(folder / f"{name}.parquet") for name in ("tracks", "past", "future"))
    for plays in (past, future):
        plays["timestamp"] = plays["timestamp"].astype("datetime64[s]")
    users = _user_ids(config["listeners"]["n_users"])
    split_time = _split_time(config["days"], config["days_after_split"])
    return World(tracks, users, past, future, arrays["affinity"], arrays["audible"], split_time)


def listening_log(plays: pd.DataFrame, item_ids: dict[str, str]) -> pd.DataFrame:
    """Name the tracks of `past` or `future` by the ids that a library gave their paths."""
    return pd.DataFrame(
        {
            "user_id": plays["user_id"],
            "item_id": plays["path"].map(item_ids),
            "weight": plays["weight"],
            "timestamp": plays["timestamp"],
        }
    )


def _user_ids(count: int) -> tuple[str, ...]:
    return tuple(f"listener-{number:04d}" for number in range(count))


def _split_time(days: int, days_after_split: int) -> np.datetime64:
    at: np.datetime64 = (START + np.timedelta64(days - days_after_split, "D")).astype("datetime64[s]")
    return at


def _draw_releases(config: WorldConfig, split: np.datetime64, rng: np.random.Generator) -> Iterator[Release]:
    """Draw albums: known artists before the split, then new ones of theirs (three in five) and of newcomers.

    Most of the known ones are out early, as in any collection: a log tells little of what came out just before its end.
    """
    n_new = max(2, round(config.new_share * config.n_tracks))
    n_known = config.n_tracks - n_new
    n_artists = max(4, round(n_known / 4.5))
    names = draw_artists(n_artists + n_new, rng)
    titles = iter(draw_titles(2 * config.n_tracks + 50, rng))
    styles = [int(s) for s in np.resize(rng.permutation(len(STYLES)), n_artists)]
    styles += [int(s) for s in rng.integers(len(STYLES), size=n_new)]
    signatures: dict[tuple[int, int], Signature] = {}
    second = [int(rng.integers(len(STYLES))) if rng.random() < 0.35 else style for style in styles]

    def album(artist: int, released: np.datetime64, size: int) -> Iterator[Release]:
        name, tilt, level = next(titles), float(rng.normal(0, 1.5)), float(rng.uniform(-18, -14))
        for number in range(1, size + 1):
            style = styles[artist] if rng.random() < 0.8 else second[artist]
            if (artist, style) not in signatures:
                signatures[artist, style] = draw_signature(STYLES[style], rng)
            length_s = float(rng.uniform(config.min_length_s, config.max_length_s))
            plan = plan_track(STYLES[style], signatures[artist, style], length_s, tilt, level, rng)
            yield Release(names[artist], artist, name, number, released, next(titles), plan)

    before = int((split - START) / np.timedelta64(1, "D"))
    left, artist = n_known, 0
    while left:
        size = min(left, int(rng.integers(1, 5)))
        yield from album(artist % n_artists, START + np.timedelta64(int(before * rng.random() ** 1.7), "D"), size)
        left, artist = left - size, artist + 1
    left, newcomer = n_new, n_artists
    while left:
        size = min(left, int(rng.integers(1, 4)))
        known = rng.random() < 0.6
        by = int(rng.integers(n_artists)) if known else newcomer
        newcomer += not known
        day = int(rng.integers(1, max(2, config.days_after_split // 2)))
        yield from album(by, split + np.timedelta64(day, "D"), size)
        left -= size


def _describe(release: Release) -> dict[str, object]:
    plan = release.plan
    return {
        "path": release.path,
        "title": release.title,
        "artist": release.artist,
        "album": release.album,
        "released": str(release.released),
        "style": plan.style.name,
        "tempo_bpm": plan.tempo_bpm,
        "key": KEYS[plan.key],
        "mode": plan.mode,
        "brightness": plan.signature.touch.brightness,
        "density": plan.density,
        "room": plan.room,
        "drums": plan.drums,
        "length_s": plan.length_s,
    }


def _appeal(releases: list[Release]) -> Appeal:
    plans = [release.plan for release in releases]
    order = [style.name for style in STYLES]
    styles = np.eye(len(order))[[order.index(plan.style.name) for plan in plans]]
    dark = ("minor", "phrygian", "dorian")
    traits = np.array(
        [
            (
                np.log(plan.tempo_bpm),
                plan.signature.touch.brightness,
                np.log(plan.density),
                float(plan.mode in dark),
                plan.room,
                plan.drums,
            )
            for plan in plans
        ]
    )
    traits = (traits - traits.mean(axis=0)) / np.maximum(traits.std(axis=0), 1e-9)
    return Appeal(styles, traits, np.array([release.artist_number for release in releases]))


def _render_all(releases: list[Release], music: Path, progress: Progress, workers: int | None) -> None:
    missing = [release for release in releases if not (music / release.path).exists()]
    done = len(releases) - len(missing)
    progress(done, len(releases))
    if not missing:
        return
    if workers == 1 or (workers is None and sum(r.plan.length_s for r in missing) < _ALONE_S):
        for finished, release in enumerate(missing, done + 1):
            _write_track(release, music)
            progress(finished, len(releases))
        return
    # the workers leave Ctrl-C to this process
    never = (signal.SIGINT, signal.SIG_IGN)
    with ProcessPoolExecutor(workers, get_context("spawn"), signal.signal, never) as pool:
        for finished, _ in enumerate(pool.map(_write_track, missing, repeat(music), chunksize=4), done + 1):
            progress(finished, len(releases))


def _write_track(release: Release, music: Path) -> None:
    """Render one track to 16-bit FLAC and tag it."""
    import av
    from mutagen.flac import FLAC

    assert not re.search(r"[/\\:\0]", release.artist + release.album + release.title)
    samples = np.rint(render(release.plan) * 32767).astype(np.int16)
    with atomic_path(music / release.path) as part:
        with av.open(str(part), "w", format="flac") as container:
            stream = container.add_stream("flac", rate=SAMPLE_RATE_HZ, layout="mono")
            for start in range(0, len(samples), 4096):
                frame = av.AudioFrame.from_ndarray(samples[None, start : start + 4096], format="s16", layout="mono")
                frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, start
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        tags = FLAC(part)
        tags.update(
            title=release.title,
            artist=release.artist,
            album=release.album,
            date=str(release.released),
            tracknumber=str(release.album_track),
        )
        tags.save()
