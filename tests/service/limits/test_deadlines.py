"""A missed deadline is in the answer, in the metrics and in the live log, on every route; on a clock of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from models.scan import Ranked
from service.answers import recommender
from service.answers.recommendation import PersonalRecommendation
from service.answers.recommender import REPLY_RESERVE_SECONDS
from service.contract.schemas import RecommendRequest
from service.limits import deadline
from service.limits.deadline import RequestClock
from service.scoring import turns
from tests.support.service import Running, running


class Clock:
    """In place of `perf_counter` wherever deadlines are kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        for module in (deadline, recommender, turns):
            monkeypatch.setattr(module, "perf_counter", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
async def service(store: Path) -> AsyncIterator[Running]:
    async with running(store, deadline_ms=50) as started:
        for number in range(16):  # their vectors are there, so that no scoring thread is needed
            await started.recommend(user_id=f"user-{number}", deadline_ms=1000)
        yield started


def search_takes(service: Running, monkeypatch: pytest.MonkeyPatch, clock: Clock, *seconds: float) -> None:
    """Each search of the catalogue takes so long, one after the other; those after them no time."""
    student, durations = service.parts.bundles.serving().student, list(seconds)
    top_k = student.top_k

    def search(*args: Any, **options: Any) -> Ranked:
        clock.now += durations.pop(0) if durations else 0.0
        return top_k(*args, **options)

    monkeypatch.setattr(student, "top_k", search)


def n_missed(service: Running) -> float:
    return service.metric("stillroom_degraded_total", reason="deadline_missed")


@pytest.mark.parametrize(
    ("path", "asked"),
    [("/recommend", {"user_id": "user-1"}), ("/recommend", {}), ("/similar", {"item_id": "item-3"})],
)
async def test_answer_that_was_made_too_late_says_so(
    service: Running, monkeypatch: pytest.MonkeyPatch, clock: Clock, path: str, asked: dict[str, Any]
) -> None:
    search_takes(service, monkeypatch, clock, 0.049, 0.051)
    in_time, late = await service.post(path, asked), await service.post(path, asked)
    assert (in_time["tier"], in_time["degraded"]) == ("student", None)
    assert (late["tier"], late["degraded"]) == ("student", "deadline_missed")
    assert late["items"] == in_time["items"]
    assert n_missed(service) == 1


async def test_deadline_of_the_request_counts_and_not_the_default(
    service: Running, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    search_takes(service, monkeypatch, clock, 0.1)
    assert (await service.recommend(user_id="user-1", deadline_ms=200))["degraded"] is None


async def test_answer_of_a_batch_is_as_late_as_the_batch(
    service: Running, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """The first ones are made in time and leave with the last."""
    search_takes(service, monkeypatch, clock, 0.0, 0.06)
    requests = [{"user_id": f"user-{number}"} for number in range(15)] + [
        {"user_id": "user-15", "deadline_ms": 100}
    ]
    answer = await service.post("/recommend/batch", {"requests": requests})
    assert [reply["degraded"] for reply in answer["replies"]] == ["deadline_missed"] * 15 + [None]
    assert n_missed(service) == 15
    assert {len(reply["items"]) for reply in answer["replies"]} == {10}


async def test_lower_tier_for_want_of_time_keeps_its_reason_however_late_it_is(
    service: Running, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    find = service.parts.people.find

    async def slow_find(*args: Any) -> Any:
        clock.now += 0.06
        return await find(*args)

    monkeypatch.setattr(service.parts.people, "find", slow_find)
    answer = await service.recommend(user_id="user-1")
    assert answer["tier"] != "student"
    assert answer["degraded"] == "deadline"


async def test_missed_deadline_is_in_the_record_for_the_live_log(
    service: Running, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    recorded: list[PersonalRecommendation] = []

    class Log:
        def record(self, answer: PersonalRecommendation, sent_at: float, seconds: float) -> None:
            recorded.append(answer)

    monkeypatch.setattr(service.parts.recommender, "_exposures", Log())
    search_takes(service, monkeypatch, clock, 0.06)
    await service.recommend(user_id="user-1")
    assert [answer.degraded for answer in recorded] == ["deadline_missed"]


@pytest.mark.parametrize(("left", "tier"), [(1.5, "student"), (0.5, "popular_segment")])
async def test_what_is_left_of_the_deadline_for_falling_back_is_not_given_to_the_scorer(
    service: Running, monkeypatch: pytest.MonkeyPatch, clock: Clock, left: float, tier: str
) -> None:
    """left: of the reserve, when the scorer's turn comes."""
    ask = service.parts.recommender.recommend
    people = service.parts.people
    find = people.find

    async def slow_find(*args: Any) -> Any:
        found = await find(*args)
        clock.now += 0.05 - left * REPLY_RESERVE_SECONDS
        return found

    monkeypatch.setattr(people, "find", slow_find)
    answer = await ask(RecommendRequest(user_id="user-15"), RequestClock(0.05))
    assert answer.ranking.tier in (tier, "last_good" if tier != "student" else tier)


async def test_scoring_thread_is_waited_for_without_the_reserve(
    service: Running, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    waited: list[float] = []
    wait_at_most = deadline.wait_at_most

    async def noting(future: Any, seconds: float) -> Any:
        waited.append(seconds)
        return await wait_at_most(future, 30)

    monkeypatch.setattr(recommender, "wait_at_most", noting)
    await service.parts.recommender.recommend(
        RecommendRequest(user_id="user-1", explain=True), RequestClock(0.05)
    )
    assert waited == [pytest.approx(0.05 - REPLY_RESERVE_SECONDS)]
    assert REPLY_RESERVE_SECONDS > 0


def test_deadline_counts_from_when_the_request_was_here_in_full(clock: Clock) -> None:
    request = RequestClock()
    clock.now += 3
    request.body_is_here()
    clock.now += 0.01
    request.set_budget(0.05)
    assert request.remaining() == pytest.approx(0.04)
    assert request.allows(request.elapsed())
    assert request.with_budget(0.02).remaining() == pytest.approx(0.01)


def test_clock_of_a_request_that_waited_starts_when_it_arrived(clock: Clock) -> None:
    request = RequestClock(started_at=clock.now - 0.04)
    request.set_budget(0.05)
    assert request.remaining() == pytest.approx(0.01)
    assert not RequestClock(0.01, clock.now - 0.02).allows(0.02)
