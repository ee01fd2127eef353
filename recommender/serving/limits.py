"""How often somebody may ask: a token bucket for each key, or for each address that brings none.

Buckets are kept in memory by each server process, so with several workers each lets its share of the requests pass: the
limits are of a process. They hold where keys are required; who needs none, on this machine, is not counted.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from recommender.serving.problems import Problem

MAX_BUCKETS = 10_000
"""Of each kind; a further one takes the place of the one that was used longest ago, about 3 MB in all."""


@dataclass(frozen=True)
class Pass:
    """What a bucket says of one request.

    Parameters
    ----------
    allowed : bool
    name : str
        Of the limit.
    per_minute : int
    left : int
        Requests that may follow at once.
    wait_s : float
        Until one more may, in seconds; 0 where one may now.
    """

    allowed: bool
    name: str
    per_minute: int
    left: int
    wait_s: float

    def headers(self) -> dict[str, str]:
        """Return the fields of the IETF's draft ``RateLimit header fields for HTTP``."""
        reset_s = 0 if self.left else _whole(self.wait_s)
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.per_minute};w=60',
            "RateLimit": f'"{self.name}";r={self.left};t={reset_s}',
        }

    def problem(self) -> Problem:
        """Return the answer to a request that comes too soon."""
        wait_s = _whole(self.wait_s)
        detail = f"more than {self.per_minute} requests a minute ({self.name}); come again in {wait_s} s"
        return Problem(429, "too-many-requests", detail, {**self.headers(), "Retry-After": str(wait_s)})


class RateLimit:
    """Token buckets of one size; safe to use from many threads.

    A bucket holds a minute's worth and fills steadily, so that in no minute more than twice the limit passes.

    Parameters
    ----------
    name : str
    per_minute : int
        0 sets no limit.
    clock : function
        Returns seconds.
    """

    def __init__(self, name: str, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._per_minute, self._clock = name, per_minute, clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str, tokens: float = 1.0) -> Pass | None:
        """Take a token out of somebody's bucket, or only look with 0; None where there is no limit."""
        if not self._per_minute:
            return None
        with self._lock:
            now = self._clock()
            left, at = self._buckets.pop(who, (float(self._per_minute), now))
            left = min(left + (now - at) * self._per_minute / 60, float(self._per_minute))
            allowed = left >= 1
            if allowed:
                left -= tokens
            self._buckets[who] = (left, now)
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
        wait_s = max(0.0, (1 - left) * 60 / self._per_minute)
        return Pass(allowed, self._name, self._per_minute, int(left), wait_s)


@dataclass(frozen=True)
class RateLimits:
    """The limits of a server: requests of any kind, uploads, and keys that are none."""

    requests: RateLimit
    uploads: RateLimit
    failures: RateLimit

    @classmethod
    def of(cls, requests_per_minute: int, uploads_per_minute: int, failures_per_minute: int) -> RateLimits:
        """Make limits; 0 sets none."""
        return cls(
            RateLimit("requests", requests_per_minute),
            RateLimit("uploads", uploads_per_minute),
            RateLimit("refused-keys", failures_per_minute),
        )


def network_of(host: str) -> str:
    """Return whose address this is: an IPv4 address is one's own, of IPv6 everybody has 2^64.

    Examples
    --------
    >>> network_of("2001:db8::1:2:3"), network_of("::ffff:192.0.2.7"), network_of("192.0.2.7")
    ('2001:db8::/64', '192.0.2.7', '192.0.2.7')
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _whole(seconds: float) -> int:
    return max(1, int(seconds) + (seconds % 1 > 0))
