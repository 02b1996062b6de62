"""The POST routes: each takes a validated request, makes one call and returns a reply."""

from __future__ import annotations

import asyncio
from functools import partial
from hashlib import blake2b
from typing import cast

import msgspec

from models.experiments.assignment import Assigned
from models.explanations import Reasons
from models.member_shares import MemberShare
from models.repurchase import Due
from service.answers.known_items import check_known_items
from service.answers.no_model.answers import ModellessAnswer, ModellessAnswers
from service.answers.recommendation import PersonalRecommendation, Recommendation
from service.answers.recommender import Recommender
from service.bundles.serving import ServingBundle
from service.contract.errors import DeadlineExceeded, Fault, NotReady, RequestInvalid
from service.contract.schemas import (
    MAX_REQUEST_ID_CHARACTERS,
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
from service.edge.endpoints.endpoint import Exchange
from service.limits.deadline import RequestClock
from service.limits.permits import Permits
from service.scoring.scorer import STUDENT, Explanation

_ENCODER = msgspec.json.Encoder()

BATCH_SLICE = 8
"""How many requests of a batch are at work at once. All 64 together would hold the scorer, or the event loop, for as
long as 64 requests take, and a single request behind them would miss its deadline."""

MISSED = "deadline_missed"
"""The value of `degraded` if the answer is complete but came after its deadline."""

LATE = frozenset({MISSED, DeadlineExceeded.reason})

BatchAnswer = PersonalRecommendation | ModellessAnswer


class Routes:
    """deadline_ms: the default if the request names none. modelless: answers before the first bundle is in service.
    batch_permits: permits for requests in batches, which therefore never take the place of single requests.
    """

    def __init__(
        self,
        recommender: Recommender,
        modelless: ModellessAnswers,
        batch_permits: Permits,
        deadline_ms: int,
    ) -> None:
        self._recommender = recommender
        self._modelless = modelless
        self._batch_permits = batch_permits
        self._deadline_ms = deadline_ms

    async def recommend(self, request: RecommendRequest, exchange: Exchange) -> RecommendReply:
        """POST /recommend."""
        check_question(request)
        exchange.clock.set_budget(self._seconds(request.deadline_ms))
        answer: BatchAnswer
        try:
            answer = await self._recommender.recommend(request, exchange.clock, exchange.request_id)
        except NotReady:
            answer = await self._modelless.recommend(request, exchange.clock, exchange.request_id)
            return self._reply_without_model(answer, exchange)
        reply = _reply(answer, answer.assigned, exchange.request_id, exchange.clock)
        exchange.answers.append((reply.tier, reply.degraded))
        exchange.after_reply.append(partial(self._recommender.settle, answer))
        return reply

    async def recommend_batch(self, batch: RecommendBatchRequest, exchange: Exchange) -> RecommendBatchReply:
        """POST /recommend/batch. BATCH_SLICE requests at a time are submitted before any is awaited, so these are
        scored together; single requests get their turn in between.
        """
        for number, request in enumerate(batch.requests):
            check_question(request, f"requests[{number}].")
        exchange.n_permits = self._batch_permits.take(len(batch.requests), held=exchange.n_permits)
        clocks = [
            exchange.clock.with_budget(self._seconds(request.deadline_ms)) for request in batch.requests
        ]
        numbered = list(zip(range(len(clocks)), batch.requests, clocks, strict=True))
        answers: list[BatchAnswer] = []
        replies: list[RecommendReply] = []
        for start in range(0, len(numbered), BATCH_SLICE):
            part = numbered[start : start + BATCH_SLICE]
            made = await asyncio.gather(*(self._one_of_batch(*each, exchange) for each in part))
            for answer in made:
                if not isinstance(answer, ModellessAnswer):
                    exchange.after_reply.append(partial(self._recommender.settle, answer))
                answers.append(answer)
                replies.append(_encoded(answer))
                await asyncio.sleep(0)  # 100 explained items take 0.12 ms: let other requests run first
        await _mark_late(answers, replies)
        exchange.answers.extend((answer.tier, answer.degraded) for answer in answers)
        took_ms = _milliseconds(exchange.clock.elapsed())
        return RecommendBatchReply(exchange.request_id, replies, took_ms)

    async def similar(self, request: SimilarRequest, exchange: Exchange) -> RecommendReply:
        """POST /similar."""
        check_filter(request.filter)
        exchange.clock.set_budget(self._seconds(request.deadline_ms))
        answer: Recommendation | ModellessAnswer
        try:
            answer = await self._recommender.similar(request, exchange.clock)
        except NotReady:
            answer = self._modelless.similar(request, exchange.clock, exchange.request_id)
            return self._reply_without_model(answer, exchange)
        reply = _reply(answer, None, exchange.request_id, exchange.clock)
        exchange.answers.append((reply.tier, reply.degraded))
        return reply

    async def _one_of_batch(
        self, number: int, request: RecommendRequest, clock: RequestClock, exchange: Exchange
    ) -> BatchAnswer:
        """Answer one request of a batch. Raises RequestInvalid with its place in the batch."""
        request_id = id_in_batch(exchange.request_id, number)
        try:
            try:
                return await self._recommender.recommend(request, clock, request_id)
            except NotReady:
                return await self._modelless.recommend(request, clock, request_id)
        except RequestInvalid as error:
            faults = [Fault(f"requests[{number}].{path}", message) for path, message in error.faults]
            raise RequestInvalid(faults) from error

    def _reply_without_model(self, answer: ModellessAnswer, exchange: Exchange) -> RecommendReply:
        reply = _modelless_reply(answer)
        exchange.answers.append((reply.tier, reply.degraded))
        return reply

    def _seconds(self, deadline_ms: int | None) -> float:
        return (self._deadline_ms if deadline_ms is None else deadline_ms) / 1000


def id_in_batch(request_id: str, number: int) -> str:
    """Return the id of one request of a batch, to which a click on its answer is attributed. If it would exceed the
    length of an id, a hash takes the place of the batch's id.
    """
    suffix = f".{number}"
    if len(request_id) + len(suffix) > MAX_REQUEST_ID_CHARACTERS:
        digest = blake2b(request_id.encode(), digest_size=16).hexdigest()
        request_id = request_id[: MAX_REQUEST_ID_CHARACTERS - len(digest) - len(suffix)] + digest
    return request_id + suffix


def check_question(request: RecommendRequest, prefix: str = "") -> None:
    """Raise RequestInvalid for fields that contradict each other."""
    check_filter(request.filter, prefix)
    check_known_items(request, prefix)


def check_filter(wanted: Filter | None, prefix: str = "") -> None:
    """Raise RequestInvalid for price bounds that cross."""
    if wanted is None or wanted.min_price is None or wanted.max_price is None:
        return
    if wanted.min_price > wanted.max_price:
        message = f"{wanted.min_price:g} is above max_price {wanted.max_price:g}; swap them or drop one"
        raise RequestInvalid([Fault(f"{prefix}filter.min_price", message)])


def _reply(
    answer: Recommendation, assigned: Assigned | None, request_id: str, clock: RequestClock
) -> RecommendReply:
    items = _items(answer) if answer.explanations is None else _explained_items(answer, answer.explanations)
    if (due := answer.due) is not None:
        items = _due_items(items, due)
    elapsed = _look_at_clock(answer, clock)
    return RecommendReply(
        request_id=request_id,
        items=items,
        model=ServedModel(answer.serving.version, STUDENT if assigned is None else assigned.variant),
        experiment=None if assigned is None else ServedArm(assigned.experiment, assigned.arm),
        tier=answer.ranking.tier,
        degraded=answer.degraded,
        shortfall=answer.shortfall,
        took_ms=_milliseconds(elapsed),
    )


def _modelless_reply(answer: ModellessAnswer) -> RecommendReply:
    """Reply without a model: no model is named, and each score is 1 / place."""
    items = [RecommendedItem(item_id, 1 / place) for place, item_id in enumerate(answer.item_ids, 1)]
    elapsed = _look_at_clock(answer, answer.clock)
    return RecommendReply(
        request_id=answer.request_id,
        items=items,
        model=None,
        experiment=None,
        tier=answer.tier,
        degraded=answer.degraded,
        shortfall=answer.shortfall,
        took_ms=_milliseconds(elapsed),
    )


def _look_at_clock(answer: Recommendation | ModellessAnswer, clock: RequestClock) -> float:
    """Return the seconds so far; if they exceed the deadline, write so into the answer."""
    elapsed = clock.elapsed()
    if not clock.allows(elapsed) and answer.degraded not in LATE:
        answer.degraded = MISSED
    return elapsed


def _encoded(answer: BatchAnswer) -> RecommendReply:
    """Encode the reply to the JSON that the batch's reply will contain, so that it only has to be joined."""
    if isinstance(answer, ModellessAnswer):
        reply = _modelless_reply(answer)
    else:
        reply = _reply(answer, answer.assigned, answer.request_id, answer.clock)
    return cast(RecommendReply, msgspec.Raw(_ENCODER.encode(reply)))


async def _mark_late(answers: list[BatchAnswer], replies: list[RecommendReply]) -> None:
    """Encode again the replies whose deadline has passed meanwhile: all replies of a batch leave together."""
    while late := [number for number, answer in enumerate(answers) if _has_become_late(answer)]:
        for number in late:
            replies[number] = _encoded(answers[number])
            await asyncio.sleep(0)


def _has_become_late(answer: BatchAnswer) -> bool:
    return answer.degraded not in LATE and not answer.clock.allows(answer.clock.elapsed())


def _items(answer: Recommendation) -> list[RecommendedItem]:
    """List the items, 20 in 2 µs: this loop runs once for each item of each reply."""
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


def _due_items(items: list[RecommendedItem], due: list[Due | None]) -> list[RecommendedItem]:
    """Say of each item to buy again when it is due, where that is known."""
    return [
        item if own is None else msgspec.structs.replace(item, due_in_days=own.in_days, reason=own.reason)
        for item, own in zip(items, due, strict=True)
    ]


def _because(reasons: Reasons, serving: ServingBundle) -> list[Because]:
    own = []
    for item_index, contribution in reasons:
        item_id, title = serving.labels[item_index]
        own.append(Because(item_id, contribution, title))
    return own


def _members(shares: list[MemberShare]) -> list[MemberOpinion]:
    return [MemberOpinion(member, share) for member, share in shares]


def _milliseconds(seconds: float) -> float:
    """Convert to milliseconds, cut off at the microsecond: `round` to three digits costs three times as much."""
    return int(1_000_000 * seconds) / 1000
