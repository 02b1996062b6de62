"""One request and one answer of each route, for the OpenAPI document. The ids are from the shop that `make up` makes.

Requests are plain JSON, as a client would send them; a test decodes each one as its route does.
"""

from __future__ import annotations

from typing import Any

import msgspec

from service.admin.schemas import PromotedReply, PromoteRequest, ResumeRequest, StoppedReply, StopRequest
from service.contract.schemas import (
    Because,
    ErasureReply,
    EventBatch,
    EventsReply,
    FaultReply,
    LiveReply,
    MemberOpinion,
    ProblemReply,
    ReadyReply,
    RecommendBatchReply,
    RecommendBatchRequest,
    RecommendedItem,
    RecommendReply,
    RecommendRequest,
    RejectedEvent,
    ServedModel,
    SimilarRequest,
)

_PERSON, _VASE, _CANDLE, _ANSWER_ID = "u00000002", "i0000559", "i0000500", "403296e4c267d3e1"
_VERSION, _BEFORE = "20261125T201627Z-f9d402f337b2", "20261118T201502Z-0c51d6b0ce10"

ASKED: dict[type[msgspec.Struct], dict[str, Any]] = {
    RecommendRequest: {"user_id": _PERSON, "limit": 2, "explain": True},
    RecommendBatchRequest: {"requests": [{"user_id": _PERSON, "limit": 1}, {"limit": 1}]},
    SimilarRequest: {"item_id": _VASE, "limit": 1},
    EventBatch: {
        "key": "cart-4711",
        "events": [
            {"kind": "click", "item_id": _VASE, "user_id": _PERSON, "request_id": _ANSWER_ID},
            {"kind": "purchase", "item_id": _CANDLE, "user_id": _PERSON, "value": 15.3},
            {"kind": "view", "item_id": _CANDLE},
        ],
    },
    PromoteRequest: {"version": _VERSION},
    StopRequest: {"arm": "treatment", "why": "complaints"},
    ResumeRequest: {"arm": "treatment"},
}


def _answer(*items: RecommendedItem) -> RecommendReply:
    return RecommendReply(
        request_id=_ANSWER_ID,
        items=list(items),
        model=ServedModel(_VERSION),
        experiment=None,
        tier="student",
        degraded=None,
        shortfall=None,
        took_ms=2.402,
    )


_EXPLAINED = RecommendedItem(
    _VASE,
    1.38,
    "Calder Haven charcoal bamboo vase",
    [Because("i0000342", 0.607, "Rowan Grove charcoal bamboo candle")],
    [MemberOpinion("knn", 0.336), MemberOpinion("sequential", 0.283)],
)
_PLAIN = RecommendedItem(_CANDLE, 1.331, "Kestrel Umbra charcoal bamboo candle")
_REJECTED = RejectedEvent(
    2, "nobody", "neither user_id nor session_id says whose event this is; send one of them"
)
_TOO_MANY = "expected int <= 100; got 1000"

REPLIES: dict[type[msgspec.Struct], msgspec.Struct] = {
    reply.__class__: reply
    for reply in (
        _answer(_EXPLAINED, _PLAIN),
        RecommendBatchReply(_ANSWER_ID, [_answer(_PLAIN), _answer(_PLAIN)], 3.117),
        EventsReply(2, [_REJECTED], False),
        LiveReply(),
        ReadyReply("ready", _VERSION, "up", 3724.5),
        PromotedReply(_VERSION, _BEFORE, 61.402),
        StoppedReply("vases", ["treatment"]),
        ErasureReply(_PERSON, {"memory": 1, "spool": 4, "histories": 1, "events": 4}, []),
    )
}

PROBLEM = ProblemReply(
    type="urn:stillroom:problem:request-invalid",
    title="The request is not valid",
    status=422,
    detail=f"limit: {_TOO_MANY}",
    request_id=_ANSWER_ID,
    errors=[FaultReply("limit", _TOO_MANY)],
)


def example_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the member `example` of a media type; empty if there is none."""
    if struct in ASKED:
        return {"example": ASKED[struct]}
    reply = REPLIES.get(struct)
    return {} if reply is None else {"example": msgspec.to_builtins(reply)}
