"""The records of a JSON document, one at a time, whatever is wrapped around them, in memory that does not grow.

A record is an object inside an array. The frame around the arrays is walked; a record is decoded by `json` as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TextIO

MAX_RECORD = 16 << 20
"""Letters of the largest record."""
_MAX_DEPTH = 12
_CHUNK = 1 << 18
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def records(file: TextIO) -> Iterator[tuple[str, Any]]:
    """Yield every record and every scalar outside of records, with its path.

    Yields
    ------
    path : str
        Keys that lead there, joined by dots; ``[]`` for an array: ``payload.listens[]``.
    value : dict, str, number, bool or None

    Raises
    ------
    ValueError
        If the document is not JSON, ends early, is nested too deeply, or one record is larger than `MAX_RECORD`. What
        was yielded before stands in the document.

    Examples
    --------
    >>> import io
    >>> list(records(io.StringIO('{"user": "ann", "plays": [{"a": 1}, {"a": 2}]}')))
    [('user', 'ann'), ('plays[]', {'a': 1}), ('plays[]', {'a': 2})]
    """
    text = _Text(file)
    yield from _walk(text, "", 0)
    if rest := text.peek():
        raise ValueError(f"{rest!r} follows after its end")


def _walk(text: _Text, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > _MAX_DEPTH:
        raise ValueError(f"is nested more than {_MAX_DEPTH} deep")
    mark = text.peek()
    if mark == "{":
        for key in _items(text, "}"):
            name = text.value()
            if not isinstance(name, str) or text.take() != ":":
                raise ValueError(f"a key is missing after entry {key}")
            yield from _walk(text, f"{path}.{name[:80]}" if path else name[:80], depth + 1)
    elif mark == "[":
        for _ in _items(text, "]"):
            if text.peek() == "[":
                yield from _walk(text, f"{path}[]", depth + 1)
            else:
                yield f"{path}[]", text.value()
    else:
        yield path, text.value()


def _items(text: _Text, end: str) -> Iterator[int]:
    """Step through an array or object; the caller takes each item."""
    text.take()
    if text.peek() == end:
        text.take()
        return
    count = 0
    while True:
        yield count
        count += 1
        mark = text.take()
        if mark == end:
            return
        if mark != ",":
            raise ValueError(
                "ends early" if not mark else f"{mark!r} follows after entry {count}, where a comma belongs"
            )


class _Text:
    """A window on a text file."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """Return the next mark that is no space, ``""`` at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._read(_CHUNK)

    def take(self) -> str:
        mark = self.peek()
        self._at += len(mark)
        return mark

    def value(self) -> Any:
        """Decode one value; one that the window cuts is read on."""
        self.peek()
        size = _CHUNK
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError:
                raise ValueError("is nested too deeply") from None
            except ValueError as error:
                if self._ended:
                    message = getattr(error, "msg", str(error))
                    cut = message.startswith("Unterminated") or getattr(error, "pos", 0) >= len(self._text) - 1
                    raise ValueError("ends early" if cut else f"is not valid JSON: {message}") from None
            else:
                if end < len(self._text) or self._ended:
                    self._at = end
                    return value
            if len(self._text) - self._at > MAX_RECORD:
                raise ValueError(f"is not valid JSON, or has an entry of more than {MAX_RECORD >> 20} MB")
            self._read(size)
            size *= 2

    def _read(self, size: int) -> None:
        more = self._file.read(size)
        self._ended = not more
        self._text = self._text[self._at :] + more
        self._at = 0
