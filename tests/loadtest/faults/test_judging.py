"""An answer is good, says itself that it is not, has failed, or is wrong; nothing in between."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loadtest.faults.judging import GOOD, judge, judge_known
from loadtest.faults.lane import LOST, Reply
from loadtest.promotion.answers import References
from loadtest.promotion.questions import Question

REQUEST = {
    "user_id": "p",
    "limit": 3,
    "exclude_items": ["x"],
    "session": [{"item_id": "s"}],
    "known_items": "leave_out_touched",
}

NOT_READY = {"type": "urn:stillroom:problem:not-ready", "title": "", "status": 503, "detail": ""}


def answer(*items: str, **changes: Any) -> dict[str, Any]:
    """As the service gives it."""
    shown = [{"item_id": item, "score": 3.0 - place, "title": item} for place, item in enumerate(items)]
    usual = {
        "items": shown,
        "model": {"version": "v1", "variant": "student"},
        "tier": "student",
        "degraded": None,
        "shortfall": None,
    }
    return usual | changes


def replied(body: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(body).encode())


def kind_of(body: Any, question: dict[str, Any] = REQUEST, bought: tuple[str, ...] = ()) -> str:
    return judge(replied(body), Question("/recommend", question), bought).kind


def test_good_one_is_good() -> None:
    assert judge(replied(answer("a", "b", "c")), Question("/recommend", REQUEST)) is GOOD


@pytest.mark.parametrize(
    "body",
    [
        answer("a", "b", "x"),
        answer("a", "b", "s"),
        answer("a", "a", "b"),
        answer("a", "b"),
        answer("a", "b", "c", "d"),
        answer("a", "b", "x", degraded="redis_unavailable"),
    ],
    ids=["excluded", "of_this_visit", "twice", "short", "too_long", "excluded_with_an_excuse"],
)
def test_what_a_question_forbids_is_wrong(body: dict[str, Any]) -> None:
    assert kind_of(body) == "wrong"


def test_short_answer_that_says_why_is_good() -> None:
    assert kind_of(answer("a", shortfall="catalogue")) == "good"


def test_what_was_bought_is_wrong_unless_the_answer_says_that_something_is_away() -> None:
    assert kind_of(answer("a", "b", "c"), bought=("b",)) == "wrong"
    assert kind_of(answer("a", "b", "c", degraded="redis_unavailable"), bought=("b",)) == "degraded"


def test_item_of_the_question_is_no_answer_to_similar() -> None:
    assert kind_of(answer("a", "b", "c"), {"item_id": "a", "limit": 3}) == "wrong"


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(0, b"", LOST), LOST),
        (replied(NOT_READY, 503), "503 not-ready"),
        (Reply(400, b"Invalid HTTP request"), "400 and no problem document: b'Invalid HTTP request'"),
        (Reply(200, b'{"items": 3}'), "not a reply: Expected `array`, got `int` - at `$.items`"),
        (Reply(200, b"\xff"), "not a reply: JSON is malformed: invalid character (byte 0)"),
    ],
)
def test_no_answer_is_a_failure_that_says_what_came(reply: Reply, words: str) -> None:
    judgement = judge(reply, Question("/recommend", REQUEST))
    assert (judgement.kind, judgement.words) == ("failed", words)


def test_batch_is_as_bad_as_its_worst_answer() -> None:
    batch = {"requests": [REQUEST, REQUEST, REQUEST]}
    good, excused, wrong = (
        answer("a", "b", "c"),
        answer("a", "b", "c", degraded="deadline"),
        answer("x", "b", "c"),
    )
    assert kind_of({"replies": [good, good, good]}, batch) == "good"
    assert kind_of({"replies": [good, excused, good]}, batch) == "degraded"
    assert kind_of({"replies": [excused, good, wrong]}, batch) == "wrong"
    assert kind_of({"replies": [good, good]}, batch) == "wrong"


def test_known_answer_may_differ_only_with_an_excuse() -> None:
    references = References()
    references.learn("v1", [json.dumps(answer("a", "b", "c")).encode()])
    question = Question("/recommend", {"user_id": "p", "limit": 3})

    def kind(body: dict[str, Any]) -> str:
        return judge_known(replied(body), question, 0, references).kind

    assert kind(answer("a", "b", "c")) == "good"
    assert kind(answer("c", "b", "a")) == "wrong"
    assert kind(answer("c", "b", "a", degraded="deadline")) == "degraded"
    assert kind(answer("a", "b", "c", model={"version": "v2", "variant": "student"})) == "wrong"
