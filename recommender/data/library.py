"""A music folder as a table of files: every track keeps its id when its file is moved, renamed or retagged.

A scan compares the folder with the last scan's table. A file of the same path, size and time of change is not opened.
Any other is read, and known again by its content (it moved) or else by its path (it changed).
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from recommender.data.cue import albums_in_one_file
from recommender.data.progress import Progress, silent
from recommender.data.tags import AUDIO_ENDINGS, read_tags
from recommender.errors import AudioError, DataError

FILE_COLUMNS = (
    "item_id", "content_hash", "path", "size", "mtime_ns",
    "title", "artist", "album", "duration_s", "released", "recording_mbid", "genre", "error",
)  # fmt: skip
_NUMBERS = {"size": "int64", "mtime_ns": "int64", "duration_s": "float64"}
PART_BYTES = 64 * 1024
UNREAD = -1
"""Size and time of change of a file that could not be read: it is tried again by the next scan."""


@dataclass(frozen=True, eq=False)
class LibraryScan:
    """A music folder, and what became of it since the last scan.

    Parameters
    ----------
    files : DataFrame, one row a file, sorted by path
        item_id; content_hash (``""`` if unreadable); path, relative to the folder, with ``/``; size in bytes; mtime_ns;
        title, artist, album, released (ISO date), recording_mbid, genre, ``""`` where unknown; duration_s, NaN where
        unknown; error, one sentence that says why the file cannot be used, ``""`` if nothing speaks against it.
        Identical files have the same item_id. That a file is without error does not mean that it can be decoded to its
        end.
    added, changed, removed, unchanged : tuple of str
        Paths. Each file of `files` is in one of added, changed, moved and unchanged; each of the last scan is in one of
        changed, moved, unchanged and removed: a file that another one was moved over is removed too.
    moved : tuple of (str, str)
        Old path, new path.
    duplicates : tuple of (str, str)
        The path of a file, and the path of the first file with the same content.
    warnings : tuple of str
        What the scan could not read and went on without: folders, damaged tags. Unchanged files are not told again.
    """

    files: pd.DataFrame
    added: tuple[str, ...]
    moved: tuple[tuple[str, str], ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    duplicates: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _File:
    """One row of the table."""

    item_id: str
    content_hash: str
    path: str
    size: int
    mtime_ns: int
    title: str
    artist: str
    album: str
    duration_s: float
    released: str
    recording_mbid: str
    genre: str
    error: str


def scan_music(folder: Path, known: pd.DataFrame | None = None, progress: Progress = silent) -> LibraryScan:
    """Read a music folder.

    Parameters
    ----------
    folder : Path
        Links to files and folders are followed, each folder once. Names that begin with a dot are left out.
    known : DataFrame, optional
        `LibraryScan.files` of the last scan, of this folder or of the same library elsewhere.
    progress : Progress
        Told of files.

    Returns
    -------
    LibraryScan
        A file that cannot be used is in it, with its error: no file stops the scan.

    Raises
    ------
    DataError
        If `folder` is not a folder that can be listed.
    """
    paths, sheets, warnings, unlisted = _list_files(folder)
    before = {file.path: file for file in _files_of(known)}
    now: dict[str, _File] = {}
    same: set[str] = set()
    for done, path in enumerate(paths):
        progress(done, len(paths))
        if (readable := os.fsencode(path).decode("utf-8", "backslashreplace")) != path:
            now[readable] = _unread(_blank(readable), "its name is not UTF-8; rename it", before.get(readable))
            continue
        old = before.get(path)
        size, mtime_ns = _size_and_time(folder / path)
        if old is not None and size != UNREAD and (old.size, old.mtime_ns) == (size, mtime_ns):
            now[path] = old
            same.add(path)
            continue
        now[path], warning = _read_file(folder, path, size, mtime_ns, old)
        if warning:
            warnings.append(f"{path}: {warning}")
    progress(len(paths), len(paths))
    warnings.extend(_albums(folder, sheets, [path for path in paths if path not in same]))
    for path in before:
        if path not in now and any(path.startswith(prefix) for prefix in unlisted):
            now[path] = before[path]
            same.add(path)
    return _compare(before, now, same, warnings)


def content_hash(path: Path) -> str:
    """Return a digest of a file's size and of its first, middle and last 64 KiB, 32 hexadecimal digits.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        state = hashlib.blake2b(str(size).encode(), digest_size=16)
        starts = sorted({0, max(0, (size - PART_BYTES) // 2), max(0, size - PART_BYTES)})
        for start in starts:
            file.seek(start)
            state.update(file.read(PART_BYTES))
    return state.hexdigest()


def _list_files(folder: Path) -> tuple[list[str], list[str], list[str], list[str]]:
    """Return relative paths of audio files and of cue sheets, sorted; what could not be listed, in words; its prefixes.

    Folders are visited once, real ones before those that links lead to, so that a loop ends and a file is known by the
    path that it really has.
    """
    paths: list[str] = []
    sheets: list[str] = []
    warnings: list[str] = []
    unlisted: list[str] = []
    waiting: deque[str] = deque([""])
    linked: deque[str] = deque()
    visited: set[tuple[int, int]] = set()
    while waiting or linked:
        prefix = waiting.popleft() if waiting else linked.popleft()
        try:
            status = os.stat(folder / prefix)
            entries = sorted(os.scandir(folder / prefix), key=lambda entry: entry.name)
        except OSError as error:
            if not prefix:
                raise DataError(f"{folder} cannot be listed as a folder of music: {error.strerror}") from error
            warnings.append(f"{prefix}: the folder cannot be listed: {error.strerror}")
            unlisted.append(prefix)
            continue
        if (status.st_dev, status.st_ino) in visited:
            continue
        visited.add((status.st_dev, status.st_ino))
        for entry in entries:
            path = prefix + entry.name
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                if entry.is_symlink():
                    linked.append(path + "/")
                else:
                    waiting.append(path + "/")
            elif PurePosixPath(entry.name).suffix.lower() in AUDIO_ENDINGS:
                paths.append(path)
            elif entry.name.lower().endswith(".cue"):
                sheets.append(path)
    return sorted(paths), sorted(sheets), warnings, unlisted


def _albums(folder: Path, sheets: list[str], paths: list[str]) -> Iterator[str]:
    """Yield a sentence for each of `paths` that a cue sheet beside it cuts into tracks."""
    by_stem = {str(PurePosixPath(path).with_suffix("")): path for path in paths}
    for sheet in sheets if by_stem else ():
        for stem, count in albums_in_one_file(folder / sheet).items():
            if path := by_stem.get(str(PurePosixPath(sheet).with_name(stem))):
                yield f"{path}: {count} tracks in one file by {PurePosixPath(sheet).name}, taken as one; split it"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return UNREAD, UNREAD
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else (UNREAD, UNREAD)


def _read_file(folder: Path, path: str, size: int, mtime_ns: int, old: _File | None) -> tuple[_File, str]:
    """Read what a new or changed file holds; return it without an id, and a warning or ``""``."""
    file = replace(_blank(path), size=size, mtime_ns=mtime_ns)
    try:
        if not (folder / path).is_file():
            kind = "a link to nothing" if (folder / path).is_symlink() else "no plain file"
            return _unread(file, f"is {kind}", old), ""
        file = replace(file, content_hash=content_hash(folder / path))
        tags = read_tags(folder / path, PurePosixPath(path))
    except AudioError as error:
        return replace(file, error=str(error)), ""
    except OSError as error:
        return _unread(file, f"cannot be read: {error.strerror or error}", old), ""
    file = replace(file, title=tags.title, artist=tags.artist, album=tags.album)
    more = {name: getattr(tags, name) for name in ("duration_s", "released", "recording_mbid", "genre")}
    return replace(file, **more), tags.warning


def _blank(path: str) -> _File:
    return _File("", "", path, UNREAD, UNREAD, PurePosixPath(path).stem, "", "", float("nan"), "", "", "", "")


def _unread(file: _File, error: str, old: _File | None) -> _File:
    """Keep what is known of a file that cannot be read now; the next scan tries again."""
    return replace(old or file, size=UNREAD, mtime_ns=UNREAD, error=error)


def _compare(before: dict[str, _File], now: dict[str, _File], same: set[str], warnings: list[str]) -> LibraryScan:
    """Give every file its id: its path's if nothing changed, else its content's, else its path's, else a new one."""
    ids = _Ids()
    kept, moved = set(same), list[tuple[str, str]]()
    changed, added = list[str](), list[str]()
    for path in sorted(same):
        ids.give(now[path], before[path].item_id)
    rest = []
    for path in sorted(set(now) - same):
        old = before.get(path)
        if old is None or old.content_hash != now[path].content_hash:
            rest.append(path)
            continue
        ids.give(now[path], old.item_id)
        (kept.add if replace(now[path], item_id=old.item_id, mtime_ns=old.mtime_ns) == old else changed.append)(path)
    free: dict[str, list[str]] = {}
    for path in sorted(set(before) - set(ids.files)):
        free.setdefault(before[path].content_hash, []).append(path)
    left = set(before) - set(ids.files)
    for path in rest:
        if now[path].content_hash and (candidates := free.get(now[path].content_hash)):
            origin = min(candidates, key=lambda old: (PurePosixPath(old).name != PurePosixPath(path).name, old))
            candidates.remove(origin)
            left.discard(origin)
            ids.give(now[path], before[origin].item_id)
            moved.append((origin, path))
    for path in [path for path in rest if path not in ids.files]:
        old_id = before[path].item_id if path in left else None
        item_id = ids.of_content(now[path]) or (old_id if old_id is not None and not ids.taken(old_id) else None)
        left.discard(path)
        (added if old_id is None else changed).append(path)
        ids.give(now[path], item_id or ids.new(now[path]))
    files = [ids.files[path] for path in sorted(ids.files)]
    return LibraryScan(
        _frame_of(files), tuple(added), tuple(moved), tuple(sorted(changed)), tuple(sorted(left)), tuple(sorted(kept)),
        _duplicates(files), tuple(warnings),
    )  # fmt: skip


class _Ids:
    """The ids given so far: an id stands for one content, a content has one id."""

    def __init__(self) -> None:
        self.files: dict[str, _File] = {}
        self._id_of_content: dict[str, str] = {}
        self._taken: set[str] = set()

    def give(self, file: _File, item_id: str) -> None:
        self.files[file.path] = replace(file, item_id=item_id)
        self._taken.add(item_id)
        if file.content_hash:
            self._id_of_content.setdefault(file.content_hash, item_id)

    def of_content(self, file: _File) -> str | None:
        return self._id_of_content.get(file.content_hash)

    def taken(self, item_id: str) -> bool:
        return item_id in self._taken

    def new(self, file: _File) -> str:
        """Return an id from the content; from the path too if another track has been given that one before."""
        item_id = "t" + (file.content_hash or _digest(file.path))[:16]
        while item_id in self._taken:
            item_id = "t" + _digest(item_id + file.path)[:16]
        return item_id


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _duplicates(files: list[_File]) -> tuple[tuple[str, str], ...]:
    first: dict[str, str] = {}
    found = []
    for file in files:
        if file.content_hash and not file.error:
            if file.content_hash in first:
                found.append((file.path, first[file.content_hash]))
            first.setdefault(file.content_hash, file.path)
    return tuple(found)


def _frame_of(files: list[_File]) -> pd.DataFrame:
    columns = {name: [getattr(file, name) for file in files] for name in FILE_COLUMNS}
    return pd.DataFrame({name: pd.Series(values, dtype=_NUMBERS.get(name, "str")) for name, values in columns.items()})


def _files_of(known: pd.DataFrame | None) -> list[_File]:
    if known is None:
        return []
    if missing := [name for name in FILE_COLUMNS if name not in known.columns]:
        raise DataError(f"the last scan's table has no column {missing[0]!r}, found {list(known.columns)}; scan anew")
    columns: dict[str, list[Any]] = {}
    for name in FILE_COLUMNS:
        kind: Any = _NUMBERS.get(name)
        columns[name] = (known[name].astype(kind) if kind else known[name].fillna("").astype(str)).tolist()
    return [_File(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
