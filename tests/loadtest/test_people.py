"""The requests that the load consists of, and what counts as an answer."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from loadtest.errors import IdsMissing
from loadtest.people import MIX, Answer, Crowd, PowerLaw, read_ids
from service.edge.openapi.routes import REQUEST_AT

PEOPLE = [f"user-{number}" for number in range(50)]
ITEMS = [f"item-{number}" for number in range(30)]
REPLY = {"items": [{"item_id": "a"}], "shortfall": None, "tier": "student", "degraded": None}


def crowd(seed: int = 0) -> Crowd:
    return Crowd(PEOPLE, ITEMS, Random(seed))


@pytest.mark.parametrize("name", MIX)
def test_every_kind_of_call_is_a_request_the_service_accepts(name: str) -> None:
    visitors = crowd()
    for _ in range(20):
        call = visitors.call(name)
        msgspec.json.decode(json.dumps(call.body), type=REQUEST_AT[call.path])


def test_calls_come_in_the_proportions_of_the_mix() -> None:
    visitors = crowd()
    counts = Counter(visitors.next_call().name for _ in range(5000))
    shares = {name: counts[name] / 50 for name in MIX}
    assert shares == pytest.approx(MIX, abs=3)


def test_the_same_seed_asks_the_same_questions() -> None:
    first, second, other = crowd(1), crowd(1), crowd(2)
    calls = [first.next_call() for _ in range(20)]
    assert [second.next_call() for _ in range(20)] == calls
    assert [other.next_call() for _ in range(20)] != calls


def test_unknown_people_are_unknown_and_known_people_known() -> None:
    visitors = crowd()
    assert visitors.call("recommend unknown person").body["user_id"] not in PEOPLE
    assert visitors.call("recommend known person").body["user_id"] in PEOPLE
    assert "user_id" not in visitors.call("recommend anonymous visit").body


def test_power_law_favours_the_first_ids() -> None:
    drawn = Counter(PowerLaw(PEOPLE).draw(Random(0), 20_000))
    assert drawn["user-0"] / drawn["user-9"] == pytest.approx(10**0.8, rel=0.25)
    assert set(drawn) == set(PEOPLE)


def test_ids_come_from_a_file_or_from_a_pattern(tmp_path: Path) -> None:
    file = tmp_path / "people.txt"
    file.write_text("anna\nбен\n")
    assert read_ids(str(file)) == ["anna", "бен"]
    assert read_ids("user-{}:3") == ["user-0", "user-1", "user-2"]


@pytest.mark.parametrize("source", ["user-{}", "user-{}:none", "user-{}:0"])
def test_a_pattern_without_a_count_is_refused(source: str) -> None:
    with pytest.raises(IdsMissing, match="pattern"):
        read_ids(source)


def test_a_missing_or_empty_file_says_how_to_write_one(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.touch()
    for source in (tmp_path / "missing.txt", empty):
        with pytest.raises(IdsMissing, match="python -m models ids"):
            read_ids(str(source))


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (200, REPLY, None),
        (200, REPLY | {"items": [], "shortfall": "filter"}, None),
        (200, REPLY | {"items": []}, "no items and no shortfall"),
        (200, {"items": [1]}, "not a reply: KeyError"),
        (200, [], "not a reply: TypeError"),
        (429, REPLY, "status 429"),
        (0, REPLY, "no answer"),
    ],
)
def test_an_answer_is_good_only_with_items_or_a_shortfall(status: int, body: Any, fault: str | None) -> None:
    answer = Answer()
    answer.judge(status, json.dumps(body).encode())
    assert answer.fault == fault


def test_a_broken_or_missing_body_is_no_reply() -> None:
    for body in (b"<html>", b"", None):
        answer = Answer()
        answer.judge(200, body)
        assert answer.fault == "not a reply: JSONDecodeError"


def test_an_answer_remembers_tier_and_degradation() -> None:
    answer = Answer()
    answer.judge(200, json.dumps(REPLY | {"tier": "popular", "degraded": "deadline"}).encode())
    assert (answer.tier, answer.degraded) == ("popular", "deadline")
