"""Merges from the spool what was not merged before its reply, and what Redis lost, in the background.

Shipping and late merging never wait for each other. Each segment records how much of it histories have, and in which
Redis. A new or an emptied Redis gets everything again that is still on this disk. Meanwhile answers say that they may
be outdated, here and on every other replica, since Redis tells them who is behind.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import NamedTuple

from service.contract.errors import RedisUnavailable, SpoolUnavailable
from service.events.merging import Merger
from service.events.rounds import POLL_SECONDS, Rounds
from service.events.stream import say_behind_command
from service.events.thread import SpoolThread
from service.log.erasures import ErasedPeople
from service.log.segments import Place
from service.log.spool import Spool, Spooled
from service.people.recovery import Recovery
from service.people.redis import RedisPeople
from service.redis.connection import Connection
from service.redis.replies import whole_number

logger = logging.getLogger(__name__)

TRIP_BYTES = 2**19


class _Taught(NamedTuple):
    """A merged batch. world: `RedisPeople.world` before the merge. is_all: False if somebody was set aside."""

    place: Place
    world: str
    is_all: bool


class LateMerger(Rounds):
    """redis: histories, and a connection to say who is behind; None runs without, and each process merges alone."""

    def __init__(
        self,
        spool: Spool,
        thread: SpoolThread,
        merger: Merger,
        erased: ErasedPeople,
        redis: tuple[RedisPeople, Connection] | None,
        recovery: Recovery,
    ) -> None:
        super().__init__(
            failing="what people did is not in their histories everywhere for now",
            over="what people did is in their histories again",
        )
        self._spool = spool
        self._thread = thread
        self._merger = merger
        self._erased = erased
        self._redis = redis
        self._recovery = recovery
        self._own_world = f"without-redis-{secrets.token_hex(8)}"
        self._replica = secrets.token_hex(8)
        self._under_way: set[str] = set()
        self._taught: list[_Taught] = []
        self._is_behind = True
        """Whether Redis may lack events of this disk: true from the start, and again when Redis lost something."""
        self._said_at = 0.0
        self.has_looked = asyncio.Event()
        """Set once the first look has ended, with success or not."""
        recovery.call_at_each_beginning(self.wake)

    @property
    def world(self) -> str:
        """The Redis, or the process, that holds what is merged now."""
        return self._own_world if self._redis is None else self._redis[0].world

    def begins(self, batch_id: str) -> None:
        """Note that a request merges this batch now."""
        self._under_way.add(batch_id)

    def ended(self, batch_id: str, place: Place, world: str, *, is_merged: bool, is_all: bool = True) -> None:
        """Note that the merge ended. world: `world` before it began. is_merged: if False, it is merged here."""
        self._under_way.discard(batch_id)
        if is_merged:
            self._taught.append(_Taught(place, world, is_all))
        else:
            self.wake()

    async def _round(self) -> bool:
        try:
            return await self._merge_all()
        finally:
            self.has_looked.set()

    async def _merge_all(self) -> bool:
        """Merge everything unmerged and record it, so that the next start does not repeat it; return success."""
        try:
            world = await self._look()
            await self._note_what_was_taught()
            self._is_behind |= await self._thread.run(partial(self._spool.unmerge_all_but, world)) > 0
            while found := await self._next():
                await self._say_if_behind()
                self.has_looked.set()
                if not await self._merged(found, world):
                    break  # Redis may have lost what was merged; the next round finds out
            else:
                self._is_behind = False
            await self._merger.try_again()
            await self._settle()
        except (RedisUnavailable, SpoolUnavailable, OSError) as error:
            self._say(f"{type(error).__name__}: {error}")
            return False
        except Exception:
            logger.exception("what people did could not be merged; it stays on disk and is tried again")
            return False
        self._say("")
        return True

    async def _look(self) -> str:
        return self._own_world if self._redis is None else await self._redis[0].look()

    async def _note_what_was_taught(self) -> None:
        world, taught = self.world, self._taught
        self._taught = []
        for is_all in (True, False):
            places = [each.place for each in taught if each.world == world and each.is_all is is_all]
            if places:
                await self._thread.run(partial(self._spool.mark_merged, places, world, are_all=is_all))

    async def _next(self) -> list[Spooled]:
        """Return the next batches; none if there are none or the next one is being merged right now."""
        found = await self._thread.run(partial(self._spool.unmerged, TRIP_BYTES))
        return _before_any(found, self._under_way)

    async def _merged(self, found: Sequence[Spooled], world: str) -> bool:
        """Merge batches; return False if Redis became another one meanwhile."""
        events = [event for each in found for event in each.batch.events if not self._erased.covers(event)]
        is_all = await self._merger.merge(events, stops_early=True)
        if self.world != world:
            return False
        places = [each.place for each in found]
        await self._thread.run(partial(self._spool.mark_merged, places, world, are_all=is_all))
        return True

    async def _say_if_behind(self) -> None:
        """Say that histories in Redis are incomplete, so that no replica trusts them. Raises RedisUnavailable."""
        if self._redis is None or not (self._is_behind or self._recovery.degraded):
            return
        if self._recovery.degraded is None:
            self._recovery.begin()
        if monotonic() - self._said_at >= POLL_SECONDS:
            await self._redis[1].ask_one(say_behind_command(self._replica, is_behind=True), whole_number)
            self._said_at = monotonic()

    async def _settle(self) -> None:
        """End the recovery if no other replica is behind. Raises RedisUnavailable."""
        if self._recovery.degraded is None:
            return
        n_others = 0
        if self._redis is not None:
            command = say_behind_command(self._replica, is_behind=False)
            n_others = await self._redis[1].ask_one(command, whole_number)
        if not n_others:
            self._recovery.end()


def _before_any(found: Sequence[Spooled], batch_ids: set[str]) -> list[Spooled]:
    """Return the batches that come before the first one with one of these ids."""
    kept = []
    for each in found:
        if each.batch.batch_id in batch_ids:
            break
        kept.append(each)
    return kept
