"""Events and batches as the live log has them."""

from __future__ import annotations

from typing import Any

import msgspec
from redis.asyncio import Redis

from service.log.records import EVENTS_STREAM, RECORD_FIELD, EventRecord, SpooledBatch

RECEIVED_MS = 1_700_000_000_000


def event(number: int = 0, **changes: Any) -> EventRecord:
    """A view of item-1 by user-1; changes: fields by name."""
    fields: dict[str, Any] = {
        "event_id": f"{7:032x}-{number}",
        "kind": "view",
        "item_id": "item-1",
        "time": RECEIVED_MS // 1000,
        "received_ms": RECEIVED_MS,
        "user_id": "user-1",
    }
    return EventRecord(**{**fields, **changes})


def spooled(number: int, *events: EventRecord, received_ms: int = RECEIVED_MS) -> SpooledBatch:
    """A batch of its own for each number; one view by user-1 unless events are given."""
    batch_id = f"{number:032x}"
    given = events or (event(),)
    own = [
        msgspec.structs.replace(one, event_id=f"{batch_id}-{place}", received_ms=received_ms)
        for place, one in enumerate(given)
    ]
    return SpooledBatch(batch_id, f"key-{number}", received_ms, len(own), own)


def encoded(*batches: SpooledBatch) -> list[bytes]:
    """As the spool holds them."""
    return [msgspec.msgpack.encode(batch) for batch in batches]


def body(key: str, *events: dict[str, Any]) -> dict[str, Any]:
    """Of POST /events."""
    return {"key": key, "events": list(events)}


def did(kind: str, item_id: str, user_id: str | None = "user-1", **more: Any) -> dict[str, Any]:
    """One event of a body."""
    whose = {} if user_id is None else {"user_id": user_id}
    return {"kind": kind, "item_id": item_id, **whose, **more}


async def streamed(url: str) -> list[EventRecord]:
    """What stands in Redis's stream of events."""
    async with Redis.from_url(url) as client:
        entries: Any = await client.xrange(EVENTS_STREAM)
    return [msgspec.msgpack.decode(fields[RECORD_FIELD], type=EventRecord) for _, fields in entries]
