"""Requests and replies, defined once: validation, encoding and the OpenAPI document all use these.

gc=False for structs that replies hold many of: they cannot be part of a cycle, so the collector need not see them.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from models.vocabulary import MAX_ID_CHARACTERS

PRINTABLE = r"^[^\u0000-\u001f\u007f]+(?!\n)$"
"""Excludes control characters. The look-ahead is needed because in Python `$` matches before a final line break."""

MAX_TIME = 2**53 - 1
"""The largest number that every JSON reader reads exactly. Milliseconds are below it, so their fault is explained."""

MAX_SESSION_EVENTS = 100
MAX_EXCLUDED_ITEMS = 500
MAX_BATCH_REQUESTS = 64
MAX_BATCH_EVENTS = 10_000
MAX_REQUEST_ID_CHARACTERS = 128

IS_ID = "is_id"
"""Marks text that may also be sent as a whole number, which is taken as its digits."""

ALSO_A_WHOLE_NUMBER = "x-also-a-whole-number"
"""The same mark in the schema, which `service.edge.openapi.document` turns into types."""

Id = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_ID_CHARACTERS,
        pattern=PRINTABLE,
        description="The shop's own id; any script, no control characters. A whole number is taken as its digits.",
        extra={IS_ID: True},
        extra_json_schema={ALSO_A_WHOLE_NUMBER: True},
    ),
]
IdOfEvent = Annotated[str, Meta(extra={IS_ID: True}, extra_json_schema={ALSO_A_WHOLE_NUMBER: True})]
"""An invalid one is rejected with its event, not with the whole batch."""

Limit = Annotated[int, Meta(ge=1, le=100, description="How many items to return.")]
ExcludedItems = Annotated[
    list[Id], Meta(max_length=MAX_EXCLUDED_ITEMS, description="Items that may not be returned.")
]
DeadlineMs = Annotated[
    int,
    Meta(ge=1, le=1000, description="Milliseconds the answer may take; a simpler tier answers if need be."),
]
Price = Annotated[float, Meta(ge=0, description="In the shop's currency.")]
Kind = Literal["view", "click", "cart", "purchase", "rating"]
EventKindName = Literal["view", "click", "cart", "purchase", "rating", "impression", "removal"]
RejectionReason = Literal[
    "time_before_1990", "time_in_future", "nobody", "item_id_invalid", "user_id_invalid", "session_id_invalid",
    "request_id_invalid",
]  # fmt: skip
ErasurePlace = Literal["memory", "last_good", "spool", "histories", "events", "exposures"]
Tier = Literal["student", "last_good", "popular_segment", "popular", "no_model"]


class SessionEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing the person did during this visit."""

    item_id: Id
    kind: Kind = "view"
    time: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=MAX_TIME,
                description="Unix seconds; left out, the order of the list counts and it is now.",
            ),
        ]
        | None
    ) = None


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an item must be to be returned. An item of unknown price passes no price bound."""

    categories: (
        Annotated[
            list[Id],
            Meta(
                min_length=1,
                max_length=50,
                description="The item is in one of these; left out, categories do not matter.",
            ),
        ]
        | None
    ) = None
    min_price: Price | None = None
    max_price: Price | None = None


class RecommendRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for items that suit a person now."""

    user_id: Id | None = None
    session_id: Annotated[
        Id | None,
        Meta(
            description="The shop's id of this visit, as in POST /events; who it is where there is no user_id."
        ),
    ] = None
    session: Annotated[
        list[SessionEvent],
        Meta(max_length=MAX_SESSION_EVENTS, description="Events of this visit, oldest first."),
    ] = []
    limit: Limit = 10
    placement: (
        Annotated[
            str,
            Meta(
                min_length=1, max_length=64, pattern=PRINTABLE, description="Where the items will be shown."
            ),
        ]
        | None
    ) = None
    exclude_items: ExcludedItems = []
    exclude_seen: Annotated[bool, Meta(description="Leave out what the person already has in history.")] = (
        True
    )
    filter: Filter | None = None
    diversity: Annotated[
        float, Meta(ge=0, le=1, description="0 ranks by score alone, 1 by being unlike the items above.")
    ] = 0.0
    explain: Annotated[
        bool,
        Meta(
            description="Say which of the person's own items, and which members of the ensemble, speak most for each "
            "item."
        ),
    ] = False
    deadline_ms: DeadlineMs | None = None


class RecommendBatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Several requests, scored together and answered in order."""

    requests: Annotated[list[RecommendRequest], Meta(min_length=1, max_length=MAX_BATCH_REQUESTS)]


class SimilarRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for items that suit somebody who looked at one item and nothing else."""

    item_id: Id
    limit: Limit = 10
    exclude_items: ExcludedItems = []
    filter: Filter | None = None
    deadline_ms: DeadlineMs | None = None


