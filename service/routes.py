"""The POST routes: validated request in, one call, reply out."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final, cast

import msgspec

from models.experiments.assignment import Assigned
from models.explanations import Reasons
from models.member_shares import MemberShare
from service.deadline import RequestClock
from service.endpoint import Exchange
from service.errors import Fault, NotReady, RequestInvalid
from service.no_model.answers import ModellessAnswer, ModellessAnswers
from service.permits import Permits
from service.recommendation import PersonalRecommendation, Recommendation
from service.recommender import Recommender
from service.schemas import (
    Because,
    Filter,
    MemberOpinion,
    RecommendBatchReply,
    RecommendBatchRequest,
    RecommendedItem,
    RecommendReply,
    RecommendRequest,
    ServedArm,
    ServedModel,
    SimilarRequest,
)
from service.scoring.scorer import STUDENT, Explanation
from service.serving import ServingBundle

_ENCODER = msgspec.json.Encoder()

NO_MODEL: Final = "no_model"

BATCH_SLICE = 8
"""Requests of a batch that are at work at once. All 64 together would hold the scorer, or the event loop, for as long
as 64 requests take, and a single request behind them would miss its deadline."""


class Routes:
    """deadline_ms: where the caller names none. modelless: who answers before the first bundle is in service."""

    def __init__(
        self, recommender: Recommender, modelless: ModellessAnswers, permits: Permits, deadline_ms: int
    ) -> None:
        self._recommender = recommender
        self._modelless = modelless
        self._permits = permits
        self._deadline_ms = deadline_ms

    async def recommend(self, asked: RecommendRequest, exchange: Exchange) -> RecommendReply:
        """POST /recommend."""
        check_filter(asked.filter)
        exchange.clock.set_budget(self._seconds(asked.deadline_ms))
        try:
            recommendation = await self._recommender.recommend(asked, exchange.clock, exchange.request_id)
        except NotReady:
            modelless = await self._modelless.recommend(asked, exchange.clock, exchange.request_id)
            return _modelless_reply(modelless, exchange)
        return self._reply_to_person(recommendation, exchange, exchange.clock)

    async def recommend_batch(self, asked: RecommendBatchRequest, exchange: Exchange) -> RecommendBatchReply:
        """POST /recommend/batch. BATCH_SLICE requests at a time are submitted before any is awaited, so these are
        scored together; single requests get their turn in between.
        """
        for number, request in enumerate(asked.requests):
            check_filter(request.filter, f"requests[{number}].")
        exchange.n_permits = self._permits.take(len(asked.requests), held=exchange.n_permits)
        clocks = [RequestClock(self._seconds(request.deadline_ms)) for request in asked.requests]
        numbered = list(zip(range(len(clocks)), asked.requests, clocks, strict=True))
        replies: list[RecommendReply] = []
        for start in range(0, len(numbered), BATCH_SLICE):
            part = numbered[start : start + BATCH_SLICE]
            recommendations = await asyncio.gather(*(self._one_of_batch(*each, exchange) for each in part))
            for recommendation, (_, _, clock) in zip(recommendations, part, strict=True):
                reply = (
                    _modelless_reply(recommendation, exchange)
                    if isinstance(recommendation, ModellessAnswer)
                    else self._reply_to_person(recommendation, exchange, clock)
                )
                replies.append(_encoded(reply))
                await asyncio.sleep(0)  # 100 explained items take 0.12 ms: others go first now
        return RecommendBatchReply(exchange.request_id, replies, _milliseconds(exchange.clock))

    async def similar(self, asked: SimilarRequest, exchange: Exchange) -> RecommendReply:
        """POST /similar."""
        check_filter(asked.filter)
        exchange.clock.set_budget(self._seconds(asked.deadline_ms))
        try:
            recommendation = await self._recommender.similar(asked, exchange.clock)
        except NotReady:
            modelless = self._modelless.similar(asked, exchange.clock, exchange.request_id)
            return _modelless_reply(modelless, exchange)
        return _reply(recommendation, None, exchange, exchange.clock)

    async def _one_of_batch(
        self, number: int, asked: RecommendRequest, clock: RequestClock, exchange: Exchange
    ) -> PersonalRecommendation | ModellessAnswer:
        try:
            try:
                return await self._recommender.recommend(asked, clock, exchange.request_id)
            except NotReady:
                return await self._modelless.recommend(asked, clock, exchange.request_id)
        except RequestInvalid as error:
            faults = [Fault(f"requests[{number}].{path}", message) for path, message in error.faults]
            raise RequestInvalid(faults) from error

    def _reply_to_person(
        self, answer: PersonalRecommendation, exchange: Exchange, clock: RequestClock
    ) -> RecommendReply:
        exchange.after_reply.append(partial(self._recommender.settle, answer))
        return _reply(answer, answer.assigned, exchange, clock)

    def _seconds(self, deadline_ms: int | None) -> float:
        return (self._deadline_ms if deadline_ms is None else deadline_ms) / 1000


def check_filter(wanted: Filter | None, prefix: str = "") -> None:
    """Raise RequestInvalid for price bounds that cross."""
    if wanted is None or wanted.min_price is None or wanted.max_price is None:
        return
    if wanted.min_price > wanted.max_price:
        message = f"{wanted.min_price:g} is above max_price {wanted.max_price:g}; swap them or drop one"
        raise RequestInvalid([Fault(f"{prefix}filter.min_price", message)])


def _reply(
    answer: Recommendation, assigned: Assigned | None, exchange: Exchange, clock: RequestClock
) -> RecommendReply:
    exchange.answers.append((answer.ranking.tier, answer.degraded))
    return RecommendReply(
        request_id=exchange.request_id,
        items=_items(answer)
        if answer.explanations is None
        else _explained_items(answer, answer.explanations),
        model=ServedModel(answer.serving.version, STUDENT if assigned is None else assigned.variant),
        experiment=None if assigned is None else ServedArm(assigned.experiment, assigned.arm),
        tier=answer.ranking.tier,
        degraded=answer.degraded,
        shortfall=answer.shortfall,
        took_ms=_milliseconds(clock),
    )


def _modelless_reply(answer: ModellessAnswer, exchange: Exchange) -> RecommendReply:
    """No model made it, so none is named, and its scores are one over the place."""
    exchange.answers.append((NO_MODEL, answer.degraded))
    items = [RecommendedItem(item_id, 1 / place) for place, item_id in enumerate(answer.item_ids, 1)]
    return RecommendReply(
        request_id=answer.request_id,
        items=items,
        model=None,
        experiment=None,
        tier=NO_MODEL,
        degraded=answer.degraded,
        shortfall=answer.shortfall,
        took_ms=_milliseconds(answer.clock),
    )


def _encoded(reply: RecommendReply) -> RecommendReply:
    """The reply as the JSON that it will be in the batch's, which then only has to be put together."""
    return cast(RecommendReply, msgspec.Raw(_ENCODER.encode(reply)))


def _items(answer: Recommendation) -> list[RecommendedItem]:
    """Twenty items in 2 µs: this loop runs once for each item of each reply."""
    items = []
    for (item_id, title), score in zip(answer.labels, answer.scores, strict=True):
        items.append(RecommendedItem(item_id, score, title))
    return items


def _explained_items(answer: Recommendation, explanations: list[Explanation]) -> list[RecommendedItem]:
    items = []
    for item, explanation in zip(_items(answer), explanations, strict=True):
        because, members = _because(explanation.reasons, answer.serving), _members(explanation.members)
        items.append(RecommendedItem(item.item_id, item.score, item.title, because, members))
    return items


def _because(reasons: Reasons, serving: ServingBundle) -> list[Because]:
    own = []
    for item_index, contribution in reasons:
        item_id, title = serving.labels[item_index]
        own.append(Because(item_id, contribution, title))
    return own


def _members(shares: list[MemberShare]) -> list[MemberOpinion]:
    return [MemberOpinion(member, share) for member, share in shares]


def _milliseconds(clock: RequestClock) -> float:
    """To the microsecond, cut off: `round` to three digits costs three times as much."""
    return int(1_000_000 * clock.elapsed()) / 1000
