"""People who ask for recommendations and then act, at a steady rate for as long as a drill lasts."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from itertools import count
from random import Random
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

from loadtest.alerts.replay import Disguise, Question, Step, as_it_was, question
from loadtest.servers import HOST

TIMEOUT_SECONDS = 5.0
N_CONNECTIONS = 8


class Traffic:
    """Steady traffic. steps: they are repeated again and again. rate: questions per second in all.

    disguise: changes each step; any thread may replace it.
    """

    def __init__(self, port: int, steps: Sequence[Step], rate: float) -> None:
        self.disguise: Disguise = as_it_was
        self._port = port
        self._steps = steps
        self._rng = Random(0)
        self._pause_seconds = N_CONNECTIONS / rate
        self._numbers = count()
        self._tally = Lock()
        self.n_answered = 0
        self.n_failed = 0

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Ask until the block ends."""
        ending = Event()
        threads = [Thread(target=self._keep_asking, args=(ending,)) for _ in range(N_CONNECTIONS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ending.set()
            for thread in threads:
                thread.join()

    def _keep_asking(self, ending: Event) -> None:
        connection = HTTPConnection(HOST, self._port, timeout=TIMEOUT_SECONDS)
        due_at = monotonic()
        while not ending.wait(max(0.0, due_at - monotonic())):
            due_at = max(due_at + self._pause_seconds, monotonic())
            number = next(self._numbers)
            step = self.disguise(self._steps[number % len(self._steps)], self._rng)
            is_good = self._visit(connection, question(step, number))
            with self._tally:
                self.n_answered += is_good
                self.n_failed += not is_good
        connection.close()

    def _visit(self, connection: HTTPConnection, visit: Question) -> bool:
        """Ask, send the event, and return whether both succeeded; a broken connection is opened again next time."""
        batch = {"key": secrets.token_hex(8), "events": [visit.event]}
        try:
            return self._post(connection, "/recommend", visit.request) == 200 and (
                self._post(connection, "/events", batch) == 202
            )
        except (OSError, HTTPException):
            connection.close()
            return False

    def _post(self, connection: HTTPConnection, path: str, body: dict[str, Any]) -> int:
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        reply = connection.getresponse()
        reply.read()
        return reply.status
