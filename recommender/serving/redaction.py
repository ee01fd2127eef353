"""No secret in a log."""

from __future__ import annotations

import logging
import re
from typing import Any

_KEY_IN_TEXT = re.compile(r"(fl_[0-9a-f]{12})_[A-Za-z0-9_-]{16,}")
_LOGIN_IN_ADDRESS = re.compile(r"([?&](?:apiKey|token|p|t|s)=)[^&\s]+", re.IGNORECASE)


class HideKeys(logging.Filter):
    """Keeps secrets out of a log: of a key that somebody put where it does not belong, the public part is left."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; it is always kept."""
        record.msg = without_keys(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(map(without_keys, record.args))
        return True


def without_keys(value: Any) -> Any:
    """Return a text without the secret part of any key in it, and without what logs a player in by its address.

    What is no text is returned as it is.

    Examples
    --------
    >>> without_keys("GET /?key=fl_0123456789ab_" + "x" * 43)
    'GET /?key=fl_0123456789ab_...'
    >>> without_keys("GET /rest/ping?u=ann&t=26719a1196d2a940705a59634eb18eab&s=c19b2d")
    'GET /rest/ping?u=ann&t=...&s=...'
    """
    if not isinstance(value, str):
        return value
    return _LOGIN_IN_ADDRESS.sub(r"\1...", _KEY_IN_TEXT.sub(r"\1_...", value))
