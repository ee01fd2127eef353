"""Times as services write them, to Unix seconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import Any

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WORDS = re.compile(r"(\d{1,2}) ([A-Za-z]{3})[a-z]*\.?,? (\d{4}),? +(\d{1,2}):(\d{2})(?::(\d{2}))?")
_EARLIEST, _LATEST = 86_400, 7_258_118_400  # 1970-01-02, 2200-01-01
_LOCAL_FORMS = ("%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M")


def seconds_of(value: Any, zone: tzinfo = UTC) -> int:
    """Return a time in Unix seconds.

    Parameters
    ----------
    value : number or text
        Unix time in s, ms or µs, told apart by its size; ISO 8601; ``14 Nov 2023, 22:13``; ``14.11.2023 22:13``.
    zone : tzinfo
        Where the clock stood that wrote a text without a zone.

    Raises
    ------
    ValueError
        If it is no time of a play between 1970 and 2199. What 03/04/2023 means is not guessed.

    Examples
    --------
    >>> seconds_of("14 Nov 2023, 22:13"), seconds_of("1700000000000"), seconds_of("2023-11-14T23:13:00+01:00")
    (1699999980, 1700000000, 1699999980)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{str(value)[:40]!r} is no time")
    text = value.strip() if isinstance(value, str) else ""
    if not isinstance(value, str) or re.fullmatch(r"\d{5,17}(?:\.\d*)?", text):
        number = float(value)
        size = abs(number)
        seconds = number / (1 if size < 1e11 else 1e3 if size < 1e14 else 1e6)
    else:
        moment = _moment(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
    if not _EARLIEST <= seconds < _LATEST:
        raise ValueError(f"{str(value)[:40]!r} is no time of a play")
    return int(seconds)


def wall_clock(seconds: int, zone: tzinfo) -> int:
    """Return the Unix time of a device that counts its local time as if it were UTC."""
    return int(datetime.fromtimestamp(seconds, UTC).replace(tzinfo=zone).timestamp())


def _moment(text: str) -> datetime:
    if found := _WORDS.fullmatch(text):
        day, word, year, hour, minute, second = found.groups()
        if word.lower() in _MONTHS:
            month = _MONTHS.index(word.lower()) + 1
            return datetime(int(year), month, int(day), int(hour), int(minute), int(second or 0))
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in _LOCAL_FORMS:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    raise ValueError(f"time {text[:40]!r} is not like '06 Jan 2024, 13:05', 2024-01-06T13:05:00Z or Unix seconds")
