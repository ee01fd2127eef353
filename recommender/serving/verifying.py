"""Whether what came as a key is one; who guesses is soon not listened to any more."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from anyio import to_thread

from recommender.errors import StoreError
from recommender.serving.keys import Key, Keyring, id_of
from recommender.serving.limits import RateLimits
from recommender.serving.problems import Problem

log = logging.getLogger(__name__)
Found = TypeVar("Found")


class Verifier:
    """Knows keys; safe to use from many tasks.

    Parameters
    ----------
    keyring : Keyring
    limits : RateLimits
    """

    def __init__(self, keyring: Keyring, limits: RateLimits) -> None:
        self._keyring, self.limits = keyring, limits

    async def verified(self, text: str, network: str) -> tuple[Key | None, str]:
        """Look a key up.

        Parameters
        ----------
        text : str
            What came as a key.
        network : str
            Where it came from, which too many wrong ones are held against.

        Returns
        -------
        key : Key or None
        trouble : str
            Why it is none.

        Raises
        ------
        Problem
            If too many wrong ones came from there, or the store is away.
        """
        key_id = id_of(text)
        if key_id is None:
            self._count_failure(network)
            return None, "this is no API key; make one with: firstlisten keys WORKSPACE create"
        key = self._keyring.remembered(key_id)
        if key is None:
            key = await self._asked(network, lambda: self._keyring.read(key_id))
        if key is None or not key.matches(text):
            self._count_failure(network)
            return None, "this API key is not known here"
        if not key.is_valid(time.time_ns() // 1_000_000):
            return None, f"the key {key.name!r} was revoked or has expired; ask for another"
        await self._note_use(key)
        return key, ""

    async def of_user(self, user_id: str, network: str, fits: Callable[[Key], bool]) -> Key | None:
        """Return the first valid key that is bound to a user and fits; None, which counts as a wrong key, if none does.

        Raises
        ------
        Problem
            As `verified`.
        """
        found = await self._asked(network, lambda: self._keyring.of_user(user_id))
        at_ms = time.time_ns() // 1_000_000
        key = next((each for each in found if each.is_valid(at_ms) and fits(each)), None)
        if key is None:
            self._count_failure(network)
        else:
            await self._note_use(key)
        return key

    async def _asked(self, network: str, question: Callable[[], Found]) -> Found:
        """Ask the store, but not for every guess."""
        looked = self.limits.failures.take(network, 0)
        if looked is not None and not looked.allowed:
            raise looked.problem()
        try:
            return await to_thread.run_sync(question)
        except StoreError as error:
            raise Problem(503, "store-unavailable", str(error), {"Retry-After": "5"}) from error

    def _count_failure(self, network: str) -> None:
        counted = self.limits.failures.take(network)
        if counted is not None and not counted.allowed:
            raise counted.problem()

    async def _note_use(self, key: Key) -> None:
        if key.is_used_lately(time.time_ns() // 1_000_000):
            return
        try:
            await to_thread.run_sync(self._keyring.note_use, key)
        except StoreError as error:
            log.warning("when the key %s was used is not kept: %s", key.key_id, error)
