"""Keeps popular and new items up to date from accepted events while no bundle is in service.

With Redis, events come from the stream, so every replica gives the same answer and a restart loses nothing that the
stream still holds. Without Redis, they come from this worker's own spool and from what it accepts. Once there is a
bundle, everything held here is dropped and the task ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from time import monotonic, time

import msgspec

from service.answers.no_model.popularity import LivePopularity, Ranked
from service.bundles.holder import BundleHolder
from service.contract.errors import RedisUnavailable
from service.log.erasures import ErasedPeople
from service.log.records import EVENTS_STREAM, GENERATION_KEY, RECORD_FIELD, EventRecord
from service.redis.connection import Connection
from service.redis.replies import StreamEntry, array, entries, value
from service.redis.wire import Command, Reply

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""The pause between two reads, after which an accepted event counts."""

PAGE = 250
"""How many events are counted at a time: this takes 1 ms, and requests get their turn in between."""

_DECODER = msgspec.msgpack.Decoder(EventRecord)


class LiveItems:
    """redis: None runs without it. ranked: the ranking as of the last read; empty once there is a bundle."""

    def __init__(self, bundles: BundleHolder, redis: Connection | None, erased: ErasedPeople) -> None:
        self._bundles = bundles
        self._redis = redis
        self._erased = erased
        self._popularity = LivePopularity()
        self._accepted: deque[EventRecord] = deque()
        self._generation: bytes | None = None
        self._last_id = b""
        self._is_away = False
        self._ranked_at = 0.0
        self.ranked = Ranked()

    def accepted(self, events: Sequence[EventRecord]) -> None:
        """Note events that this worker has just accepted. Without Redis, no others exist."""
        if self._redis is None and not self._bundles.is_ready:
            self._accepted.extend(events)

    def recalled(self, events: Sequence[EventRecord]) -> None:
        """Count the events found in the spool at start, before any are accepted. Runs on the spool's thread."""
        if self._redis is None and not self._bundles.is_ready:
            self._popularity.count(event for event in events if not self._erased.covers(event))

    async def watch(self) -> None:
        """Follow the events until a bundle is in service."""
        while not self._bundles.is_ready:
            is_more_there = False
            try:
                is_more_there = await self._look()
            except Exception:  # a bad event must not end the task: known items are still answered
                logger.exception("events could not be counted; it is tried again")
            await asyncio.sleep(0 if is_more_there else POLL_SECONDS)
        self._popularity, self.ranked = LivePopularity(), Ranked()
        self._accepted.clear()
        self.close()

    def close(self) -> None:
        """Disconnect."""
        if self._redis is not None:
            self._redis.close()

    async def _look(self) -> bool:
        """Count a page of events; rank after the last page or every POLL_SECONDS. Return if more may follow."""
        events = self._take() if self._redis is None else await self._read(self._redis)
        self._popularity.count(event for event in events if not self._erased.covers(event))
        is_more_there = len(events) == PAGE
        if not is_more_there or monotonic() - self._ranked_at >= POLL_SECONDS:
            self.ranked = await asyncio.to_thread(self._popularity.ranked, time())
            self._ranked_at = monotonic()
        return is_more_there

    def _take(self) -> list[EventRecord]:
        return [self._accepted.popleft() for _ in range(min(PAGE, len(self._accepted)))]

    async def _read(self, redis: Connection) -> list[EventRecord]:
        """Read the next page of the stream; it is empty while Redis is away."""
        start = b"(" + self._last_id if self._last_id else b"-"
        page: Command = ("XRANGE", EVENTS_STREAM, start, "+", "COUNT", PAGE)
        try:
            generation, found = await redis.ask([("GET", GENERATION_KEY), page], _read_page)
        except RedisUnavailable as error:
            if not self._is_away:
                logger.warning("popular items stay as they are while Redis is away: %s", error)
            self._is_away = True
            return []
        self._is_away = False
        if generation != self._generation:  # Redis lost its events, and all of them are shipped again
            is_first = self._generation is None
            self._generation = generation
            if not is_first:
                self._last_id = b""
                return []
        if found:
            self._last_id = found[-1].entry_id
        return list(_decoded(found))


def _read_page(replies: list[Reply]) -> tuple[bytes | None, list[StreamEntry]]:
    """Read the stream's generation and entries."""
    generation, page = array(replies, 2)
    return value(generation), entries(page)


def _decoded(found: Sequence[StreamEntry]) -> Iterator[EventRecord]:
    """Decode entries, skipping those that another release wrote; exports and the monitor report them."""
    for entry in found:
        with suppress(msgspec.MsgspecError):
            yield _DECODER.decode(entry.field(RECORD_FIELD) or b"")
