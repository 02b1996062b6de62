"""The records of the live log. They are msgpack on the wire, and fields are only ever added.

There are three Redis streams with one entry per record, which is the entry's only field, `r`. The spool on a
service's own disk holds batches of the same events.

Entries of erased people are deleted from the streams. Their ids are kept in a list, so that a reader can tell them
from entries that were trimmed before it came. All events ever added are counted.
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
"""How many entries the stream of events ever got. From version 7 on, Redis counts this itself."""

GENERATION_KEY = "stillroom:log:generation"
"""A random word that is made with the stream: if it changes, Redis has lost what it had."""

EXPORTED_KEY = "stillroom:log:exported"
"""A hash: for each export folder, the last entry of the events that is safely in it."""

BATCH_PREFIX = "stillroom:log:batch:"
"""By idempotency key, for a day: which batch it was and how much of it is in the stream."""


def session_key(session_id: str) -> str:
    """Return the key of a visit without a person; no shop's id has a control character in it."""
    return f"\0{session_id}"


def person_key(user_id: str | None, session_id: str | None) -> str:
    """Return whose something is: the person's id, else the visit's key, else ""."""
    if user_id is not None:
        return user_id
    return "" if session_id is None else session_key(session_id)


def deleted_key(stream: str) -> str:
    """Return the key of the list of a stream's entries that were deleted with a person."""
    return f"{stream}:deleted"


class EventRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something a person did, accepted once.

    event_id: unique for ever, made of the batch's id and the event's place in it. kind: an `EventKind`'s name,
    "impression", "removal" (out of the cart) or "return". time: Unix seconds, as the shop says. received_ms: when it
    was accepted, Unix milliseconds. request_id: the id of the answer that it came from, "" if none.
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
        """The key of the person or visit."""
        return person_key(self.user_id, self.session_id)


class SpooledBatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """A batch as it was accepted and as the spool holds it.

    batch_id: 32 hexadecimal digits of the idempotency key and the body together. n_sent: events of the batch,
    rejected ones included. events: the accepted ones in order, without those whose person was erased since.
    """

    batch_id: str
    key: str
    received_ms: int
    n_sent: int
    events: list[EventRecord]


class ErasureRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person is to be forgotten: nothing of theirs that was received before is kept or exported.

    user_id: the person's, or a visit's `session_key`. received_ms: Unix milliseconds; of several records with the
    same event_id the earliest counts. said_ms: the first moment that a wrong clock gave, if this record corrects it;
    0 if it corrects nothing.
    """

    event_id: str
    user_id: str
    received_ms: int
    said_ms: int = 0


class SampledHistory(msgspec.Struct, frozen=True):
    """What the student read for a monitored request; oldest first. times: Unix seconds. kinds: `EventKind`.

    is_narrowed: a filter, exclusions, known_items or diversity shaped the answer, so it is not the student's own
    ranking.
    """

    item_ids: list[str]
    times: list[int]
    kinds: list[int]
    is_narrowed: bool = False


class ExposureRecord(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """An impression: one answer that was sent. Fields are in order and without names, since every answer writes one.

    scores: one per item, as `pack_scores` packs them. unit: what an experiment is assigned by: the person, else the
    session, else "". version, variant: what made the answer ("student", "ensemble" or a member's name). propensity:
    the probability of this arm for this unit, 1.0 outside experiments. sent_ms: Unix milliseconds. n_history:
    distinct items that the person has touched, those of the visit included; n_session: events of the visit. sampled:
    for the share of requests that the monitor scores again.
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
        """The key of the person or visit; "" if there is neither."""
        return person_key(self.user_id, self.session_id)

    @property
    def asked_ms(self) -> int:
        """When the request arrived; Unix milliseconds."""
        return self.sent_ms - self.took_us // 1000

    def unpacked_scores(self) -> list[float]:
        """Return the scores of the items, best first."""
        return np.frombuffer(self.scores, SCORE_TYPE).tolist()


SCORE_TYPE = np.dtype("<f4")


def pack_scores(scores: npt.ArrayLike) -> bytes:
    """Pack scores as little-endian float32: 4 bytes an item, while msgpack's own numbers take 9."""
    return np.asarray(scores, SCORE_TYPE).tobytes()
