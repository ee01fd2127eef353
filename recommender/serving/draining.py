"""The end of a server: it tells that it goes before it goes, so that nobody is sent here any more."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType


class Draining:
    """What SIGTERM begins: for a while everything is answered, but ``/readyz`` says 503 and connections are not kept.

    Parameters
    ----------
    drain_s : float
        How long, in seconds. What is being answered then is answered to its end (`Settings.stop_s`).
    begin : function
        Called when it begins.
    """

    def __init__(self, drain_s: float, begin: Callable[[], None] = lambda: None) -> None:
        self._drain_s, self._begin = drain_s, begin
        self.began = False

    def heed(self) -> None:
        """Drain at SIGTERM from now on; what the process would have done at it comes after.

        Called in the event loop of the main thread. In another thread no signal can be heeded, and none is.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        loop, stop = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
        if not callable(stop):
            return

        def drain(number: int, frame: FrameType | None) -> None:
            if not self.began:
                self.began = True
                loop.call_soon_threadsafe(self._begin)
                loop.call_soon_threadsafe(loop.call_later, self._drain_s, stop, number, frame)

        signal.signal(signal.SIGTERM, drain)
