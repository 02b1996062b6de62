"""The POST routes: validated request in, one call, reply out."""

from __future__ import annotations

import asyncio

from models.explanations import Reasons
from models.member_shares import MemberShare
from service.deadline import RequestClock
from service.endpoint import Exchange
from service.errors import Fault, RequestInvalid
from service.permits import Permits
from service.recommender import Recommendation, Recommender
from service.schemas import (
    Because,
    Filter,
    MemberOpinion,
    RecommendBatchReply,
    RecommendBatchRequest,
    RecommendedItem,
    RecommendReply,
    RecommendRequest,
    ServedModel,
    SimilarRequest,
)
from service.serving import ServingBundle


class Routes:
    """deadline_ms: where the caller names none."""

    def __init__(self, recommender: Recommender, permits: Permits, deadline_ms: int) -> None:
        self._recommender = recommender
        self._permits = permits
        self._deadline_ms = deadline_ms

    async def recommend(self, asked: RecommendRequest, exchange: Exchange) -> RecommendReply:
        """POST /recommend."""
        check_filter(asked.filter)
        exchange.clock.set_budget(self._seconds(asked.deadline_ms))
        recommendation = await self._recommender.recommend(asked, exchange.clock)
        return _reply(recommendation, exchange, exchange.clock)

    async def recommend_batch(self, asked: RecommendBatchRequest, exchange: Exchange) -> RecommendBatchReply:
        """POST /recommend/batch. All are submitted before any is awaited, so they are scored together."""
        for number, request in enumerate(asked.requests):
            check_filter(request.filter, f"requests[{number}].")
        exchange.n_permits = self._permits.take(len(asked.requests), held=exchange.n_permits)
        clocks = [RequestClock(self._seconds(request.deadline_ms)) for request in asked.requests]
        recommendations = await asyncio.gather(
            *(
                self._one_of_batch(number, request, clock)
                for number, (request, clock) in enumerate(zip(asked.requests, clocks, strict=True))
            )
        )
        replies = [
            _reply(*pair) for pair in zip(recommendations, [exchange] * len(clocks), clocks, strict=True)
        ]
        return RecommendBatchReply(exchange.request_id, replies, _milliseconds(exchange.clock))

    async def similar(self, asked: SimilarRequest, exchange: Exchange) -> RecommendReply:
        """POST /similar."""
        check_filter(asked.filter)
        exchange.clock.set_budget(self._seconds(asked.deadline_ms))
        recommendation = await self._recommender.similar(asked, exchange.clock)
        return _reply(recommendation, exchange, exchange.clock)

    async def _one_of_batch(
        self, number: int, asked: RecommendRequest, clock: RequestClock
    ) -> Recommendation:
        try:
            return await self._recommender.recommend(asked, clock)
        except RequestInvalid as error:
            faults = [Fault(f"requests[{number}].{path}", message) for path, message in error.faults]
            raise RequestInvalid(faults) from error

    def _seconds(self, deadline_ms: int | None) -> float:
        return (self._deadline_ms if deadline_ms is None else deadline_ms) / 1000


def check_filter(wanted: Filter | None, prefix: str = "") -> None:
    """Raise RequestInvalid for price bounds that cross."""
    if wanted is None or wanted.min_price is None or wanted.max_price is None:
        return
    if wanted.min_price > wanted.max_price:
        message = f"{wanted.min_price:g} is above max_price {wanted.max_price:g}; swap them or drop one"
        raise RequestInvalid([Fault(f"{prefix}filter.min_price", message)])


def _reply(recommendation: Recommendation, exchange: Exchange, clock: RequestClock) -> RecommendReply:
    ranking = recommendation.ranking
    exchange.answers.append((ranking.tier, recommendation.degraded))
    if recommendation.after_reply is not None:
        exchange.after_reply.append(recommendation.after_reply)
    return RecommendReply(
        request_id=exchange.request_id,
        items=_items(recommendation),
        model=ServedModel(recommendation.serving.version),
        tier=ranking.tier,
        degraded=recommendation.degraded,
        shortfall=recommendation.shortfall,
        took_ms=_milliseconds(clock),
    )


def _items(recommendation: Recommendation) -> list[RecommendedItem]:
    serving, ranking = recommendation.serving, recommendation.ranking
    items = []
    for rank, (item_index, score) in enumerate(
        zip(ranking.item_indices.tolist(), ranking.scores.tolist(), strict=True)
    ):
        item_id, title = serving.label(item_index)
        because = members = None
        if recommendation.explanations is not None:
            explanation = recommendation.explanations[rank]
            because = _because(explanation.reasons, serving)
            members = _members(explanation.members)
        items.append(RecommendedItem(item_id, score, title, because, members))
    return items


def _because(reasons: Reasons, serving: ServingBundle) -> list[Because]:
    own = []
    for item_index, contribution in reasons:
        item_id, title = serving.label(item_index)
        own.append(Because(item_id, contribution, title))
    return own


def _members(shares: list[MemberShare]) -> list[MemberOpinion]:
    return [MemberOpinion(member, share) for member, share in shares]


def _milliseconds(clock: RequestClock) -> float:
    return round(1000 * clock.elapsed(), 3)
