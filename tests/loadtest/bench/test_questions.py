"""The requests of the bench are requests of the service."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from typing import Any

import msgspec
import pytest

from loadtest.bench.errors import BenchFailed
from loadtest.bench.questions import (
    BATCH_SIZE,
    N_EXCLUDED,
    PLAIN,
    RARE_CATEGORY,
    SCENARIOS,
    Questions,
    Scenario,
    post,
)
from service.edge.openapi.routes import REQUEST_AT

PEOPLE = [f"user-{number}" for number in range(400)]
ITEMS = [f"item-{number}" for number in range(2000)]
BY_NAME = {each.name: each for each in SCENARIOS}


def questions(seed: int = 0) -> Questions:
    return Questions(PEOPLE, ITEMS, n_streams=4, seed=seed)


def bodies(source: Questions, scenario: Scenario, n_bodies: int) -> list[dict[str, Any]]:
    found = []
    for request in islice(source.stream(scenario), n_bodies):
        head, _, body = request.partition(b"\r\n\r\n")
        assert head.startswith(f"POST {scenario.path} HTTP/1.1\r\n".encode())
        assert f"content-length: {len(body)}".encode() in head
        found.append(json.loads(body))
    return found


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_every_request_is_one_that_the_service_accepts(scenario: Scenario) -> None:
    for body in bodies(questions(), scenario, 5):
        msgspec.json.decode(json.dumps(body), type=REQUEST_AT[scenario.path])


def test_the_shares_of_the_assumed_day_make_one_day() -> None:
    assert sum(each.share for each in SCENARIOS) == pytest.approx(1.0)


def test_plain_people_come_by_a_power_law_of_exponent_one() -> None:
    drawn = Counter(body["user_id"] for body in bodies(questions(), BY_NAME[PLAIN], 40_000))
    assert drawn["user-0"] / drawn["user-9"] == pytest.approx(10, rel=0.25)
    assert set(drawn) == set(PEOPLE[:200])


def test_a_fresh_person_is_requested_once_and_is_nobody_known() -> None:
    drawn = questions()
    fresh = [body["user_id"] for _ in range(4) for body in bodies(drawn, BY_NAME["missing_vector"], 1000)]
    assert len(fresh) == len(set(fresh)) == 200
    assert not set(fresh) & set(drawn.known)


def test_fresh_people_are_divided_evenly_among_streams() -> None:
    drawn = questions()
    assert [len(bodies(drawn, BY_NAME["cold_history"], 1000)) for _ in range(4)] == [50] * 4


def test_kinds_hold_what_their_names_say() -> None:
    drawn = questions()
    [batch] = bodies(drawn, BY_NAME["batch_of_16"], 1)
    [excluding] = bodies(drawn, BY_NAME["exclusions_500"], 1)
    [narrowed] = bodies(drawn, BY_NAME["filter_one_percent"], 1)
    [visiting] = bodies(drawn, BY_NAME["session_of_ten"], 1)
    assert len(batch["requests"]) == BATCH_SIZE == BY_NAME["batch_of_16"].n_answers
    assert len(set(excluding["exclude_items"])) == N_EXCLUDED
    assert narrowed["filter"] == {"categories": [RARE_CATEGORY]}
    assert len({event["item_id"] for event in visiting["session"]}) == 10


def test_equal_seeds_ask_equal_questions() -> None:
    first, second, other = (bodies(questions(seed), BY_NAME[PLAIN], 50) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_a_kind_without_a_body_is_refused() -> None:
    with pytest.raises(BenchFailed, match="'new kind'"):
        questions().stream(Scenario("new kind", "", 0.0))


def test_a_shop_of_one_person_is_too_small() -> None:
    with pytest.raises(BenchFailed, match="too few"):
        Questions(["user-0"], ITEMS, n_streams=1)


def test_ids_in_any_script_are_counted_in_bytes() -> None:
    head, _, body = post("/recommend", '{"user_id":"бен"}'.encode()).partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head
