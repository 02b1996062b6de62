"""What a record of the live log holds. msgpack on the wire; fields are only ever added.

Two Redis streams, one entry a record, the record in the entry's one field `r`.
"""

from __future__ import annotations

import msgspec

EVENTS_STREAM = "stillroom:log:events"
EXPOSURES_STREAM = "stillroom:log:exposures"
RECORD_FIELD = b"r"


class EventRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something a person did, accepted once.

    event_id: unique for ever; the batch's idempotency key and the event's place in it. kind: of `EventKind`, or
    "impression", or "removal" (out of the cart). time: Unix seconds, as the shop says. received_ms: when it was
    accepted, Unix milliseconds. request_id: of the answer that it came from, "" if none.
    """

    event_id: str
    kind: str
    item_id: str
    time: int
    received_ms: int
    user_id: str | None = None
    session_id: str | None = None
    request_id: str = ""
    value: float | None = None


class ErasureRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person is to be forgotten: nothing of theirs that was received before is kept or exported."""

    event_id: str
    user_id: str
    received_ms: int


class SampledHistory(msgspec.Struct, frozen=True):
    """What the student read, for a request that is watched; oldest first. times: Unix seconds. kinds: `EventKind`."""

    item_ids: list[str]
    times: list[int]
    kinds: list[int]


class ExposureRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One answer that was sent.

    unit: what an experiment is assigned by, the person, else the session, else "". version, variant: what made the
    answer ("student", "ensemble" or a member's name). propensity: of this arm for this unit, 1.0 outside experiments.
    sent_ms: Unix milliseconds. sampled: for the share of requests that the monitor scores again.
    """

    request_id: str
    sent_ms: int
    item_ids: list[str]
    scores: list[float]
    version: str
    variant: str
    tier: str
    took_us: int
    unit: str = ""
    user_id: str | None = None
    session_id: str | None = None
    experiment: str = ""
    arm: str = ""
    propensity: float = 1.0
    placement: str = ""
    degraded: str = ""
    n_history: int = 0
    n_session: int = 0
    n_unknown_items: int = 0
    sampled: SampledHistory | None = None
