"""known_items: what happens to the person's own items, the same in every tier, arm and route."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from models.bundles.bundle import write_bundle
from models.bundles.registry import Registry
from service.contract.errors import StudentFailed
from service.scoring.scorer import Scored
from tests.support.bundles import N_ITEMS, tiny_contents
from tests.support.events import body, did
from tests.support.no_model import are_counted, send
from tests.support.service import Running, ids_of, running

OWN = ["item-1", "item-5", "item-9"]
"""What user-1 has bought, by the bundle."""
REST = ["item-13", "item-17", "item-21"]
VIEW = [{"item_id": "item-13"}]
PURCHASE = [{"item_id": "item-13", "kind": "purchase"}]


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ({}, OWN),
        ({"known_items": "rank"}, OWN),
        ({"known_items": None, "exclude_seen": None}, OWN),
        ({"known_items": "leave_out_bought"}, REST),
        ({"known_items": "leave_out_touched"}, REST),
        ({"known_items": "only"}, OWN),
        ({"exclude_seen": False}, OWN),
        ({"exclude_seen": True}, REST),
        ({"known_items": "leave_out_bought", "session": VIEW}, REST),
        ({"known_items": "leave_out_touched", "session": VIEW}, ["item-17", "item-21", "item-25"]),
        ({"known_items": "leave_out_bought", "session": PURCHASE}, ["item-17", "item-21", "item-25"]),
        (
            {"known_items": "only", "session": PURCHASE, "exclude_items": OWN[:1]},
            ["item-5", "item-9", "item-13"],
        ),
        ({"known_items": "only", "filter": {"min_price": 6}, "limit": 2}, ["item-5", "item-9"]),
    ],
)
async def test_own_items_are_treated_as_asked(
    service: Running, asked: dict[str, Any], first: list[str]
) -> None:
    for _ in range(2):  # the second time, the person's vector and query are at hand
        answer = await service.recommend(**{"user_id": "user-1", "limit": 3} | asked)
        assert ids_of(answer) == first
        assert answer["tier"] == "student"


async def test_only_gives_nothing_but_bought_items_and_says_how_many_there_are(service: Running) -> None:
    answer = await service.recommend(user_id="user-1", known_items="only")
    assert ids_of(answer) == OWN
    said = "there are only 3 items that may be recommended and have a purchase event of this person"
    assert answer["shortfall"] == f"3 of 10: {said}"
    answer = await service.recommend(user_id="user-1", known_items="only", filter={"max_price": 6})
    assert ids_of(answer) == OWN[:2]
    assert answer["shortfall"].endswith("have a purchase event of this person, the filter leaves no more")


async def test_only_says_when_an_item_is_due_again(service: Running) -> None:
    """The clock of the bundle says seven days; of the last item it knows nothing."""
    last = f"item-{N_ITEMS - 1}"
    visit = [{"item_id": "item-13", "kind": "purchase"}, {"item_id": last, "kind": "purchase"}]
    answer = await service.recommend(user_id="user-1", known_items="only", session=visit)
    items = {item["item_id"]: item for item in answer["items"]}
    assert (items["item-13"]["due_in_days"], items["item-13"]["reason"]) == (7, "about every 7 days")
    assert items["item-1"]["due_in_days"] < -300  # bought long ago
    assert "due_in_days" not in items[last]


@pytest.mark.parametrize("asked", [{}, {"known_items": "leave_out_bought"}, {"explain": True}])
async def test_nothing_is_due_where_all_items_are_ranked(service: Running, asked: dict[str, Any]) -> None:
    answer = await service.recommend(user_id="user-1", session=PURCHASE, **asked)
    assert not any("due_in_days" in item or "reason" in item for item in answer["items"])


async def test_what_is_due_is_told_beside_an_explanation(service: Running) -> None:
    answer = await service.recommend(user_id="user-1", known_items="only", session=PURCHASE, explain=True)
    assert all({"because", "due_in_days"} <= set(item) for item in answer["items"])


@pytest.mark.parametrize("asked", [{}, {"user_id": "nobody"}, {"session": VIEW}])
async def test_who_has_bought_nothing_gets_an_empty_answer_that_says_so(
    service: Running, asked: dict[str, Any]
) -> None:
    answer = await service.recommend(known_items="only", **asked)
    assert answer["items"] == []
    said = "known_items is only, and no item that may be recommended has a purchase event of this person"
    assert answer["shortfall"] == f"0 of 10: {said}"


async def test_what_was_bought_live_counts_as_bought(service: Running) -> None:
    events = body("k", did("purchase", "item-13", "user-1"), did("view", "item-17", "user-1"))
    assert (await service.client.post("/events", json=events)).status_code == 202
    answer = await service.recommend(user_id="user-1", known_items="only")
    assert ids_of(answer) == [*OWN, "item-13"]
    answer = await service.recommend(user_id="user-1", known_items="leave_out_bought", limit=1)
    assert ids_of(answer) == ["item-17"]
    answer = await service.recommend(user_id="user-1", known_items="leave_out_touched", limit=1)
    assert ids_of(answer) == ["item-21"]


async def test_what_was_disliked_is_left_out_with_what_was_bought_and_never_bought_again(
    service: Running,
) -> None:
    asked = {"session": [{"item_id": "item-13", "kind": "dislike"}], "limit": N_ITEMS}
    assert "item-13" in ids_of(await service.recommend(**asked, known_items="rank"))
    for rule in ("leave_out_bought", "leave_out_touched"):
        assert "item-13" not in ids_of(await service.recommend(**asked, known_items=rule))
    assert ids_of(await service.recommend(**asked, known_items="only")) == []


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ({}, REST),
        ({"exclude_seen": False}, OWN),
        ({"known_items": "rank"}, OWN),
        ({"known_items": "only"}, OWN),
        ({"session": PURCHASE}, ["item-17", "item-21", "item-25"]),
    ],
)
async def test_in_a_shop_where_nothing_comes_back_the_bundle_leaves_out_what_people_have(
    tmp_path: Path, asked: dict[str, Any], first: list[str]
) -> None:
    contents = dataclasses.replace(tiny_contents(), known_items="leave_out_bought")
    Registry(tmp_path).promote(write_bundle(tmp_path, contents).name)
    async with running(tmp_path) as service:
        for _ in range(2):
            answer = await service.recommend(**{"user_id": "user-1", "limit": 3} | asked)
            assert ids_of(answer) == first


@pytest.mark.parametrize("seen", [True, False])
async def test_both_fields_together_are_refused_with_the_remedy(service: Running, seen: bool) -> None:
    asked = {"known_items": "rank", "exclude_seen": seen}
    problem = (await service.client.post("/recommend", json=asked)).json()
    assert problem["status"] == 422
    [fault] = problem["errors"]
    assert fault["path"] == "exclude_seen"
    instead = "leave_out_touched" if seen else "rank"
    assert f'exclude_seen {str(seen).lower()}, which is known_items "{instead}"' in fault["message"]
    assert fault["message"].endswith("leave exclude_seen out")
    problem = (await service.client.post("/recommend/batch", json={"requests": [{}, asked]})).json()
    assert [fault["path"] for fault in problem["errors"]] == ["requests[1].exclude_seen"]


async def test_a_value_that_is_none_of_them_is_refused_with_all_of_them(service: Running) -> None:
    problem = (await service.client.post("/recommend", json={"known_items": "all"})).json()
    expected = 'expected one of rank, leave_out_bought, leave_out_touched, only; got "all"'
    assert problem["errors"] == [{"path": "known_items", "message": expected}]


async def test_each_request_of_a_batch_has_its_own(service: Running) -> None:
    wanted = ["rank", "leave_out_touched", "only", "leave_out_bought"]
    requests = [{"user_id": "user-1", "known_items": each, "limit": 3} for each in wanted]
    together = await service.post("/recommend/batch", {"requests": requests})
    assert [ids_of(reply) for reply in together["replies"]] == [OWN, REST, OWN, REST]


async def fails(*_: object) -> Scored:
    raise StudentFailed("broken for a test")


@pytest.fixture
async def broken(service: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """A service that knows user-1's answer, and whose student has broken since."""
    await service.recommend(user_id="user-1", limit=3)
    monkeypatch.setattr(service.parts.recommender, "_score", fails)
    return service


