"""Keeps the experiments in force: follows the declaration, the bundles that it names and the stopped arms.

A refused declaration changes nothing: the one before it stays in force.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from time import time

from models.errors import StillroomError
from models.experiments.assignment import Assigned, Assignment
from models.experiments.declaration import Declaration
from models.experiments.reading import KnownVariants, read_declaration
from service.bundles.holder import BundleHolder
from service.contract.errors import RedisUnavailable
from service.experiments.stopped import READ_STOPS, Stop, read_stops, stopped_arms
from service.redis.connection import Connection
from service.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

Stamp = tuple[int, int, int]


class ExperimentsHolder:
    """Holds the declaration in force and assigns each request to an arm.

    file: the declaration; None means no experiments. known_variants: what a bundle in the store can serve.
    redis: where stopped arms are recorded; None runs without it. Until Redis has been reached once, nobody is in an
    experiment, because an arm that did harm could come back.
    """

    def __init__(
        self,
        file: Path | None,
        bundles: BundleHolder,
        known_variants: KnownVariants,
        redis: Connection | None,
        metrics: Metrics,
        *,
        poll_seconds: float,
    ) -> None:
        self._file = file
        self._bundles = bundles
        self._known_variants = known_variants
        self._redis = redis
        self._metrics = metrics
        self._poll_seconds = poll_seconds
        self._declaration = Declaration()
        self._stops: list[Stop] | None = None if redis else []
        self._assignment: Assignment | None = None
        self._accepted: Stamp | None = None
        self._refused = ""
        self._following = asyncio.Lock()

    @property
    def declaration(self) -> Declaration:
        """The declaration that is in force."""
        return self._declaration

    @property
    def stops(self) -> list[Stop]:
        """Every stop that Redis knew of when it was last read."""
        return self._stops or []

    @property
    def refused(self) -> str:
        """What is wrong with the file as it is now; empty if the file is in force."""
        return self._refused

    def assign(
        self, asked_user_id: str | None, session_id: str | None, placement: str | None = None
    ) -> Assigned | None:
        """Return the arm of a request, or None outside of every experiment. Takes 2 µs with two arms."""
        assignment = self._assignment
        return None if assignment is None else assignment.assign(asked_user_id, session_id, placement, time())

    async def start(self) -> None:
        """Put the declaration in force, so that the first answer already comes from the arm that later ones use."""
        if self._file is not None:
            await self._look()

    async def watch(self) -> None:
        """Follow the file and Redis until cancelled."""
        while self._file is not None:
            await asyncio.sleep(self._poll_seconds)
            await self._look()

    async def _look(self) -> None:
        try:
            await self.follow()
        except Exception:  # whatever else is wrong, the loop must go on to learn which arms are stopped
            logger.exception("the experiments could not be looked at; it is tried again")

    async def follow(self) -> None:
        """Read the file and Redis once."""
        async with self._following:
            await self._follow_stops()
            await self._follow_file()

    def close(self) -> None:
        """Close the connection to Redis."""
        if self._redis is not None:
            self._redis.close()

    async def _follow_file(self) -> None:
        assert self._file is not None
        stamp = await asyncio.to_thread(_stamp, self._file)
        if stamp is not None and stamp == self._accepted:
            return
        try:
            read = await asyncio.to_thread(read_declaration, self._file, self._known_variants)
            await self._bundles.hold(read.versions(), read.versions_with_variants())
        except StillroomError as error:
            self._refuse(str(error))
        else:
            self._accepted, self._refused, self._declaration = stamp, "", read
            self._put_in_force()
            names = [each.name for each in read.experiments]
            logger.info("experiments in force: %s", ", ".join(names) or "none")

    async def _follow_stops(self) -> None:
        if self._redis is None:
            return
        try:
            stops = await self._redis.ask_one(READ_STOPS, read_stops)
        except RedisUnavailable as error:
            logger.warning("stopped arms cannot be read, those known stay stopped: %s", error)
            return
        if stops != self._stops:
            self._stops = stops
            self._put_in_force()

    def _put_in_force(self) -> None:
        if self._stops is not None:
            stopped = stopped_arms(self._stops, self._declaration)
            is_empty = not self._declaration.experiments
            self._assignment = None if is_empty else Assignment(self._declaration, stopped)

    def _refuse(self, message: str) -> None:
        """Log and count a refusal once, though each poll reads the file again: a version may yet enter the store."""
        if message != self._refused:
            self._refused = message
            self._metrics.experiments_file_refused.inc()
            logger.error("the experiments file is refused, what was in force stays: %s", message)


def _stamp(file: Path) -> Stamp | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
