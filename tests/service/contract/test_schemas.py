"""What clients send is bounded: no number of any size, no text and no list of any length reaches the code behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from service.admin.schemas import PromoteRequest, ResumeRequest, StopRequest
from service.contract.schemas import EventBatch, RecommendBatchRequest, RecommendRequest, SimilarRequest
from tests.support.events import body, did
from tests.support.service import Running

ASKED = [
    RecommendRequest,
    RecommendBatchRequest,
    SimilarRequest,
    EventBatch,
    PromoteRequest,
    StopRequest,
    ResumeRequest,
]
JUDGED_BY_INDEX = {
    f"EventBatch.events[].{name}" for name in ("item_id", "time", "user_id", "session_id", "request_id")
}
"""Bounded too, but not here: an event that breaks a rule is rejected by itself, and the rest of its batch is kept."""


def leaves(path: str, found: inspect.Type) -> Iterator[tuple[str, inspect.Type]]:
    """Every number, text and list in a type, with where it is."""
    if isinstance(found, inspect.Metadata):
        found = found.type
    if isinstance(found, inspect.UnionType):
        for each in found.types:
            yield from leaves(path, each)
    elif isinstance(found, inspect.StructType):
        for field in found.fields:
            yield from leaves(f"{path}.{field.name}", field.type)
    elif isinstance(found, inspect.ListType):
        yield path, found
        yield from leaves(f"{path}[]", found.item_type)
    else:
        yield path, found


LEAVES = [leaf for asked in ASKED for leaf in leaves(asked.__name__, inspect.type_info(asked))]


@pytest.mark.parametrize(("path", "leaf"), LEAVES, ids=[path for path, _ in LEAVES])
def test_everything_that_is_sent_is_bounded(path: str, leaf: inspect.Type) -> None:
    if isinstance(leaf, inspect.IntType) and path not in JUDGED_BY_INDEX:
        assert leaf.ge is not None
        assert leaf.le is not None
        assert -(2**63) <= leaf.ge <= leaf.le < 2**63
    if isinstance(leaf, inspect.StrType) and path not in JUDGED_BY_INDEX:
        assert leaf.max_length is not None
    if isinstance(leaf, inspect.ListType):
        assert leaf.max_length is not None


def test_the_walk_finds_what_there_is() -> None:
    paths = {path for path, _ in LEAVES}
    assert {"RecommendRequest.limit", "RecommendRequest.session[].time", *JUDGED_BY_INDEX} <= paths


LONG = int("9" * 400)


@pytest.mark.parametrize("moment", [LONG, -LONG, 2**32, -1])
async def test_time_of_any_length_is_told_to_who_sent_it(service: Running, moment: int) -> None:
    one = {"user_id": "user-1", "session": [{"item_id": "item-1", "time": moment}]}
    for path, sent in (("/recommend", one), ("/recommend/batch", {"requests": [{"user_id": "user-2"}, one]})):
        response = await service.client.post(path, content=msgspec.json.encode(sent), headers=JSON)
        assert response.status_code == 422
        (fault,) = response.json()["errors"]
        assert fault["path"].endswith("session[0].time")
        assert len(fault["message"]) < 200


JSON = {"content-type": "application/json"}


async def test_event_with_such_a_time_is_rejected_alone(service: Running) -> None:
    sent: dict[str, Any] = body("a", did("view", "item-1", time=LONG), did("purchase", "item-13"))
    response = await service.client.post("/events", content=msgspec.json.encode(sent), headers=JSON)
    assert response.status_code == 202
    answer = response.json()
    assert answer["accepted"] == 1
    assert [(one["index"], one["reason"]) for one in answer["rejected"]] == [(0, "time_in_future")]
    assert len(response.content) < 400