class Because(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One of the person's own items that speaks for a recommended one.

    contribution: by how much the item's score falls when the student does not know of this one.
    """

    item_id: str
    contribution: float
    title: str | None = None


class MemberOpinion(msgspec.Struct, frozen=True, gc=False):
    """One member of the ensemble that the student learned from, and its share in the ensemble's opinion of an item.

    share: its part of all that speaks for the item, 0 to 1, as the student estimates it; the members themselves are
    not asked.
    """

    member: str
    share: float


class RecommendedItem(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One item. score: the student's, popularity in the popular tiers, or one over its place without a model;
    comparable within a reply only.

    because, members: with `explain`, up to three each, strongest first.
    """

    item_id: str
    score: float
    title: str | None = None
    because: list[Because] | None = None
    members: list[MemberOpinion] | None = None


class ServedModel(msgspec.Struct, frozen=True, gc=False):
    """Which model answers where `tier` is student. version: the bundle's. variant: student, ensemble, or the name of
    one of its members.
    """

    version: str
    variant: str = "student"


class ServedArm(msgspec.Struct, frozen=True, gc=False):
    """The experiment that this answer is part of, and which of its arms."""

    name: str
    arm: str


class RecommendReply(msgspec.Struct, frozen=True, gc=False):
    """Items, best first, and how they came about.

    model: null where no bundle is in service. tier: what answered. degraded: null, or why the answer is not what it
    would be on a good day; `deadline` where a lower tier answered for want of time, `deadline_missed` where the
    answer was made in full and came too late; docs/runbook.md lists every reason.
    shortfall: null, or why there are fewer items than asked for. took_ms: inside the service.
    """

    request_id: str
    items: list[RecommendedItem]
    model: ServedModel | None
    experiment: ServedArm | None
    tier: Tier
    degraded: str | None
    shortfall: str | None
    took_ms: float


class RecommendBatchReply(msgspec.Struct, frozen=True, gc=False):
    """One reply a request, in order.

    request_id: of the batch. Each reply has one of its own, `<request_id>.<index>`: events name that one.
    """

    request_id: str
    replies: list[RecommendReply]
    took_ms: float


class ShopEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something a person did, or was shown. An event that breaks a rule below is rejected by its index; the others of
    its batch are accepted.
    """

    kind: Annotated[EventKindName, Meta(description="removal: out of the cart again.")]
    item_id: Annotated[IdOfEvent, Meta(description="The shop's own id; an unknown item is kept.")]
    time: (
        Annotated[
            int,
            Meta(description="Unix seconds, from 1990 to five minutes ahead; left out, it is now."),
        ]
        | None
    ) = None
    user_id: Annotated[IdOfEvent | None, Meta(description="Needed where there is no session_id.")] = None
    session_id: Annotated[IdOfEvent | None, Meta(description="The shop's own id of the visit.")] = None
    request_id: Annotated[
        IdOfEvent | None,
        Meta(description="Of the answer that this came from: what attributes it to a model."),
    ] = None
    value: Annotated[float | None, Meta(description="A rating, or an amount of money.")] = None


class EventBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happened. Sent again under the same key it counts once."""

    key: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=128,
            pattern=PRINTABLE,
            description="Idempotency key, the sender's own; another batch needs another one.",
            extra={IS_ID: True},
            extra_json_schema={ALSO_A_WHOLE_NUMBER: True},
        ),
    ]
    events: Annotated[list[ShopEvent], Meta(min_length=1, max_length=MAX_BATCH_EVENTS)]


class RejectedEvent(msgspec.Struct, frozen=True, gc=False):
    """One event that was not accepted, and will not be however often it is sent."""

    index: int
    reason: RejectionReason
    message: str


class EventsReply(msgspec.Struct, frozen=True, gc=False):
    """accepted: events that are kept, whatever happens now. replayed: this very batch was accepted before, and counts
    once.
    """

    accepted: int
    rejected: list[RejectedEvent]
    replayed: bool


class VisitErasureReply(msgspec.Struct, frozen=True):
    """What a visit of nobody in particular did is forgotten. removed, pending: as of a person."""

    session_id: str
    removed: dict[ErasurePlace, int]
    pending: list[ErasurePlace]


class ErasureReply(msgspec.Struct, frozen=True):
    """A person is forgotten, and the visits that were sent with their id. removed: how much of them there was, by
    place. pending: places that are away and will be cleared once they are back; what is exported is cleared by the
    next export.
    """

    user_id: str
    removed: dict[ErasurePlace, int]
    pending: list[ErasurePlace]


class FaultReply(msgspec.Struct, frozen=True):
    """One thing that is wrong. path: as in `session[3].item_id`, empty for the whole body."""

    path: str
    message: str


class ProblemReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FaultReply] | None = None


class LiveReply(msgspec.Struct, frozen=True):
    """The process runs."""

    status: Literal["live"] = "live"


class ReadyReply(msgspec.Struct, frozen=True):
    """The service answers. bundle_version: of the verified bundle in service, null where nothing was promoted yet and
    answers are made without a model. redis: off, up, or down (answers come without it).
    """

    status: Literal["ready"]
    bundle_version: str | None
    redis: Literal["off", "untried", "up", "down"]
    uptime_seconds: float
