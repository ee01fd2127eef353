"""The parts of a history: a file, or the files in a zip; what kind each is by its first bytes; bounded and streamed."""

from __future__ import annotations

import codecs
import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TextIO

from recommender.errors import DataError

HEAD_BYTES = 64 << 10
MAX_PARTS = 10_000
MAX_BYTES = 8 << 30
"""All parts of a zip together, unpacked."""
MAX_RATIO = 250
"""A part of more than `RATIO_FROM` bytes that shrinks further is no history: those shrink 10 to 40 fold."""
RATIO_FROM = 32 << 20


@dataclass(frozen=True)
class Part:
    """One file of a history.

    Parameters
    ----------
    name : str
        Its name inside the zip; ``""`` if it is the whole file.
    path : Path
        The file on disk that it is or is in.
    head : bytes
        Its first `HEAD_BYTES`.
    """

    name: str
    path: Path
    head: bytes
    _open: Callable[[], IO[bytes]]

    @property
    def place(self) -> str:
        """What a place in this part begins with."""
        return f"{self.name}, " if self.name else ""

    @contextmanager
    def text(self) -> Iterator[TextIO]:
        """Open it as text, in the encoding that its head shows; newlines stay as they are."""
        with self._open() as raw, io.TextIOWrapper(raw, _encoding(self.head), "replace", newline="") as file:
            yield file

    def beginning(self) -> str:
        """Return the text of its head, ``""`` if it is no text."""
        text = codecs.getincrementaldecoder(_encoding(self.head))("replace").decode(self.head)
        return "" if "\0" in text else text.lstrip("\ufeff")


@contextmanager
def parts_of(path: Path) -> Iterator[Iterator[Part]]:
    """Open a history and step through its parts, those of a zip by name.

    Raises
    ------
    DataError
        If it cannot be read, or is a zip that unpacks to more than any history does.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield _members(path, archive)
        else:
            with path.open("rb") as file:
                head = file.read(HEAD_BYTES)
            if head.startswith(b"PK\x03\x04"):
                raise DataError(f"{path} begins like a zip and has no directory: it was cut short; fetch it again")
            yield iter((Part("", path, head, lambda: path.open("rb")),))
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is a damaged zip: {error}; fetch it again") from error


def _members(path: Path, archive: zipfile.ZipFile) -> Iterator[Part]:
    members = [info for info in archive.infolist() if not info.is_dir()]
    total = sum(info.file_size for info in members)
    if len(members) > MAX_PARTS or total > MAX_BYTES:
        raise DataError(
            f"{path} holds {len(members)} files of {total >> 20} MB together, at most {MAX_PARTS} files and "
            f"{MAX_BYTES >> 20} MB are read; take the history's own files out of it"
        )
    for info in sorted(members, key=lambda info: info.filename):
        if info.flag_bits & 1:
            raise DataError(f"{path}: {info.filename} is encrypted; unpack the zip and give its files")
        if info.file_size > max(RATIO_FROM, MAX_RATIO * info.compress_size):
            raise DataError(
                f"{path}: {info.filename} unpacks from {info.compress_size} to {info.file_size} bytes, which no "
                "history does; take the history's own files out of the zip"
            )
        if PurePosixPath(info.filename).name.startswith("._"):
            continue
        try:
            with archive.open(info) as file:
                head = file.read(HEAD_BYTES)
        except NotImplementedError as error:
            raise DataError(f"{path}: {info.filename} cannot be unpacked: {error}; zip it anew") from error
        yield Part(info.filename, path, head, partial(archive.open, info))


def _encoding(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if len(head) > 3 and head[1::2].count(0) > len(head) // 4 > head[::2].count(0):
        return "utf-16-le"
    try:
        codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"
