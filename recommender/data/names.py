"""Spellings of artists and titles: what is the same name, what is nearly the same, and what must never be.

Three steps, each looser. `normalise` forgets case, accents, punctuation, "the" and guests. `title_of` and `artist_keys`
forget the script, editions ("2011 Remaster") and all but the first of several artists. What a title may not lose are
its `marks`: its numbers and what makes it another recording ("live", "remix"). Titles of other marks are two tracks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from anyascii import anyascii

_MBID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_GUEST = r"(?:feat|ft|featuring)\b\.?"
_FEATURING = re.compile(rf"\s*(?:\({_GUEST}[^)]*\)|\[{_GUEST}[^\]]*\]|(?<=\s){_GUEST}.*?(?=\s[-–—]\s|[(\[]|$))", re.I)
_SIDE = re.compile(r"\s*(?:\(([^()]*)\)|\[([^\[\]]*)\])|\s+[-–—]\s+([^()\[\]]*)$")
_EDITION = re.compile(
    r"(?:(?:digital(?:ly)?|new|the|\d{4}|\d{1,2}(?:st|nd|rd|th)) )*"
    r"(?:re ?master(?:ed|izado|ise)?\b.*|anniversary (?:edition|version))"
    r"|(?:album|single|lp|original|main|standard|stereo|mono|clean|explicit|deluxe|expanded|radio|bonus)"
    r"(?: (?:version|edit|edition|mix|track|mono|stereo|mixdown))*(?: \d{4})?"
    r"|official(?: (?:music|lyric|hd|4k))*(?: (?:video|audio|visuali[sz]er))?"
    r"|bonus track|hd|hq|4k|lyrics?|lyric video|audio|video|visuali[sz]er|with lyrics"
    r"|(?:taken )?from (?:the )?(?:original |official )*(?:motion picture|soundtrack|film|movie|series|game|album)\b.*"
    r"|original (?:motion picture |game )?soundtrack"
)
_OTHER_RECORDING = frozenset((
    "live", "remix", "mix", "rmx", "dub", "demo", "acoustic", "unplugged", "instrumental", "karaoke", "cover",
    "session", "sessions", "rehearsal", "take", "alternate", "outtake", "reprise", "orchestral", "extended", "edit",
    "vip",
    "bootleg", "mashup", "acapella", "piano", "nightcore", "slowed", "sped", "reverb", "8d",
))  # fmt: skip
_ROMAN = {
    "ii": "2", "iii": "3", "iv": "4", "vi": "6", "vii": "7", "viii": "8", "ix": "9", "xi": "11", "xii": "12",
    "xiii": "13", "xiv": "14", "xv": "15",
}  # fmt: skip
_SINGLE_ROMAN = {"i": "1", "v": "5", "x": "10"}
_JOIN = re.compile(r"\s*[,;/+•\u241f&]\s*|\s+(?:x|vs\.?|versus|with|and|und|et|y)\s+", re.IGNORECASE)


@dataclass(frozen=True)
class Title:
    """A title reduced for comparison.

    Parameters
    ----------
    core : str
        Without edition, in Latin letters, normalised.
    marks : tuple of str
        Numbers, and words that name another recording of the same song, sorted.
    """

    core: str
    marks: tuple[str, ...]


def as_mbid(text: str) -> str:
    """Return a MusicBrainz id in lower case, ``""`` if `text` is none."""
    return text.strip().lower() if _MBID.fullmatch(text.strip()) else ""


@lru_cache(maxsize=1 << 16)
def normalise(text: str) -> str:
    """Reduce spellings of one name to one: no case, accents, punctuation, leading "the" or guests.

    Examples
    --------
    >>> normalise("The Beyoncé (feat. Jay-Z)"), normalise("AC/DC"), normalise("!!!"), normalise("坂本龍一")
    ('beyonce', 'ac dc', '!!!', '坂本龍一')
    """
    plain = _FEATURING.sub("", text.strip()).replace("&", " and ").casefold()
    # Accents only: in other scripts a combining mark makes another letter.
    bare = "".join(mark for mark in unicodedata.normalize("NFKD", plain) if not "\u0300" <= mark <= "\u036f")
    words = re.sub(r"\W+|_", " ", re.sub(r"['’`]", "", unicodedata.normalize("NFC", bare))).split()
    if len(words) > 1 and words[0] == "the" and words[1] != "the":
        words = words[1:]
    return " ".join(words) or text.strip().casefold()


@lru_cache(maxsize=1 << 16)
def latin(text: str) -> str:
    """Normalise, in Latin letters; a name that has none stays as it is.

    Examples
    --------
    >>> latin("Кино"), latin("Mötley Crüe"), latin("Sigur Rós"), latin("Ørsted"), latin("???")
    ('kino', 'motley crue', 'sigur ros', 'orsted', '???')
    """
    name = normalise(text)
    return name if name.isascii() else normalise(anyascii(unicodedata.normalize("NFC", text))) or name


@lru_cache(maxsize=1 << 16)
def title_of(text: str) -> Title:
    """Reduce a title for comparison.

    Examples
    --------
    >>> title_of("Heroes - 2017 Remaster").core, title_of("Heroes (Live) [Mono]").core
    ('heroes', 'heroes live')
    >>> title_of("Suite, Pt. II (Remix)").marks
    ('2', 'remix')
    """
    kept = _SIDE.sub(_without_edition, _FEATURING.sub("", text.strip()))
    core = latin(kept) if kept.strip() else latin(text)
    return Title(core, tuple(sorted(_marks(core.split()))))


def _without_edition(found: re.Match[str]) -> str:
    """Return nothing for "(2011 Remaster)", and what was found for anything else."""
    side = normalise(next(group for group in found.groups() if group is not None))
    other = _OTHER_RECORDING.intersection(side.split()) - {"mix", "edit"}
    return " " if _EDITION.fullmatch(side) and not other else found.group()


def _marks(words: list[str]) -> Iterator[str]:
    for place, word in enumerate(words):
        if word.isdecimal():
            yield word.lstrip("0") or "0"
        elif word in _ROMAN:
            yield _ROMAN[word]
        elif word in _SINGLE_ROMAN and place and (place == len(words) - 1 or words[place - 1] in ("pt", "part", "no")):
            yield _SINGLE_ROMAN[word]
        elif word in _OTHER_RECORDING:
            yield word


def artist_keys(text: str) -> tuple[str, ...]:
    """Return how an artist may be called, in Latin letters: the whole credit, and the first name of it.

    Examples
    --------
    >>> artist_keys("Simon & Garfunkel"), artist_keys("Bowie, David"), artist_keys("Björk")
    (('simon and garfunkel', 'simon'), ('bowie david', 'bowie'), ('bjork',))
    """
    whole, first = latin(text), latin(_JOIN.split(text.strip(), maxsplit=1)[0])
    return (whole, first) if first and first != whole else (whole,)
