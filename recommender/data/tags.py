"""What an audio file says of itself: names, date, genre, length, MusicBrainz id; by tags, else by folders."""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import mutagen
import mutagen.aac
import mutagen.apev2
import mutagen.flac
import mutagen.id3
import mutagen.mp3
import mutagen.mp4
import mutagen.oggflac
import mutagen.oggopus
import mutagen.oggvorbis
import mutagen.wave

from recommender.data.names import as_mbid
from recommender.data.tables import iso_date
from recommender.errors import AudioError

COMMON_ENDINGS = (".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".wav")
OTHER_ENDINGS = (
    ".aif", ".aiff", ".ape", ".dsf", ".m4b", ".mka", ".mpc", ".tta", ".wma", ".wv",
    ".aax", ".m4p",  # copy protected as a rule, which is then said of them
    ".mkv", ".mp4", ".webm",  # films: their sound
)  # fmt: skip
"""Kinds whose tags are read as far as mutagen knows them; whether there is sound in them is found out by decoding."""

AUDIO_ENDINGS = (*COMMON_ENDINGS, *OTHER_ENDINGS)

_KEYS = {
    "title": ("title", "TIT2", "\xa9nam", "INAM"),
    "artist": (
        "artist",
        "TPE1",
        "\xa9ART",
        "IART",
        "author",
        "albumartist",
        "album artist",
        "TPE2",
        "aART",
        "WM/AlbumArtist",
    ),
    "album": ("album", "TALB", "\xa9alb", "IPRD", "WM/AlbumTitle"),
    "released": ("date", "TDRC", "\xa9day", "ICRD", "TDRL", "originaldate", "TDOR", "year", "WM/Year"),
    "genre": ("genre", "TCON", "\xa9gen", "gnre", "IGNR", "WM/Genre"),
}
MAX_GENRE = 200
_MBID_KEYS = ("musicbrainz_trackid", "musicbrainz/track id", "----:com.apple.itunes:musicbrainz track id")
"""Where Picard writes a recording's id (its appendix B, "MusicBrainz Recording Id"); in ID3 it is a UFID frame."""
_DISC = re.compile(r"(cd|disc|disk|vinyl)[ ._-]*\d+", re.IGNORECASE)
_NUMBER = re.compile(r"(?:0\d[\s._-]+|\d-\d\d[\s._-]+|\d{1,3}(?:\s+-\s+|\.\s+|\)\s*|_))(?=\S)")
_DAMAGE = (mutagen.MutagenError, ValueError, LookupError, EOFError, struct.error, ArithmeticError, TypeError)


@dataclass(frozen=True)
class Tags:
    """What is known of a file before it is decoded.

    Parameters
    ----------
    title, artist, album : str
        The first value where a tag has several; ``""`` where neither tags nor folders tell.
    duration_s : float
        As the header promises; NaN if it does not say.
    released : str
        ISO date: yyyy, yyyy-mm or yyyy-mm-dd; ``""`` if there is none.
    recording_mbid : str
        The MusicBrainz id of the recording, in lower case; ``""`` if there is none.
    genre : str
        All that the tags name, parted by ``; ``; ``""`` if they name none.
    warning : str
        Why the tags could not be read although the file may hold audio; ``""`` if they could.
    """

    title: str
    artist: str
    album: str
    duration_s: float
    released: str
    recording_mbid: str = ""
    genre: str = ""
    warning: str = ""


def read_tags(file: Path, relative: PurePosixPath) -> Tags:
    """Read a file's tags; what they do not tell is taken from the names of its folders, ``artist/album/title``.

    Parameters
    ----------
    file : Path
    relative : PurePosixPath
        Its path inside the music folder.

    Raises
    ------
    AudioError
        If it holds no bytes, is no audio of a known kind, or has a header and no audio.
    OSError
        If it cannot be read.
    """
    with file.open("rb") as stream:
        head = stream.read(4096)
    if not head:
        raise AudioError("the file is empty (0 bytes)")
    kind = _kind(head)
    tags: dict[str, list[str]] = {}
    info, warning = None, ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found, info, damage = _open(file, kind)
        tags = _values(found)
        warning = f"its tags cannot be read ({damage}); names are taken from its folders" if damage else ""
    except _DAMAGE as error:
        if kind is None:
            raise AudioError(f"holds no {_named(file)} audio; it begins with {head[:8]!r}") from error
        warning = f"its tags cannot be read ({_one_line(error)}); names are taken from its folders"
    if kind is mutagen.wave.WAVE:
        size, chunks = _wave_chunks(file)
        if size == 0:
            raise AudioError("has a WAV header and no audio after it")
        tags = {**chunks, **tags}
    length = float(getattr(info, "length", 0) or 0)
    names = _names_from_folders(relative, _first(tags, "artist"))
    return Tags(
        title=_first(tags, "title") or names["title"],
        artist=_first(tags, "artist") or names["artist"],
        album=_first(tags, "album") or names["album"],
        duration_s=length if 0 < length < 1e7 else float("nan"),
        released=next((date for text in _all(tags, "released") if (date := iso_date(text))), ""),
        recording_mbid=next((mbid for key in _MBID_KEYS for text in tags.get(key, ()) if (mbid := as_mbid(text))), ""),
        genre="; ".join(dict.fromkeys(_all(tags, "genre")))[:MAX_GENRE],
        warning=warning,
    )


def _kind(head: bytes) -> Any:
    """Tell a file's kind by its first bytes, whatever its name says; None if they say nothing."""
    if head.startswith(b"OggS"):
        flac = mutagen.oggflac.OggFLAC if b"\x7fFLAC" in head[:64] else mutagen.oggvorbis.OggVorbis
        return mutagen.oggopus.OggOpus if b"OpusHead" in head[:64] else flac
    if head.startswith(b"fLaC"):
        return mutagen.flac.FLAC
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return mutagen.wave.WAVE
    if head[4:8] == b"ftyp":
        return mutagen.mp4.MP4
    if head[0] == 0xFF and len(head) > 1 and head[1] & 0xF6 == 0xF0:
        return mutagen.aac.AAC
    return None


def _open(file: Path, kind: Any) -> tuple[Any, Any, str]:
    """Return tags, stream information, and what is wrong with the tags."""
    if kind is None and file.suffix.lower() in OTHER_ENDINGS:
        other = mutagen.File(file)
        return (None, None, "") if other is None else (other.tags, other.info, "")
    by_ending = {".aac": mutagen.aac.AAC, ".flac": mutagen.flac.FLAC}.get(file.suffix.lower(), mutagen.mp3.MP3)
    try:
        found = (kind or by_ending)(file)
        return found.tags, found.info, ""
    except _DAMAGE as error:
        if kind is not None or by_ending is not mutagen.mp3.MP3 or isinstance(error, mutagen.mp3.HeaderNotFoundError):
            raise
        with file.open("rb") as stream:  # damaged tags before sound music
            return None, mutagen.mp3.MPEGInfo(stream), _one_line(error)


def _named(file: Path) -> str:
    return {".m4a": "MP4", ".aac": "AAC", ".oga": "Ogg"}.get(file.suffix.lower(), file.suffix[1:].upper())


def _values(tags: Any) -> dict[str, list[str]]:
    """Return the texts of every tag, by its lower-case name."""
    values: dict[str, list[str]] = {}
    for key in set(tags.keys()) if tags else ():
        value = tags[key]
        if key == "UFID:http://musicbrainz.org":
            values[_MBID_KEYS[0]] = [value.data.decode("ascii", "replace")]
            continue
        if key == "TCON":  # numbers of genres become their names
            values["tcon"] = list(value.genres)
            continue
        texts = list(value) if isinstance(value, mutagen.apev2.APETextValue) else getattr(value, "text", value)
        if key.lower() == _MBID_KEYS[-1]:
            texts = [bytes(text).decode("ascii", "replace") for text in value]
        if isinstance(texts, list | tuple):
            values.setdefault(key.lower(), []).extend(str(text) for text in texts if not isinstance(text, bytes))
    return values


def _all(tags: dict[str, list[str]], name: str) -> Iterator[str]:
    for key in _KEYS[name]:
        for text in tags.get(key.lower(), ()):
            if clean := _clean(text):
                yield clean


def _first(tags: dict[str, list[str]], name: str) -> str:
    return next(_all(tags, name), "")


def _clean(text: str) -> str:
    """Return the first of NUL-separated values without control characters, surrogates and doubled space."""
    first = next((part for part in text.split("\0") if part.strip()), "")
    printable = "".join(mark if mark.isprintable() else " " for mark in first)
    return re.sub(r"\s+", " ", printable).strip()


def _names_from_folders(relative: PurePosixPath, artist: str) -> dict[str, str]:
    folders = [_clean(part) for part in relative.parts[:-1]]
    folders = [part for part in folders if not _DISC.fullmatch(part)] or folders
    names = {
        "title": _clean(relative.stem),
        "artist": folders[-2] if len(folders) >= 2 else (folders[0] if folders else ""),
        "album": folders[-1] if len(folders) >= 2 else "",
    }
    if rest := _NUMBER.sub("", names["title"], count=1) if _NUMBER.match(names["title"]) else "":
        names["title"] = rest
    first, mark, rest = names["title"].partition(" - ")
    known = {name.casefold() for name in (artist, names["artist"]) if name}
    if mark and rest.strip() and (first.strip().casefold() in known or (not artist and len(folders) < 2)):
        names["artist"], names["title"] = first.strip(), rest.strip()
    return names


def _wave_chunks(file: Path) -> tuple[int | None, dict[str, list[str]]]:
    """Return the bytes of audio in a WAV file (None: not told) and the texts of its INFO list."""
    audio: int | None = None
    texts: dict[str, list[str]] = {}
    size = file.stat().st_size
    with file.open("rb") as stream:
        stream.seek(12)
        while len(header := stream.read(8)) == 8:
            name, length = header[:4], int.from_bytes(header[4:], "little")
            start = stream.tell()
            if name == b"data":
                audio = min(length or size, size - start)  # a recorder that was cut off leaves a length of 0
            elif name == b"LIST" and stream.read(4) == b"INFO":
                texts.update(_info_texts(stream.read(min(length, 1 << 20) - 4)))
            stream.seek(start + length + length % 2)
    return audio, texts


def _info_texts(body: bytes) -> Iterator[tuple[str, list[str]]]:
    at = 0
    while at + 8 <= len(body):
        length = int.from_bytes(body[at + 4 : at + 8], "little")
        value = body[at + 8 : at + 8 + length].split(b"\0")[0]
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            text = value.decode("latin-1")
        yield body[at : at + 4].decode("latin-1").lower(), [text]
        at += 8 + length + length % 2


def _one_line(error: BaseException) -> str:
    return re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
