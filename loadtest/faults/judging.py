"""Judge whether an answer is right, or says of itself that it is degraded."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Literal, NamedTuple

import msgspec

from loadtest.faults.lane import Reply
from loadtest.promotion.answers import References
from loadtest.promotion.questions import Question

Kind = Literal["good", "degraded", "failed", "wrong"]


class Judgement(NamedTuple):
    """The judgement of an answer. words: why it is not good; for a degraded one, the reason that it gives itself."""

    kind: Kind
    words: str = ""


GOOD = Judgement("good")
BOUGHT = "an item that was bought, and no word of it"
OTHER = "other items than this one gets, and no word of it"
STALE = frozenset({BOUGHT, OTHER})
"""What is wrong with answers that do not know of an event."""

LANE_IS_FULL = frozenset({"429 overloaded of a batch"})
"""The refusal that batches get while others fill their lane."""


class ShownItem(msgspec.Struct):
    """The part of an item that a page needs."""

    item_id: str
    score: float


class Model(msgspec.Struct):
    """The model that made an answer."""

    version: str
    variant: str


class Answer(msgspec.Struct):
    """The part of an answer that a shop reads."""

    items: list[ShownItem]
    model: Model | None
    tier: str
    degraded: str | None
    shortfall: str | None


class Answers(msgspec.Struct):
    """The answers of a batch."""

    replies: list[Answer]


class Problem(msgspec.Struct):
    """An error document as in RFC 9457."""

    type: str
    title: str
    status: int
    detail: str


def read_answers(reply: Reply, question: Question) -> list[Answer] | Judgement:
    """Return the answers in a reply, or the judgement why there are none that a shop could use."""
    if reply.status == 0:
        return Judgement("failed", reply.fault)
    if reply.status != 200:
        of_whom = " of a batch" if "requests" in question.body else ""
        return Judgement("failed", f"{reply.status} {_problem_of(reply)}{of_whom}")
    try:
        if "requests" in question.body:
            return msgspec.json.decode(reply.body, type=Answers).replies
        return [msgspec.json.decode(reply.body, type=Answer)]
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return Judgement("failed", f"not a reply: {error}"[:120])


def judge(reply: Reply, question: Question, bought: Collection[str] = ()) -> Judgement:
    """Judge a reply without knowing the right items. bought: what the asking person has bought by now.

    No answer may contain what the question excludes, whatever it says of itself. It may contain what was bought
    elsewhere only if it says that it is degraded.
    """
    answers = read_answers(reply, question)
    if isinstance(answers, Judgement):
        return answers
    requests = question.body.get("requests", [question.body])
    if len(answers) != len(requests):
        return Judgement("wrong", f"{len(answers)} answers to {len(requests)} requests")
    judgements = [_judge_one(answer, each, bought) for answer, each in zip(answers, requests, strict=True)]
    return next((each for kind in ("wrong", "degraded") for each in judgements if each.kind == kind), GOOD)


def judge_known(reply: Reply, question: Question, number: int, references: References) -> Judgement:
    """Judge by what the answering version says to this question when nothing is wrong. number: of the question."""
    judgement = judge(reply, question)
    if judgement is not GOOD:
        return judgement
    body = json.loads(reply.body)
    if references.by_version and not references.holds(number, body.get("replies", [body])):
        return Judgement("wrong", OTHER)
    return GOOD


def _judge_one(answer: Answer, request: dict[str, object], bought: Collection[str]) -> Judgement:
    items = [item.item_id for item in answer.items]
    if len(set(items)) < len(items):
        return Judgement("wrong", "an item twice")
    if found := forbidden_to(request) & set(items):
        return Judgement("wrong", f"an item that the question excludes, {min(found)}")
    if len(items) > limit_of(request) or (len(items) < limit_of(request) and answer.shortfall is None):
        return Judgement("wrong", f"{len(items)} of {limit_of(request)} items and no word of it")
    if answer.degraded is not None:
        return Judgement("degraded", answer.degraded)
    if set(bought) & set(items):
        return Judgement("wrong", BOUGHT)
    return GOOD


def forbidden_to(request: dict[str, object]) -> set[str]:
    """Return items that no answer to this request may contain, whatever is unavailable."""
    excluded, session = request.get("exclude_items", []), request.get("session", [])
    assert isinstance(excluded, list)
    assert isinstance(session, list)
    viewed = {request["item_id"]} if "item_id" in request else set()
    touched = session if request.get("known_items") == "leave_out_touched" else []
    return {*excluded, *(event["item_id"] for event in touched), *map(str, viewed)}


def limit_of(request: dict[str, object]) -> int:
    """Return how many items are wanted."""
    limit = request.get("limit", 10)
    assert isinstance(limit, int)
    return limit


def _problem_of(reply: Reply) -> str:
    """Return the type of a problem document, or what is there instead."""
    try:
        problem = msgspec.json.decode(reply.body, type=Problem)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError):
        return f"and no problem document: {reply.body[:40]!r}"
    return problem.type.rpartition(":")[2]
