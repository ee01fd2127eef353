"""The files of a data set as they were downloaded: found by name, and unpacked on the way in."""

from __future__ import annotations

import bz2
import gzip
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from recommender.data.progress import Progress, silent
from recommender.errors import DataError

PACKED = (".bz2", ".gz", ".zip")
_DAMAGE = (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError)


@dataclass(frozen=True)
class SourceFile:
    """One file of a download, maybe packed.

    Parameters
    ----------
    path : Path
        The file on disk.
    member : str
        Its place inside `path` if that is a zip archive of the whole data set, else ``""``.
    """

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """The name that the file was published under, without the ending of a packer."""
        name = PurePosixPath(self.member or self.path.name).name
        return name.removesuffix(self.path.suffix) if not self.member and self.path.suffix in PACKED else name

    @contextmanager
    def open(self, progress: Progress = silent) -> Iterator[IO[bytes]]:
        """Give the unpacked content; `progress` is told of bytes read of `path`.

        Raises
        ------
        DataError
            If the file cannot be read, or is cut off or damaged.
        """
        try:
            with self.path.open("rb") as raw, self._unpacked(raw) as content:
                yield cast(IO[bytes], _Watched(content, raw, self.path.stat().st_size, progress))
        except _DAMAGE as error:
            raise DataError(
                f"{self.path} cannot be read: {getattr(error, 'strerror', None) or error}; download it again"
            ) from error

    def _unpacked(self, raw: IO[bytes]) -> Any:
        if self.member or self.path.suffix == ".zip":
            archive = zipfile.ZipFile(raw)
            inside = [name for name in archive.namelist() if PurePosixPath(name).name == self.name]
            if not inside:
                raise DataError(
                    f"{self.path} holds no {self.name}; found {', '.join(archive.namelist()[:5]) or 'nothing'}"
                )
            return archive.open(self.member or inside[0])
        if self.path.suffix == ".bz2":
            return bz2.BZ2File(raw)
        return gzip.GzipFile(fileobj=raw) if self.path.suffix == ".gz" else nullcontext(raw)


@dataclass
class _Watched:
    """A stream that tells how far its packed file has been read."""

    content: IO[bytes]
    raw: IO[bytes]
    size: int
    progress: Progress

    def read(self, n: int = -1) -> bytes:
        block = self.content.read(n)
        self.progress(self.raw.tell(), self.size)
        return block


@dataclass(frozen=True)
class Download:
    """What somebody downloaded: a folder with its subfolders, a zip archive, or one file.

    Parameters
    ----------
    source : Path
    files : tuple of SourceFile
        Sorted by depth, then by path; plain files before packed ones.
    """

    source: Path
    files: tuple[SourceFile, ...]

    @classmethod
    def at(cls, source: Path) -> Download:
        """List a folder, an archive or a file.

        Raises
        ------
        DataError
            If there is nothing at `source`, or an archive is damaged.
        """
        if source.is_dir():
            found = [SourceFile(Path(folder) / name) for folder, _, names in os.walk(source) for name in names]
        elif not source.is_file():
            raise DataError(f"{source} does not exist; give the folder or the file that was downloaded")
        elif source.suffix == ".zip":
            try:
                with zipfile.ZipFile(source) as archive:
                    found = [SourceFile(source, name) for name in archive.namelist() if not name.endswith("/")]
            except _DAMAGE as error:
                raise DataError(f"{source} cannot be read: {error}; download it again") from error
        else:
            found = [SourceFile(source)]
        return cls(source, tuple(sorted(found, key=_rank)))

    def matching(self, pattern: str) -> list[SourceFile]:
        """Return the files whose names fit a shell pattern; of one file plain and packed, the plain one."""
        places: dict[str, SourceFile] = {}
        for file in self.files:
            if fnmatchcase(file.name, pattern):
                places.setdefault(str(file.path.parent / PurePosixPath(file.member).parent / file.name), file)
        return list(places.values())

    def find(self, name: str) -> SourceFile | None:
        """Return the file that was published as `name`, None if there is none.

        Raises
        ------
        DataError
            If there are several in different folders.
        """
        found = self.matching(name)
        if len(found) > 1:
            places = ", ".join(str(file.path) for file in found[:4])
            raise DataError(f"{self.source} has several files {name}: {places}; give the folder of one of them")
        return found[0] if found else None

    def need(self, name: str, expected: str) -> SourceFile:
        """Return the file that was published as `name`.

        Raises
        ------
        DataError
            If there is none, or several.
        """
        file = self.find(name)
        if file is None:
            raise DataError(f"{self.source} has no {name}; expected {expected}")
        return file


def _rank(file: SourceFile) -> tuple[int, bool, str]:
    return len(file.path.parts) + file.member.count("/"), file.path.suffix in PACKED, str(file.path) + file.member
