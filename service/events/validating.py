"""Turns a batch into events of the live log; an event that breaks a rule is rejected by its index.

The result depends only on the batch and the moment, so a reply can be repeated without being stored.
"""

from __future__ import annotations

import asyncio
import re
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from models.vocabulary import MAX_ID_CHARACTERS
from service.contract.schemas import (
    MAX_REQUEST_ID_CHARACTERS,
    PRINTABLE,
    EventBatch,
    RejectedEvent,
    RejectionReason,
    ShopEvent,
)
from service.log.records import EventRecord

EARLIEST_SECONDS = 631_152_000
"""1990-01-01, as in training."""

MAX_AHEAD_SECONDS = 300
MAX_QUOTED_CHARACTERS = 30
SLICE = 500
"""How many events are validated before requests get a turn: this takes about 1 ms."""

_IS_PRINTABLE = re.compile(PRINTABLE)
_ENCODER = msgspec.json.Encoder()  # not msgpack: numbers of any size are encoded before they are validated


class Validated(NamedTuple):
    """The accepted events of a batch, in order, and the rejected ones."""

    events: list[EventRecord]
    rejected: list[RejectedEvent]


class _Fault(NamedTuple):
    reason: RejectionReason
    message: str


def batch_id_of(batch: EventBatch) -> str:
    """Hash key and events together to 32 hexadecimal digits; two batches never collide by chance."""
    return blake2b(_ENCODER.encode(batch), digest_size=16).hexdigest()


async def validate(batch: EventBatch, batch_id: str, received_ms: int) -> Validated:
    """Validate each event as of received_ms, Unix milliseconds. Long batches let other requests run in between."""
    kept: list[EventRecord] = []
    rejected: list[RejectedEvent] = []
    now = received_ms // 1000
    for index, event in enumerate(batch.events):
        if index and not index % SLICE:
            await asyncio.sleep(0)
        fault = _fault(event, now)
        if fault is not None:
            rejected.append(RejectedEvent(index, *fault))
            continue
        moment = now if event.time is None else event.time
        kept.append(
            EventRecord(
                event_id=f"{batch_id}-{index}",
                kind=event.kind,
                item_id=event.item_id,
                time=moment,
                received_ms=received_ms,
                user_id=event.user_id,
                session_id=event.session_id,
                request_id=event.request_id or "",
                value=event.value,
            )
        )
    return Validated(kept, rejected)


def _fault(event: ShopEvent, now: int) -> _Fault | None:
    """What is wrong with an event; None if it is valid."""
    if event.time is not None:
        if event.time < EARLIEST_SECONDS:
            message = f"{_quoted(event.time)} is before 1990; send Unix seconds, or leave it out"
            return _Fault("time_before_1990", message)
        if event.time > now + MAX_AHEAD_SECONDS:
            message = (
                f"{_quoted(event.time)} is {_quoted(event.time - now)} seconds ahead, at most {MAX_AHEAD_SECONDS} "
                "are accepted; send Unix seconds (not milliseconds), or leave it out"
            )
            return _Fault("time_in_future", message)
    if event.user_id is None and event.session_id is None:
        return _Fault("nobody", "neither user_id nor session_id says whose event this is; send one of them")
    return _id_fault(event)


def _id_fault(event: ShopEvent) -> _Fault | None:
    if not _is_id(event.item_id):
        return _Fault("item_id_invalid", _id_message("item_id", event.item_id))
    if event.user_id is not None and not _is_id(event.user_id):
        return _Fault("user_id_invalid", _id_message("user_id", event.user_id))
    if event.session_id is not None and not _is_id(event.session_id):
        return _Fault("session_id_invalid", _id_message("session_id", event.session_id))
    if event.request_id is not None and not _is_id(event.request_id, MAX_REQUEST_ID_CHARACTERS):
        message = _id_message("request_id", event.request_id, MAX_REQUEST_ID_CHARACTERS)
        return _Fault("request_id_invalid", message)
    return None


def _is_id(text: str, max_characters: int = MAX_ID_CHARACTERS) -> bool:
    return len(text) <= max_characters and _IS_PRINTABLE.match(text) is not None


def _quoted(number: int) -> str:
    """Quote a number as it was sent, shortened: JSON sets no bound on numbers."""
    text = str(number)
    return (
        text if len(text) <= MAX_QUOTED_CHARACTERS else f"{text[:MAX_QUOTED_CHARACTERS]}… (a longer number)"
    )


def _id_message(name: str, text: str, max_characters: int = MAX_ID_CHARACTERS) -> str:
    return f"{name} has {len(text):,} characters, or control characters; 1 to {max_characters} printable are taken"
