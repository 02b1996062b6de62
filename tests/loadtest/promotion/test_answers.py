"""An answer is right only if it is wholly what its own version says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loadtest.promotion.answers import TOLERANCE, Judged, References, count_faults
from loadtest.promotion.traffic import Answered

Items = list[tuple[str, float]]
ONE: Items = [(f"item-{number}", 2.0 - number / 10) for number in range(21)]  # spread 2
OTHER: Items = [(f"item-{number}", 2.0 - number / 10) for number in range(10, 31)]
LIMIT = 2 * TOLERANCE


def part(items: Items, version: str = "v1", **changes: Any) -> dict[str, Any]:
    shown = [{"item_id": item_id, "score": score, "title": f"Title of {item_id}"} for item_id, score in items]
    reply = {
        "request_id": "x",
        "items": shown,
        "model": {"version": version},
        "tier": "student",
        "degraded": None,
    }
    return reply | changes


def batch(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"request_id": "x", "replies": list(parts), "took_ms": 1.0}


def answered(reply: Any, question: int = 0, *, is_ok: bool = True) -> Answered:
    return Answered(0.0, 0.001, question, is_ok, json.dumps(reply).encode())


@pytest.fixture
def references() -> References:
    """Of two versions that answer a plain question and a batch of two."""
    known = References()
    for version, items in (("v1", ONE), ("v2", OTHER)):
        replies = [part(items, version), batch(part(items, version), part(items[:10], version))]
        known.learn(version, [json.dumps(reply).encode() for reply in replies])
    return known


def moved(items: Items, by: float) -> Items:
    return [(item_id, score + by) for item_id, score in items]


@pytest.mark.parametrize(
    ("items", "is_mixed"),
    [
        (ONE, False),
        (moved(ONE, 0.9 * LIMIT), False),
        (moved(ONE, 1.1 * LIMIT), True),
        ([ONE[1], ONE[0], *ONE[2:]], False),  # places are told by scores
        ([*ONE[:20], ("item-99", 0.0)], False),  # entered at the last place, with its score
        ([*ONE[:10], *OTHER[10:]], True),
        ([*ONE[:3], *ONE[4:], ("item-99", 0.0)], True),  # nobody falls from the fourth place to the last
        (OTHER, True),
        (ONE[:20], True),
    ],
)
def test_answer_is_mixed_unless_it_is_nearly_what_its_version_said_in_quiet(
    references: References, items: Items, is_mixed: bool
) -> None:
    judged = references.judge(answered(part(items)))
    assert judged == Judged(None, frozenset({"v1"}), is_mixed)


def test_every_part_of_a_batch_is_compared_with_its_own_version(references: References) -> None:
    both = batch(part(ONE, "v1"), part(OTHER[:10], "v2"))
    assert references.judge(answered(both, 1)) == Judged(None, frozenset({"v1", "v2"}), False)
    swapped = batch(part(ONE, "v1"), part(ONE[:10], "v2"))
    assert references.judge(answered(swapped, 1)).is_mixed
    assert references.judge(answered(batch(part(ONE, "v1")), 1)).is_mixed


def test_titles_of_another_version_and_a_version_that_was_never_heard_are_mixed(
    references: References,
) -> None:
    retitled = part(ONE)
    retitled["items"][3]["title"] = "Another"
    assert references.judge(answered(retitled)).is_mixed
    assert references.judge(answered(part(ONE, "v3"))).is_mixed


def test_what_is_no_good_answer_has_failed(references: References) -> None:
    judged = [
        references.judge(answered(part(ONE), is_ok=False)),
        references.judge(answered(part(ONE, degraded="deadline", tier="popular"))),
        references.judge(answered(part([]))),
        references.judge(answered({"detail": "no"})),
        references.judge(Answered(0.0, 1.0, 0, True, b"{")),
    ]
    assert count_faults(judged) == {
        "no answer of status 200": 1,
        "degraded: deadline": 1,
        "no items": 1,
        "not a reply: KeyError": 1,
        "not a reply: JSONDecodeError": 1,
    }


def test_questions_that_versions_answer_alike_tell_nothing() -> None:
    known = References()
    known.learn("v1", [json.dumps(part(items)).encode() for items in (ONE, ONE)])
    known.learn("v2", [json.dumps(part(items, "v2")).encode() for items in (ONE, OTHER)])
    assert known.tell_apart() == 0.5


@pytest.mark.parametrize("reply", [part(ONE, "v2"), part(ONE, degraded="deadline")])
def test_reference_that_is_not_its_versions_good_answer_is_refused(reply: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="question 0 is not answered by v1"):
        References().learn("v1", [json.dumps(reply).encode()])
