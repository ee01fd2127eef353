"""What services, taggers and people do to names; and a library with names that are and are not in it.

The honest half of the test are tracks that are *not* in the library but look like ones that are: other parts, live
versions, other titles by the same artist, artists that are called nearly the same.
"""

import random
import re
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from rapidfuzz import fuzz, process

from recommender.data.matching import Name
from recommender.data.names import normalise

Corruption = Callable[[str, str, random.Random], tuple[str, str]]
CYRILLIC = dict(zip("abvgdeziklmnoprstuf", "абвгдезиклмнопрстуф", strict=True))


def typo(text: str, rng: random.Random) -> str:
    """Swap, drop, double or replace one letter of a name of five letters or more; never a digit."""
    places = [place for place in range(1, len(text) - 1) if text[place].isalpha() and text[place + 1].isalpha()]
    if len(text) < 5 or not places:
        return text
    at = rng.choice(places)
    kind = rng.randrange(4)
    if kind == 0:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if kind == 1:
        return text[:at] + text[at + 1 :]
    return text[:at] + (text[at] * 2 if kind == 2 else rng.choice("aeiourst")) + text[at + 1 :]


def bare(text: str) -> str:
    return "".join(mark for mark in unicodedata.normalize("NFKD", text) if not unicodedata.combining(mark)) or text


def accented(text: str) -> str:
    return re.sub("[aeou]", lambda found: {"a": "ä", "e": "é", "o": "ö", "u": "ü"}[found.group()], text, count=2)


def last_first(artist: str) -> str:
    words = artist.split()
    return f"{words[-1]}, {' '.join(words[:-1])}" if len(words) > 1 else artist


def the(artist: str) -> str:
    return artist[4:] if artist.lower().startswith("the ") else f"The {artist}"


def cyrillic(text: str) -> str:
    return "".join(CYRILLIC.get(letter, letter) for letter in text.lower())


CORRUPTIONS: dict[str, Corruption] = {
    "none": lambda a, t, rng: (a, t),
    "case": lambda a, t, rng: (a.upper(), t.lower()),
    "guest in the title": lambda a, t, rng: (a, f"{t} (feat. Ann Onym)"),
    "guest in the artist": lambda a, t, rng: (f"{a} ft. Ann Onym & Co", t),
    "second artist": lambda a, t, rng: (f"{a}, Ann Onym", t),
    "remaster": lambda a, t, rng: (a, f"{t} - {rng.randrange(1990, 2024)} Remaster"),
    "remastered": lambda a, t, rng: (a, f"{t} (Remastered {rng.randrange(1990, 2024)})"),
    "edition": lambda a, t, rng: (
        a,
        t + rng.choice([" - Single Version", " (Album Version)", " - Mono", " [Explicit]"]),
    ),
    "video": lambda a, t, rng: (a, f"{t} (Official Video)"),
    "the": lambda a, t, rng: (the(a), t),
    "accents lost": lambda a, t, rng: (bare(a), bare(t)),
    "accents added": lambda a, t, rng: (accented(a), t),
    "Cyrillic": lambda a, t, rng: (a, cyrillic(t)),
    "last name first": lambda a, t, rng: (last_first(a), t),
    "swapped": lambda a, t, rng: (t, a),
    "typo in the artist": lambda a, t, rng: (typo(a, rng), t),
    "typo in the title": lambda a, t, rng: (a, typo(t, rng)),
    "typo in both": lambda a, t, rng: (typo(a, rng), typo(t, rng)),
    "punctuation": lambda a, t, rng: (a.replace(" ", "-"), t.replace("'", "’") + "!"),
    "no spaces": lambda a, t, rng: (a.replace(" ", ""), t),
}

OTHERS: dict[str, Corruption] = {
    "other: live": lambda a, t, rng: (a, f"{t} (Live)"),
    "other: remix": lambda a, t, rng: (a, f"{t} - Somebody Remix"),
    "other: part 2": lambda a, t, rng: (a, f"{t}, Pt. 2"),
    "other: acoustic": lambda a, t, rng: (a, f"{t} (Acoustic)"),
}
"""Of tracks that are in the library, recordings that are not."""


def nearest_others(names: Sequence[str], wanted: set[str]) -> dict[str, str]:
    """Return for every one of `wanted` that is among `names` the other one that is called most nearly the same."""
    every = {}
    keys = {name: normalise(name) for name in names}
    others = list(keys.values())
    asked = [name for name in names if name in wanted]
    for start in range(0, len(asked), 256):
        part = asked[start : start + 256]
        likeness = process.cdist([keys[name] for name in part], others, scorer=fuzz.ratio, dtype=np.float32)
        for name, row in zip(part, likeness, strict=True):
            row[row == 100] = 0
            every[name] = names[int(row.argmax())]
    return every


def library_and_names(
    names: Sequence[str], rng: random.Random, n_artists: int = 2000, per_artist: int = 6, n_asked: int = 12_000
) -> tuple[pd.DataFrame, list[tuple[Name, int | None, str]]]:
    """Return a track table, and names with the row of the track they mean (None: not in the library) and what was done.

    `names` serve as artists and, two at a time, as titles. Of every artist half of the tracks is in the library; one
    artist of three is not in it at all.
    """
    names = [name for name in dict.fromkeys(name.strip() for name in names) if name]
    artists = rng.sample(names, min(n_artists, len(names) // 2))
    rows, absent = [], []
    for number, artist in enumerate(artists):
        titles = {
            rng.choice(names) if rng.random() < 0.6 else f"{rng.choice(names)} {rng.choice(names)}"
            for _ in range(per_artist)
        }
        titles |= {f"{rng.choice(names)}, Pt. {part}" for part in (1, 2) if rng.random() < 0.1}
        for place, title in enumerate(sorted(titles)):
            (absent if number % 3 == 0 or place % 2 else rows).append((artist, title))
    table = pd.DataFrame(rows, columns=["artist", "title"])
    table.insert(0, "item_id", [f"t{row}" for row in range(len(rows))])
    near = nearest_others(names, {name for row in rows for name in row})
    asked: list[tuple[Name, int | None, str]] = []
    for _ in range(n_asked):
        kind = rng.choice(list(CORRUPTIONS))
        if rng.random() < 0.5:
            row = rng.randrange(len(rows))
            asked.append((Name(*CORRUPTIONS[kind](*rows[row], rng)), row, kind))
        elif rng.random() < 0.7:
            asked.append((Name(*CORRUPTIONS[kind](*rng.choice(absent), rng)), None, "absent: " + kind))
        else:
            artist, title = rng.choice(rows)
            other = rng.choice([*OTHERS, "near: artist", "near: title"])
            if other in OTHERS:
                name = Name(*OTHERS[other](artist, title, rng))
            elif other == "near: artist":
                name = Name(near[artist], title)
            else:
                name = Name(artist, near.get(title) or f"{title} Nights")
            asked.append((name, None, other))
    return table, asked
