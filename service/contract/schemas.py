"""Requests and replies, defined once: validation, encoding and the OpenAPI document all use these.

Structs of which a reply holds many have gc=False: they cannot be part of a cycle, so the collector need not see them.
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
        description="The shop's own id, in any script, without control characters. A whole number is read "
        "as its digits.",
        extra={IS_ID: True},
        extra_json_schema={ALSO_A_WHOLE_NUMBER: True},
    ),
]
IdOfEvent = Annotated[str, Meta(extra={IS_ID: True}, extra_json_schema={ALSO_A_WHOLE_NUMBER: True})]
"""An invalid one is rejected with its event, not with the whole batch."""

Limit = Annotated[int, Meta(ge=1, le=100, description="Maximum number of items to return.")]
ExcludedItems = Annotated[
    list[Id], Meta(max_length=MAX_EXCLUDED_ITEMS, description="Items that must not be returned.")
]
DeadlineMs = Annotated[
    int,
    Meta(
        ge=1,
        le=1000,
        description="Milliseconds the answer may take; if time runs short, a simpler tier answers.",
    ),
]
VALUE = (
    "A rating, or an amount of money. A rating below the lowest that speaks for an item counts as a dislike."
)

Price = Annotated[float, Meta(ge=0, description="A price in the shop's currency.")]
Kind = Literal["view", "click", "cart", "purchase", "rating", "dislike"]
EventKindName = Literal[
    "view", "click", "cart", "purchase", "rating", "dislike", "impression", "removal", "return"
]
KnownItems = Literal["rank", "leave_out_bought", "leave_out_touched", "only"]
RejectionReason = Literal[
    "time_before_1990", "time_in_future", "nobody", "item_id_invalid", "user_id_invalid", "session_id_invalid",
    "request_id_invalid",
]  # fmt: skip
ErasurePlace = Literal["memory", "last_good", "spool", "histories", "events", "exposures"]
Tier = Literal["student", "last_good", "popular_segment", "popular", "no_model"]


class SessionEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that the person did during this visit."""

    item_id: Id
    kind: Kind = "view"
    time: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=MAX_TIME,
                description="Unix seconds. If omitted, the event happened now, and the order of the list counts.",
            ),
        ]
        | None
    ) = None
    value: Annotated[float | None, Meta(description=VALUE)] = None


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The conditions that an item must meet to be returned. An item of unknown price meets no price bound."""

    categories: (
        Annotated[
            list[Id],
            Meta(
                min_length=1,
                max_length=50,
                description="Categories of which the item must have one. If omitted, categories do not matter.",
            ),
        ]
        | None
    ) = None
    min_price: Price | None = None
    max_price: Price | None = None


class RecommendRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request for items that suit a person now."""

    user_id: Id | None = None
    session_id: Annotated[
        Id | None,
        Meta(
            description="The shop's id of this visit, as in POST /events. It identifies the person if there is "
            "no user_id."
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
    known_items: Annotated[
        KnownItems | None,
        Meta(
            description="What to do with the person's own items, those of the session included. rank: they are "
            "candidates like all others and stand where their worth puts them. leave_out_bought: without items that "
            "the person has bought, or whatever the model's target is, or disliked. leave_out_touched: without all "
            "items that the person has an event with. only: nothing but items that the person has bought, to buy "
            "again. If omitted, as the model says: rank or, in a shop where next to nothing is taken twice, "
            "leave_out_bought."
        ),
    ] = None
    exclude_seen: Annotated[
        bool | None,
        Meta(
            description="Deprecated, use known_items: true is leave_out_touched, and false is rank. Not to be sent "
            "together with known_items.",
            extra_json_schema={"deprecated": True},
        ),
    ] = None
    filter: Filter | None = None
    diversity: Annotated[
        float, Meta(ge=0, le=1, description="0 ranks by score alone, 1 by dissimilarity to the items above.")
    ] = 0.0
    explain: Annotated[
        bool,
        Meta(
            description="Whether to name, for each item, the person's own items and the members of the ensemble "
            "that contribute most to it."
        ),
    ] = False
    deadline_ms: DeadlineMs | None = None


class RecommendBatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Several requests, which are scored together and answered in order."""

    requests: Annotated[list[RecommendRequest], Meta(min_length=1, max_length=MAX_BATCH_REQUESTS)]


class SimilarRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request for items that suit somebody who has looked at one item and nothing else."""

    item_id: Id
    limit: Limit = 10
    exclude_items: ExcludedItems = []
    filter: Filter | None = None
    deadline_ms: DeadlineMs | None = None


class Because(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One of the person's own items that contributes to a recommended item.

    contribution: how much the recommended item's score falls if the student does not see the person's item.
    """

    item_id: str
    contribution: float
    title: str | None = None


class MemberOpinion(msgspec.Struct, frozen=True, gc=False):
    """A member of the ensemble from which the student learned, and its share in the recommendation of an item.

    share: its part, from 0 to 1, of all that members contribute to the item, as the student estimates it; the members
    themselves do not run.
    """

    member: str
    share: float


class RecommendedItem(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A recommended item. score: the student's score; in the popular tiers the item's popularity; without a model
    1 / the item's place. Scores are comparable only within a reply.

    because, members: present with `explain`, up to three each, strongest first. due_in_days, reason: present with
    known_items `only`, where it is known how often the item is bought again: days until it is due, below 0 if it is
    overdue, and how often it is bought, such as "about every 23 days".
    """

    item_id: str
    score: float
    title: str | None = None
    because: list[Because] | None = None
    members: list[MemberOpinion] | None = None
    due_in_days: int | None = None
    reason: str | None = None


class ServedModel(msgspec.Struct, frozen=True, gc=False):
    """The model that answers if `tier` is student. version: the version of the bundle. variant: student, ensemble, or
    the name of a member of the ensemble.
    """

    version: str
    variant: str = "student"


class ServedArm(msgspec.Struct, frozen=True, gc=False):
    """The experiment and the arm that this answer belongs to."""

    name: str
    arm: str


class RecommendReply(msgspec.Struct, frozen=True, gc=False):
    """Items, best first, and how they were chosen.

    model: null if no bundle is in service. tier: the tier that answered. degraded: null, or why the answer is not as
    good as usual: `deadline` if a lower tier answered because time ran short, `deadline_missed` if the answer is
    complete but came too late; docs/runbook.md lists every reason.
    shortfall: null, or why there are fewer items than requested. took_ms: milliseconds spent inside the service.
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
    """One reply per request, in order.

    request_id: the id of the batch. Each reply has its own id, `<request_id>.<index>`, and events name that one.
    """

    request_id: str
    replies: list[RecommendReply]
    took_ms: float


class ShopEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that a person did or was shown. An event that breaks a rule below is rejected and named by its index;
    the others of its batch are accepted.
    """

    kind: Annotated[
        EventKindName,
        Meta(
            description="What happened. dislike: the person does not want the item. removal: the item was taken out "
            "of the cart again. return: the last purchase of the item was sent back."
        ),
    ]
    item_id: Annotated[
        IdOfEvent, Meta(description="The shop's own id. Events of unknown items are kept too.")
    ]
    time: (
        Annotated[
            int,
            Meta(
                description="Unix seconds, from 1990 to five minutes ahead. If omitted, the event happened now."
            ),
        ]
        | None
    ) = None
    user_id: Annotated[
        IdOfEvent | None,
        Meta(description="The shop's own id of the person. Required if there is no session_id."),
    ] = None
    session_id: Annotated[
        IdOfEvent | None, Meta(description="The shop's own id of the visit. Required if there is no user_id.")
    ] = None
    request_id: Annotated[
        IdOfEvent | None,
        Meta(description="Id of the answer that led to this event. It attributes the event to a model."),
    ] = None
    value: Annotated[float | None, Meta(description=VALUE)] = None


class EventBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A batch of events. A batch that is sent again under the same key counts once."""

    key: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=128,
            pattern=PRINTABLE,
            description="Idempotency key, chosen by the sender. Each batch needs its own.",
            extra={IS_ID: True},
            extra_json_schema={ALSO_A_WHOLE_NUMBER: True},
        ),
    ]
    events: Annotated[list[ShopEvent], Meta(min_length=1, max_length=MAX_BATCH_EVENTS)]


class RejectedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event that was not accepted and will not be, however often it is sent."""

    index: int
    reason: RejectionReason
    message: str


class EventsReply(msgspec.Struct, frozen=True, gc=False):
    """The result of a batch of events. accepted: number of events that are stored durably. replayed: whether this
    very batch was accepted before; it counts once.
    """

    accepted: int
    rejected: list[RejectedEvent]
    replayed: bool


class VisitErasureReply(msgspec.Struct, frozen=True):
    """The result of forgetting a visit that belongs to no known person. removed, pending: as for a person."""

    session_id: str
    removed: dict[ErasurePlace, int]
    pending: list[ErasurePlace]


class ErasureReply(msgspec.Struct, frozen=True):
    """The result of forgetting a person, and the visits that were sent with their id. removed: number of entries
    removed, by place. pending: places that are unavailable and will be cleared once they are back; what is exported
    is cleared by the next export.
    """

    user_id: str
    removed: dict[ErasurePlace, int]
    pending: list[ErasurePlace]


class FaultReply(msgspec.Struct, frozen=True):
    """A fault in a request. path: such as `session[3].item_id`; empty for the whole body."""

    path: str
    message: str


class ProblemReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error in the format of RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FaultReply] | None = None


class LiveReply(msgspec.Struct, frozen=True):
    """The process is running."""

    status: Literal["live"] = "live"


class ReadyReply(msgspec.Struct, frozen=True):
    """The service is ready. bundle_version: the version of the verified bundle in service; null if nothing has been
    promoted yet and answers are made without a model. redis: off, untried, up, or down (answers come without it).
    """

    status: Literal["ready"]
    bundle_version: str | None
    redis: Literal["off", "untried", "up", "down"]
    uptime_seconds: float
