"""What a record of the live log holds. msgpack on the wire; fields are only ever added.

Three Redis streams, one entry a record, the record in the entry's one field `r`. The spool on a service's own disk
holds batches of the same events.

Entries of people who were to be forgotten are deleted from the streams; their ids are kept in a list, so that a
reader can tell them from entries that were trimmed before it came. What was ever added to the events is counted.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

EVENTS_STREAM = "stillroom:log:events"
EXPOSURES_STREAM = "stillroom:log:exposures"
ERASURES_STREAM = "stillroom:log:erasures"
RECORD_FIELD = b"r"

ADDED_KEY = "stillroom:log:events:added"
"""How many entries the stream of events ever got. Redis counts this itself from version 7 on."""

GENERATION_KEY = "stillroom:log:generation"
"""A random word that is made with the stream: another one means that Redis lost what it had."""

EXPORTED_KEY = "stillroom:log:exported"
"""A hash: for each export folder the last entry of the events that is safely in it."""

BATCH_PREFIX = "stillroom:log:batch:"
"""By idempotency key, for a day: which batch it was and how much of it is in the stream."""


def session_key(session_id: str) -> str:
    """Under which a visit of nobody in particular is held; no shop's id has a control character in it."""
    return f"\0{session_id}"


def person_key(user_id: str | None, session_id: str | None) -> str:
    """Whose something is: the person's id, else the visit's key, else ""."""
    if user_id is not None:
        return user_id
    return "" if session_id is None else session_key(session_id)


def deleted_key(stream: str) -> str:
    """The list of entries that were deleted from a stream with a person."""
    return f"{stream}:deleted"


class EventRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something a person did, accepted once.

    event_id: unique for ever; the batch's id and the event's place in it. kind: of `EventKind`, or
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

    @property
    def person_key(self) -> str:
        """Whose it is."""
        return person_key(self.user_id, self.session_id)


class SpooledBatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """A batch as it was accepted, which is how the spool holds it.

    batch_id: 32 hexadecimal digits of the idempotency key and the body together. n_sent: events of the batch,
    rejected ones included. events: those that were accepted, in order, unless their person was to be forgotten since.
    """

    batch_id: str
    key: str
    received_ms: int
    n_sent: int
    events: list[EventRecord]


class ErasureRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person is to be forgotten: nothing of theirs that was received before is kept or exported.

    user_id: the person's, or of a visit of nobody in particular its `session_key`. received_ms: Unix milliseconds; of
    several records with the same event_id the earliest counts. said_ms: what was said first by a clock that was
    wrong, where this record corrects it; 0 where it corrects nothing.
    """

    event_id: str
    user_id: str
    received_ms: int
    said_ms: int = 0


class SampledHistory(msgspec.Struct, frozen=True):
    """What the student read, for a request that is watched; oldest first. times: Unix seconds. kinds: `EventKind`.

    is_narrowed: a filter, exclusions or diversity shaped the answer, so it is not the student's own first choice.
    """

    item_ids: list[str]
    times: list[int]
    kinds: list[int]
    is_narrowed: bool = False


class ExposureRecord(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """One answer that was sent: the fields in order, without their names, since every answer writes one.

    scores: of each item, as `pack_scores` has them.
    unit: what an experiment is assigned by, the person, else the session, else "". version, variant: what made the
    answer ("student", "ensemble" or a member's name). propensity: of this arm for this unit, 1.0 outside experiments.
    sent_ms: Unix milliseconds. sampled: for the share of requests that the monitor scores again.
    """

    request_id: str
    sent_ms: int
    item_ids: list[str]
    scores: bytes
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

    @property
    def person_key(self) -> str:
        """Whose it is; "" for nobody's."""
        return person_key(self.user_id, self.session_id)

    @property
    def asked_ms(self) -> int:
        """When the request came; Unix milliseconds."""
        return self.sent_ms - self.took_us // 1000

    def unpacked_scores(self) -> list[float]:
        """Of each item, best first."""
        return np.frombuffer(self.scores, SCORE_TYPE).tolist()


SCORE_TYPE = np.dtype("<f4")


def pack_scores(scores: npt.ArrayLike) -> bytes:
    """float32, little-endian: 4 bytes an item, where msgpack's own numbers have 9."""
    return np.asarray(scores, SCORE_TYPE).tobytes()
