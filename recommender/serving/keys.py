"""API keys: who may ask this server for what. A key is shown once; the store keeps its hash.

A key reads ``fl_<id>_<secret>``. The secret is 256 random bits, so nobody finds it by trying, however fast the hash:
one SHA-256 keeps it as safe as a slow password hash would, and costs a request a microsecond.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import BigInteger, String, select, update
from sqlalchemy.orm import Mapped, mapped_column

from recommender.errors import ConfigError, StoreError
from recommender.serving.store import Store
from recommender.serving.tables import Base

SCOPES = ("read", "listen", "upload", "admin")
KEY_TEXT = re.compile(r"fl_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
DAY_MS = 86_400_000
MAX_DAYS = 36_500
USED_EVERY_MS = 3_600_000
"""How coarsely it is kept when a key was last used: once an hour, so that reading writes next to nothing."""

TTL_S = 2.0
"""How long a worker goes on believing what it read of a key: a revocation is everywhere after so many seconds."""


class KeyRow(Base):
    """One API key."""

    __tablename__ = "api_keys"
    key_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), info={"secret": True})
    name: Mapped[str] = mapped_column(String(100))
    scopes: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str | None] = mapped_column(String(256))
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    expires_at_ms: Mapped[int | None] = mapped_column(BigInteger)
    used_at_ms: Mapped[int | None] = mapped_column(BigInteger)
    revoked_at_ms: Mapped[int | None] = mapped_column(BigInteger)


@dataclass(frozen=True)
class Key:
    """What is known of a key.

    Parameters
    ----------
    key_id : str
        The public part of its text.
    name : str
    scopes : frozenset of {"read", "listen", "upload", "admin"}
    user_id : str or None
        The one user that it may speak of; None where it is not bound to one.
    digest : str
        SHA-256 of its text, hexadecimal.
    created_at_ms : int
        UTC, milliseconds since 1970, as the others.
    expires_at_ms, used_at_ms, revoked_at_ms : int or None
        `used_at_ms` is right to an hour.
    """

    key_id: str
    name: str
    scopes: frozenset[str]
    user_id: str | None
    digest: str = field(repr=False)
    created_at_ms: int
    expires_at_ms: int | None = None
    used_at_ms: int | None = None
    revoked_at_ms: int | None = None

    def is_valid(self, at_ms: int) -> bool:
        """Tell whether it is neither revoked nor expired."""
        return self.revoked_at_ms is None and (self.expires_at_ms is None or at_ms < self.expires_at_ms)

    def is_used_lately(self, at_ms: int) -> bool:
        """Tell whether its last use is kept as well as it has to be."""
        return self.used_at_ms is not None and at_ms - self.used_at_ms < USED_EVERY_MS

    def matches(self, text: str) -> bool:
        """Tell whether `text` is this key, in a time that does not depend on where they differ."""
        return hmac.compare_digest(self.digest, _digest(text))


class Keyring:
    """The keys of a store; safe to use from many threads."""

    def __init__(self, store: Store, ttl_s: float = TTL_S) -> None:
        self._store, self._ttl_s = store, ttl_s
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[Key, float]] = {}

    def create(
        self, name: str, scopes: Sequence[str], user_id: str | None = None, expires_days: float | None = None
    ) -> tuple[Key, str]:
        """Make a key.

        Parameters
        ----------
        name : str
            What it is for; need not be unique.
        scopes : sequence of {"read", "listen", "upload", "admin"}
        user_id : str, optional
            The one user that it may speak of.
        expires_days : float > 0, optional

        Returns
        -------
        key : Key
        text : str
            What to send with requests; it cannot be had again.

        Raises
        ------
        ConfigError
            If there is no such scope, or the choices contradict each other.
        StoreError
            If the database does not take it.
        """
        _check(name, scopes, user_id, expires_days)
        now_ms = _now_ms()
        key_id = secrets.token_hex(6)
        text = f"fl_{key_id}_{secrets.token_urlsafe(32)}"
        expires_at_ms = None if expires_days is None else now_ms + int(expires_days * DAY_MS)
        key = Key(key_id, name, frozenset(scopes), user_id, _digest(text), now_ms, expires_at_ms)
        row = KeyRow(
            key_id=key_id,
            digest=key.digest,
            name=name,
            scopes=" ".join(scope for scope in SCOPES if scope in scopes),
            user_id=user_id,
            created_at_ms=now_ms,
            expires_at_ms=expires_at_ms,
        )
        with self._store.session("written") as session:
            session.add(row)
        return key, text

    def all(self) -> list[Key]:
        """Return every key, revoked and expired ones too, oldest first."""
        with self._store.session("read") as session:
            return [_to_key(row) for row in session.scalars(select(KeyRow).order_by(KeyRow.created_at_ms))]

    def any_valid(self) -> bool:
        """Tell whether somebody could come in."""
        now_ms = _now_ms()
        return any(key.is_valid(now_ms) for key in self.all())

    def revoke(self, key_id: str) -> bool:
        """Make a key worthless; False if there is none of this id that still is worth something."""
        unrevoked = update(KeyRow).where(KeyRow.key_id == key_id, KeyRow.revoked_at_ms.is_(None))
        with self._store.session("written") as session:
            changed: Any = session.execute(unrevoked.values(revoked_at_ms=_now_ms()))
            return bool(changed.rowcount)

    def remembered(self, key_id: str) -> Key | None:
        """Return what was read of a key within the last seconds, None where it has to be read."""
        with self._lock:
            key, at = self._seen.get(key_id, (None, 0.0))
        return key if time.monotonic() - at < self._ttl_s else None

    def read(self, key_id: str) -> Key | None:
        """Return a key, None if there is none. One that was read before stays known while the store is away.

        Raises
        ------
        StoreError
            If the store is away and this key was not read before.
        """
        known = None
        with self._lock:
            if key_id in self._seen:
                known = self._seen[key_id][0]
                self._seen[key_id] = (known, time.monotonic())  # others go on with it while this one asks
        try:
            key = self._fetch(key_id)
        except StoreError:
            if known is None:
                raise
            return known
        with self._lock:
            if key is None:
                self._seen.pop(key_id, None)
            else:
                self._seen[key_id] = (key, time.monotonic())
        return key

    def of_user(self, user_id: str) -> list[Key]:
        """Return the keys that are bound to a user, newest first.

        Raises
        ------
        StoreError
            If the store is away.
        """
        wanted = select(KeyRow).where(KeyRow.user_id == user_id).order_by(KeyRow.created_at_ms.desc())
        with self._store.session("read") as session:
            return [_to_key(row) for row in session.scalars(wanted)]

    def note_use(self, key: Key) -> None:
        """Keep when a key was last used, to the hour.

        Raises
        ------
        StoreError
            If the database does not take it.
        """
        now_ms = _now_ms()
        used = update(KeyRow).where(KeyRow.key_id == key.key_id).values(used_at_ms=now_ms)
        with self._lock:
            self._seen[key.key_id] = (replace(key, used_at_ms=now_ms), time.monotonic())
        with self._store.session("written") as session:
            session.execute(used)

    def _fetch(self, key_id: str) -> Key | None:
        with self._store.session("read") as session:
            row = session.get(KeyRow, key_id)
            return None if row is None else _to_key(row)


def id_of(text: str) -> str | None:
    """Return the public part of a key's text, None where that is no key.

    Examples
    --------
    >>> id_of("fl_0123456789ab_" + "x" * 43)
    '0123456789ab'
    """
    found = KEY_TEXT.fullmatch(text)
    return None if found is None else found[1]


def player_password(key: Key, secret: str) -> str:
    """Return the password by which players that know no API keys log in for the user of a key.

    Such a player sends ``md5(password + salt)``, so the server has to know the password itself; a hash would not do. It
    is kept nowhere: it follows from the key's hash and from a secret that lies outside of the database, so that neither
    of the two gives it away alone. It is good for what the key is good for, through Subsonic's routes only, and ends
    with the key.

    Parameters
    ----------
    key : Key
    secret : str
        Of the workspace.
    """
    mac = hmac.new(secret.encode(), f"player {key.key_id} {key.digest}".encode(), hashlib.sha256).digest()
    return base64.b32encode(mac[:15]).decode().lower()


def _check(name: str, scopes: Sequence[str], user_id: str | None, expires_days: float | None) -> None:
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        given = f"{unknown[0]!r} is no scope" if unknown else "a key without a scope may do nothing"
        raise ConfigError(f"{given}; give one or more of {', '.join(SCOPES)}")
    if not NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is no name for a key; expected 1 to 100 characters that say what it is for")
    if user_id is not None and "admin" in scopes:
        raise ConfigError("a key of one user cannot be an administrator's; leave out the user or the scope admin")
    if user_id is not None and not 1 <= len(user_id) <= 256:
        raise ConfigError(f"a user id has 1 to 256 characters, {user_id[:50]!r} has {len(user_id)}")
    if expires_days is not None and not 0 < expires_days <= MAX_DAYS:
        raise ConfigError(f"a key cannot expire in {expires_days:g} days; expected more than 0 and at most {MAX_DAYS}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _to_key(row: KeyRow) -> Key:
    return Key(
        row.key_id,
        row.name,
        frozenset(row.scopes.split()),
        row.user_id,
        row.digest,
        row.created_at_ms,
        row.expires_at_ms,
        row.used_at_ms,
        row.revoked_at_ms,
    )
