"""A batch is worked on in slices, so that single requests get their turn."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from service.answers.no_model.answers import ModellessAnswers
from service.answers.recommender import Recommender
from service.contract.schemas import RecommendBatchReply, RecommendBatchRequest, RecommendRequest
from service.edge.endpoints.endpoint import Exchange
from service.edge.routes import BATCH_SLICE, Routes
from service.limits.deadline import RequestClock
from service.limits.permits import Permits

N_REQUESTS = 3 * BATCH_SLICE + 1


class NumberedRecommender:
    """Answers each request with the item its `limit` names, after a turn of the event loop."""

    def __init__(self) -> None:
        self.n_at_work = self.most_at_work = 0
        self.answered: list[str] = []

    async def recommend(self, asked: RecommendRequest, clock: RequestClock, request_id: str = "") -> Any:
        self.n_at_work += 1
        self.most_at_work = max(self.most_at_work, self.n_at_work)
        await asyncio.sleep(0)
        self.n_at_work -= 1
        self.answered.append(asked.user_id or "somebody in the batch")
        return SimpleNamespace(
            request_id=request_id,
            clock=clock,
            serving=SimpleNamespace(version="v1"),
            ranking=SimpleNamespace(tier="student"),
            tier="student",
            labels=[(f"item-{asked.limit}", None)],
            scores=[0.1],
            assigned=None,
            degraded=None,
            shortfall=None,
            explanations=None,
            due=None,
        )

    def settle(self, recommendation: Any, is_good: bool) -> None:
        """Owes nothing."""


def routes_around(recommender: NumberedRecommender) -> Routes:
    never_asked = cast(ModellessAnswers, None)
    return Routes(cast(Recommender, recommender), never_asked, Permits(1000), 1000)


def numbered_batch() -> RecommendBatchRequest:
    return RecommendBatchRequest([RecommendRequest(limit=1 + number) for number in range(N_REQUESTS)])


def exchange() -> Exchange:
    return Exchange("id", RequestClock())


async def test_each_of_a_batch_gets_its_own_answer_in_order() -> None:
    reply = await routes_around(NumberedRecommender()).recommend_batch(numbered_batch(), exchange())
    decoded = msgspec.json.decode(msgspec.json.encode(reply), type=RecommendBatchReply)
    item_ids = [[item.item_id for item in each.items] for each in decoded.replies]
    assert item_ids == [[f"item-{1 + number}"] for number in range(N_REQUESTS)]


async def test_one_slice_of_a_batch_is_at_work_at_a_time() -> None:
    recommender = NumberedRecommender()
    await routes_around(recommender).recommend_batch(numbered_batch(), exchange())
    assert recommender.most_at_work == BATCH_SLICE


async def test_single_request_behind_a_batch_is_answered_before_the_batch_ends() -> None:
    recommender = NumberedRecommender()
    routes = routes_around(recommender)
    batch = asyncio.create_task(routes.recommend_batch(numbered_batch(), exchange()))
    single = asyncio.create_task(routes.recommend(RecommendRequest("single"), exchange()))
    await single
    assert not batch.done()
    await batch
    assert recommender.answered.index("single") <= 2 * BATCH_SLICE


async def test_replies_of_a_batch_are_made_with_a_turn_for_others_between_them() -> None:
    n_turns = 0

    async def count_turns() -> None:
        nonlocal n_turns
        while True:
            n_turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(count_turns())
    await routes_around(NumberedRecommender()).recommend_batch(numbered_batch(), exchange())
    others.cancel()
    assert n_turns >= N_REQUESTS