@pytest.mark.parametrize(
    ("asked", "tier", "answered"),
    [
        ({}, "last_good", OWN),
        ({"known_items": "leave_out_touched"}, "popular_segment", REST),
        ({"known_items": "leave_out_bought"}, "popular_segment", REST),
        ({"known_items": "only"}, "last_good", OWN),
        ({"known_items": "only", "limit": 10}, "popular", OWN),
        ({"known_items": "leave_out_bought", "user_id": "nobody"}, "popular", ["item-0", "item-1", "item-2"]),
        ({"known_items": "only", "user_id": "nobody"}, "popular", []),
    ],
)
async def test_lower_tiers_keep_to_it(
    broken: Running, asked: dict[str, Any], tier: str, answered: list[str]
) -> None:
    answer = await broken.recommend(**{"user_id": "user-1", "limit": 3} | asked)
    assert (answer["tier"], ids_of(answer)) == (tier, answered)
    assert answer["degraded"] is not None


async def test_an_answer_of_bought_items_alone_is_not_kept_for_a_bad_moment(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.recommend(user_id="user-1", limit=3, known_items="only")
    monkeypatch.setattr(service.parts.recommender, "_score", fails)
    assert (await service.recommend(user_id="user-1", limit=3))["tier"] == "popular_segment"


async def test_explained_answers_have_own_items_too(service: Running) -> None:
    answer = await service.recommend(user_id="user-1", explain=True, limit=3)
    assert ids_of(answer) == OWN
    for item in answer["items"]:
        assert {own["item_id"] for own in item["because"]} <= set(OWN) - {item["item_id"]}


async def test_similar_items_are_others_also_for_known_people(service: Running) -> None:
    answer = await service.post("/similar", {"item_id": "item-2", "limit": N_ITEMS})
    assert len(answer["items"]) == N_ITEMS - 1
    assert "item-2" not in ids_of(answer)


@pytest.mark.parametrize(
    ("wanted", "answered"),
    [
        ("rank", ["item-7", "item-3", "item-9"]),
        ("leave_out_bought", ["item-3", "item-9"]),
        ("leave_out_touched", ["item-9"]),
        ("only", ["item-7"]),
    ],
)
async def test_own_items_are_treated_alike_before_the_first_bundle(
    tmp_path: Path, wanted: str, answered: list[str]
) -> None:
    async with running(tmp_path / "empty") as service:
        await first_events(service)
        for asked in ({"user_id": "anna"}, {"session": ANNAS}):
            answer = await service.recommend(**asked, known_items=wanted, limit=5)
            assert ids_of(answer) == answered
        if wanted == "only":
            said = "1 of 5: there are only 1 items that have a purchase event of this person"
            assert answer["shortfall"] == said
            nobody = await service.recommend(known_items=wanted, limit=5)
            said = "0 of 5: known_items is only, and no item has a purchase event of this person"
            assert (nobody["items"], nobody["shortfall"]) == ([], said)


ANNAS = [{"item_id": "item-7", "kind": "purchase"}, {"item_id": "item-3", "kind": "view"}]


async def first_events(service: Running) -> None:
    """Events whose items are known before any bundle is there."""
    await send(
        service,
        "first",
        did("purchase", "item-7", "anna"),
        did("view", "item-7", "ben"),
        did("view", "item-7", "carl"),
        did("view", "item-3", "anna"),
        did("view", "item-9", None, session_id="visit"),
    )
    await are_counted(service)
