"""Stops without dropping a request: on SIGTERM readiness fails first, and only later does the server stop.

In between, load balancers see 503 at /health/ready while requests are still answered. Then uvicorn closes its sockets
and finishes the requests in flight.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

logger = logging.getLogger(__name__)


class Drain:
    """seconds: the pause between failing readiness and stopping the server."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.is_draining = False

    @contextmanager
    def on_sigterm(self) -> Iterator[None]:
        """Put the pause before the handler that is already installed, uvicorn's."""
        if threading.current_thread() is not threading.main_thread():  # only the main thread gets signals
            yield
            return
        loop = asyncio.get_running_loop()
        stop = signal.getsignal(signal.SIGTERM)

        def begin(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._begin, stop, loop)

        signal.signal(signal.SIGTERM, begin)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, stop)

    def _begin(self, stop: object, loop: asyncio.AbstractEventLoop) -> None:
        if self.is_draining:
            return
        self.is_draining = True
        logger.info("draining: readiness fails from now on", extra={"drain_seconds": self._seconds})
        if callable(stop):
            loop.call_later(self._seconds, stop, signal.SIGTERM, None)
