"""Old objects are walked in quiet moments only, and requests leave nothing behind that would need it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from contextlib import suppress

import pytest

from service.contract.errors import DeadlineExceeded
from service.contract.schemas import Filter, RecommendRequest, SessionEvent
from service.limits.deadline import RequestClock, wait_at_most
from service.process.garbage import AT_LATEST_SECONDS, OldGarbage
from tests.support.service import Running


class Knot:
    """Refers to itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self


class Service:
    """What `OldGarbage` sees: requests so far and the time."""

    n_requests = 0
    now = 0.0


@pytest.fixture
def still_heap() -> Iterator[None]:
    """No collection but those that a test asks for."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def old_knot() -> weakref.ref[Knot]:
    """Garbage that has grown old."""
    knot = Knot()
    gc.collect(1)
    gc.collect(1)
    return weakref.ref(knot)


def watched(service: Service) -> OldGarbage:
    return OldGarbage(lambda: service.n_requests, lambda: service.now)


@pytest.mark.usefixtures("still_heap")
def test_old_garbage_is_collected_when_nobody_asked_since_the_last_look() -> None:
    service = Service()
    garbage = watched(service)
    knot = old_knot()
    service.n_requests += 1
    assert not garbage.look()
    assert knot() is not None
    assert garbage.look()
    assert knot() is None


@pytest.mark.usefixtures("still_heap")
def test_nothing_is_collected_where_nothing_grew_old() -> None:
    assert not watched(Service()).look()


@pytest.mark.usefixtures("still_heap")
def test_service_that_never_rests_collects_once_an_hour() -> None:
    service = Service()
    garbage = watched(service)
    for now, is_collected in ((1.0, False), (AT_LATEST_SECONDS, True), (AT_LATEST_SECONDS + 1, False)):
        old_knot()
        service.n_requests += 1
        service.now = now
        assert garbage.look() is is_collected


async def test_python_does_not_collect_old_objects_by_itself_while_the_service_runs() -> None:
    before = gc.get_threshold()
    async with watched(Service()).collected_in_quiet_moments():
        young, middle, old = gc.get_threshold()
        assert (young, middle) == (700, 3)
        assert old > 10**9
    assert gc.get_threshold() == before


@pytest.mark.usefixtures("still_heap")
async def test_stage_that_overran_leaves_nothing_to_the_collector() -> None:
    async def overrun() -> None:
        with suppress(DeadlineExceeded):
            await wait_at_most(asyncio.get_running_loop().create_future(), 0.001)

    await overrun()
    gc.collect()
    await overrun()
    assert gc.collect() == 0


@pytest.mark.usefixtures("still_heap")
@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        (RecommendRequest("user-1"), 1.0),
        (RecommendRequest("nobody"), 1.0),
        (RecommendRequest("user-1", session=[SessionEvent("item-3")]), 1.0),
        (RecommendRequest("user-1", filter=Filter(max_price=5.0), exclude_items=["item-1"]), 1.0),
        (RecommendRequest("user-1", explain=True, diversity=0.5), 1.0),
        (RecommendRequest("user-1"), 0.0),  # a lower tier answers
    ],
)
async def test_an_answer_that_nobody_holds_is_gone_without_the_collector(
    service: Running, asked: RecommendRequest, seconds: float
) -> None:
    recommend = service.parts.recommender.recommend
    answer = await recommend(asked, RequestClock(seconds))
    is_of_the_student = answer.ranking.tier == "student"
    assert is_of_the_student is (seconds > 0)
    ranked = weakref.ref(answer.ranking.item_indices)
    del answer
    await recommend(asked, RequestClock(seconds))  # a scorer's thread holds its last batch until the next one
    assert ranked() is None
