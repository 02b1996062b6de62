"""Ships events from the spool to the live log, the stream of events in Redis. It never waits for histories.

Batches go in the order in which they were accepted, as soon as Redis is there. When Redis comes back as another one
or with less than it had, events are shipped again. Each batch records in Redis how much of it is in the stream, so
nothing is added twice.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import NamedTuple

import msgspec

from service.contract.errors import RedisUnavailable, SpoolUnavailable
from service.events.clock import ReceivingClock
from service.events.rounds import POLL_SECONDS, Rounds
from service.events.stream import (
    KEY_SECONDS,
    Claim,
    add_commands,
    claims_of,
    look_command,
    read_added,
    read_claims,
    read_look,
)
from service.events.thread import SpoolThread
from service.log.erasures import ErasedPeople
from service.log.records import ERASURES_STREAM, RECORD_FIELD, ErasureRecord, SpooledBatch
from service.log.segments import ShippedNote
from service.log.spool import Spool, Spooled, stream_position
from service.redis.connection import Connection
from service.redis.replies import StreamEntry, entries
from service.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

TRIP_BYTES = 2**19
TRIP_SECONDS = 5.0
"""The timeout of one trip of the shipper, for which nobody waits."""

_ERASURES = msgspec.msgpack.Decoder(ErasureRecord)


class Look(NamedTuple):
    """The state of Redis. incarnation: if it changes, Redis may have lost what it had. exported_to: the last entry
    that every export has; "" if there is none. erasures: those that were added since the last look.
    """

    incarnation: str
    exported_to: str
    erasures: list[ErasureRecord]


class Shipper(Rounds):
    """connection: None runs without Redis, on the disk alone. on_look: called each second with the state of Redis,
    before anything is shipped; None means that Redis is away or that there is none.
    """

    def __init__(
        self,
        spool: Spool,
        thread: SpoolThread,
        clock: ReceivingClock,
        erased: ErasedPeople,
        connection: Connection | None,
        metrics: Metrics,
        *,
        keep_seconds: float,
        max_entries: int,
        on_look: Callable[[Look | None], Awaitable[None]],
    ) -> None:
        super().__init__(failing="events stay in the spool for now", over="events are shipped again")
        self._spool = spool
        self._thread = thread
        self._clock = clock
        self._erased = erased
        self._connection = connection
        self._metrics = metrics
        self._keep_seconds = keep_seconds
        self._max_entries = max_entries
        self._on_look = on_look
        self._incarnation = "" if connection else f"without-redis-{secrets.token_hex(8)}"
        self._last_id = ""
        self._erasures_after = ""
        self._look_due_at = 0.0
        self._n_lost_shown = 0

    async def _round(self) -> bool:
        """Ship everything there is; return whether it succeeded."""
        try:
            await self._look_if_due()
            while await self._ship_some():
                await self._look_if_due()
        except (RedisUnavailable, SpoolUnavailable, OSError) as error:
            self._say(f"{type(error).__name__}: {error}")
            return False
        except Exception:
            logger.exception("events could not be shipped; they stay in the spool and are tried again")
            return False
        finally:
            await self.show()
        self._say("")
        return True

    async def _look_if_due(self) -> None:
        if monotonic() < self._look_due_at:
            return
        self._look_due_at = monotonic() + POLL_SECONDS
        await self._thread.run(self._spool.look_after)
        await self._thread.run(self._spool.adopt)
        try:
            look = await self._look() if self._connection is not None else None
        except RedisUnavailable:
            await self._on_look(None)
            raise
        try:
            await self._on_look(look)
        except (
            RedisUnavailable
        ) as error:  # who is to be forgotten is left out of what is shipped all the same
            logger.warning("erasures wait for Redis: %s", error)
        await self._ship_again()
        exported_to = look.exported_to if look else ""
        shipped_before = self._now() - self._keep_seconds
        await self._thread.run(partial(self._spool.release, exported_to, shipped_before))

    async def _look(self) -> Look:
        assert self._connection is not None
        looked = await self._connection.ask_one(look_command(self._erasures_after), read_look)
        incarnation = f"{self._connection.server.run_id}:{looked.generation}"
        if incarnation != self._incarnation:
            if self._erasures_after:  # read all erasures again, in case Redis lost some
                self._erasures_after = ""
                self._incarnation = incarnation
                return await self._look()
        elif stream_position(looked.last_id) < stream_position(self._last_id):
            incarnation += ":went-back"
        self._incarnation, self._last_id = incarnation, looked.last_id
        exported_to = min(looked.exported, key=stream_position, default="")
        return Look(incarnation, exported_to, await self._all_erasures(looked.erasures))

    async def _all_erasures(self, page: list[StreamEntry]) -> list[ErasureRecord]:
        """Read all erasures: an unknown one would be carried out again. page: the first entries."""
        assert self._connection is not None
        found: list[ErasureRecord] = []
        while page:
            found += filter(None, map(_erasure, page))
            self._erasures_after = page[-1].entry_id.decode()
            command = ("XRANGE", ERASURES_STREAM, f"({self._erasures_after}", "+", "COUNT", 1000)
            page = await self._connection.ask_one(command, entries)
        return found

    async def _ship_some(self) -> bool:
        """Ship the next batches; return False if there are none."""
        found: list[Spooled] = await self._thread.run(partial(self._spool.unshipped, TRIP_BYTES))
        if not found:
            return False
        missing = await self._missing([self._without_erased(one.batch) for one in found])
        before = self._incarnation
        last_id = await self._add(missing)
        if self._incarnation != before and await self._ship_again():
            return True  # from the beginning: earlier batches of the same segment were lost
        note = ShippedNote(self._incarnation, last_id, self._now())
        await self._thread.run(partial(self._spool.mark_shipped, found[-1], note))
        return True

    async def _ship_again(self) -> bool:
        """Mark what was shipped to another Redis for shipping again; return whether there was any."""
        n_again = await self._thread.run(partial(self._spool.unship_all_but, self._incarnation))
        if n_again:
            logger.info("Redis may have lost events; they are shipped again", extra={"n_segments": n_again})
        return n_again > 0

    async def _missing(self, batches: list[SpooledBatch]) -> list[SpooledBatch]:
        """Leave out batches that are in the stream already, shipped by this process or by another."""
        if self._connection is None:
            return batches
        read = partial(read_claims, n_expected=len(batches))
        claims = await self._connection.ask_one(claims_of(batches), read)
        return [batch for batch, claim in zip(batches, claims, strict=True) if not _is_shipped(batch, claim)]

    async def _add(self, batches: Sequence[SpooledBatch]) -> str:
        """Add batches to the stream; return their last entry's id, "" if all of them were there already."""
        if self._connection is None or not batches:
            return ""
        key_seconds = KEY_SECONDS + int(self._keep_seconds)
        commands = [one for batch in batches for one in add_commands(batch, key_seconds, self._max_entries)]
        added = await self._connection.ask(commands, lambda replies: list(map(read_added, replies)))
        self._incarnation = f"{self._connection.server.run_id}:{added[-1].generation}"
        last_ids = [part.last_id for part in added if part.last_id]
        return last_ids[-1] if last_ids else ""

    def _without_erased(self, batch: SpooledBatch) -> SpooledBatch:
        if not any(map(self._erased.covers, batch.events)):
            return batch
        kept = [event for event in batch.events if not self._erased.covers(event)]
        return msgspec.structs.replace(batch, events=kept)

    async def show(self) -> None:
        """Report to Prometheus what waits. Until the first look at Redis, which may have lost events, everything in
        the spool counts as waiting.
        """
        has_looked = self._connection is not None and bool(self._incarnation)
        unshipped = self._spool.n_unshipped_bytes if has_looked else self._spool.n_bytes
        self._metrics.spool_bytes.set(unshipped)
        self._metrics.spool_lost_bytes.inc(self._spool.n_lost_bytes - self._n_lost_shown)
        self._n_lost_shown = self._spool.n_lost_bytes
        oldest_ms = None
        with suppress(OSError):  # the next look handles errors of the disk
            oldest_ms = await self._thread.run(self._spool.oldest_ms) if unshipped else None
        self._metrics.spool_oldest_seconds.set(
            0 if oldest_ms is None else max(0, self._now() - oldest_ms / 1000)
        )

    def _now(self) -> float:
        """Return Unix seconds by the receiving clock, since a jump of the machine's clock must not delete files."""
        return self._clock.received_ms() / 1000


def _is_shipped(batch: SpooledBatch, claim: Claim | None) -> bool:
    return claim is not None and claim.batch_id == batch.batch_id and claim.is_shipped


def _erasure(entry: StreamEntry) -> ErasureRecord | None:
    """Decode an erasure; None for an entry that is none, as another release may write one."""
    try:
        return _ERASURES.decode(entry.field(RECORD_FIELD) or b"")
    except msgspec.MsgspecError:
        return None
