"""POST /recommend on the tiny bundle, where the right answer is the person's block, by popularity."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.history import Event, History
from service.limits.deadline import RequestClock
from service.log.records import session_key
from service.people.stored import StoredEvents
from tests.support.bundles import N_ITEMS, tiny_bundle
from tests.support.service import Running, ServiceProcess, ids_of, running
from tests.support.waiting import eventually


async def test_known_person_gets_their_block_most_popular_first(service: Running) -> None:
    answer = await service.recommend(user_id="user-1", limit=4)
    assert ids_of(answer) == ["item-1", "item-5", "item-9", "item-13"]
    assert (answer["tier"], answer["degraded"], answer["shortfall"]) == ("student", None, None)
    assert answer["items"][3]["title"] == "Item 13"


async def test_unknown_person_gets_an_answer_from_the_student(service: Running) -> None:
    answer = await service.recommend(user_id="nobody")
    assert len(answer["items"]) == 10
    assert answer["tier"] == "student"


async def test_nobody_in_particular_gets_an_answer(service: Running) -> None:
    answer = await service.recommend()
    assert len(answer["items"]) == 10


async def test_session_of_a_stranger_decides_the_block(service: Running) -> None:
    answer = await service.recommend(user_id="nobody", session=[{"item_id": "item-2"}], limit=2)
    assert ids_of(answer) == ["item-2", "item-6"]


async def test_unknown_items_in_the_session_are_passed_over(service: Running) -> None:
    session = [{"item_id": "no such item"}, {"item_id": "item-2"}]
    assert ids_of(await service.recommend(session=session, limit=1)) == ["item-2"]


async def test_session_is_not_remembered(service: Running) -> None:
    before = await service.recommend(user_id="user-1")
    await service.recommend(user_id="user-1", session=[{"item_id": "item-2"}] * 3)
    after = await service.recommend(user_id="user-1")
    assert after["items"] == before["items"]


async def test_excluded_items_are_replaced_by_the_next_best(service: Running) -> None:
    answer = await service.recommend(user_id="user-1", exclude_items=["item-1", "not an item"], limit=2)
    assert ids_of(answer) == ["item-5", "item-9"]


async def test_category_filter_fills_the_answer_from_that_category(service: Running) -> None:
    answer = await service.recommend(user_id="user-1", filter={"categories": ["block-3"]}, limit=5)
    assert ids_of(answer) == ["item-3", "item-7", "item-11", "item-15", "item-19"]


async def test_price_filter_keeps_its_bounds(service: Running) -> None:
    answer = await service.recommend(user_id="user-1", filter={"min_price": 20, "max_price": 23}, limit=10)
    assert sorted(ids_of(answer)) == ["item-19", "item-20", "item-21", "item-22"]
    assert answer["shortfall"].startswith("4 of 10")


async def test_every_item_excluded_is_a_shortfall_and_no_error(service: Running) -> None:
    everything = [f"item-{index}" for index in range(N_ITEMS)]
    answer = await service.recommend(user_id="user-1", exclude_items=everything)
    assert answer["items"] == []
    assert answer["shortfall"].startswith("0 of 10")


async def test_filter_that_nothing_passes_is_a_shortfall(service: Running) -> None:
    answer = await service.recommend(filter={"categories": ["no such category"]})
    assert answer["items"] == []
    assert answer["shortfall"].startswith("0 of 10")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "40 of 100: there are only 40 items that may be recommended"),
        ({"user_id": "nobody"}, "40 of 100: there are only 40 items that may be recommended"),
        ({"user_id": "user-1"}, "there are only 40 items"),
        (
            {"user_id": "user-1", "known_items": "leave_out_touched"},
            "40 items that may be recommended, known_items leaves",
        ),
        ({"user_id": "nobody", "known_items": "leave_out_touched"}, "there are only 40 items"),
        ({"user_id": "user-1", "exclude_seen": True}, "exclude_seen leaves no more"),
        (
            {"exclude_items": ["item-3"]},
            ": of 40 items that may be recommended, exclude_items leaves no more",
        ),
        ({"exclude_items": ["no item of the shop"]}, "there are only 40 items"),
        ({"filter": {"categories": ["block-1"]}}, "items that may be recommended, the filter leaves no more"),
        (
            {
                "user_id": "user-1",
                "exclude_items": ["item-3"],
                "filter": {"min_price": 20},
                "known_items": "leave_out_bought",
            },
            "the filter, exclude_items and known_items leave no more",
        ),
        ({"user_id": "user-1", "exclude_seen": False}, "there are only 40 items"),
    ],
)
async def test_a_shortfall_names_only_what_took_items_away(
    service: Running, asked: dict[str, object], said: str
) -> None:
    assert said in (await service.recommend(limit=100, **asked))["shortfall"]


async def test_a_shortfall_of_similar_items_names_the_item_itself(service: Running) -> None:
    answer = await service.post("/similar", {"item_id": "item-2", "limit": 100})
    said = "39 of 100: of 40 items that may be recommended, the item itself leaves no more"
    assert answer["shortfall"] == said


async def test_ids_in_any_script_are_accepted(service: Running) -> None:
    for user_id in ("🛍️-1", "مستخدم", "käufer"):
        assert len((await service.recommend(user_id=user_id))["items"]) == 10


async def test_diversity_brings_other_blocks_into_the_answer(service: Running) -> None:
    answer = await service.recommend(user_id="user-1", diversity=0.9, limit=4)
    blocks = {int(item_id.removeprefix("item-")) % 4 for item_id in ids_of(answer)}
    assert ids_of(answer)[0] == "item-1"
    assert len(blocks) > 1


async def test_explanation_names_the_own_item_without_which_the_score_falls(service: Running) -> None:
    session = [{"item_id": "item-2"}, {"item_id": "item-3"}]
    answer = await service.recommend(
        session=session,
        explain=True,
        limit=1,
        filter={"categories": ["block-2"]},
        known_items="leave_out_touched",
    )
    [reason] = answer["items"][0]["because"]
    assert reason["item_id"] == "item-2"
    assert reason["title"] == "Item 2"
    assert reason["contribution"] > 0


async def test_an_item_that_is_recommended_again_is_not_its_own_reason(service: Running) -> None:
    session = [{"item_id": "item-2"}, {"item_id": "item-6"}, {"item_id": "item-3"}]
    wanted = {"categories": ["block-2"]}
    answer = await service.recommend(session=session, explain=True, limit=3, filter=wanted)
    named = {item["item_id"]: {own["item_id"] for own in item["because"]} for item in answer["items"]}
    assert named == {"item-2": {"item-6"}, "item-6": {"item-2"}, "item-10": {"item-2", "item-6"}}


async def test_explanation_tells_each_members_share_strongest_first(service: Running) -> None:
    answer = await service.recommend(user_id="user-1", explain=True, limit=1, known_items="leave_out_touched")
    # item-13 is in the person's block and 27/40 as popular as the most popular item.
    assert answer["items"][0]["item_id"] == "item-13"
    assert answer["items"][0]["members"] == [
        {"member": "blocks", "share": pytest.approx(1.675 / 2.35, abs=2e-3)},
        {"member": "popular", "share": pytest.approx(0.675 / 2.35, abs=2e-3)},
    ]


async def test_a_strangers_explanation_has_members_and_no_items(service: Running) -> None:
    answer = await service.recommend(explain=True, limit=2)
    assert [item["because"] for item in answer["items"]] == [[], []]
    assert [item["members"] for item in answer["items"]] == [[{"member": "popular", "share": 1.0}]] * 2


async def test_explanations_are_left_out_unless_asked_for(service: Running) -> None:
    answer = await service.recommend(user_id="user-1")
    assert all(not {"because", "members"} & set(item) for item in answer["items"])


async def test_the_stages_are_told_in_a_header(service: Running) -> None:
    response = await service.client.post("/recommend", json={"user_id": "user-1"})
    stages = [entry.split(";")[0] for entry in response.headers["server-timing"].split(", ")]
    assert set(stages) == {"permit", "parse", "history", "vector", "score", "reply", "total"}


async def test_a_sane_request_id_is_kept_and_an_insane_one_replaced(service: Running) -> None:
    for given_id, is_kept in (("trace-1.a", True), ("x" * 129, False), ("a b", False)):
        response = await service.client.post("/recommend", json={}, headers={"x-request-id": given_id})
        assert (response.headers["x-request-id"] == given_id) is is_kept
        assert response.json()["request_id"] == response.headers["x-request-id"]


async def test_batch_answers_in_order_and_as_single_requests_do(service: Running) -> None:
    requests = [{"user_id": f"user-{person}", "limit": 1 + person} for person in range(5)]
    together = await service.post("/recommend/batch", {"requests": requests})
    for request, reply in zip(requests, together["replies"], strict=True):
        assert reply["items"] == (await service.post("/recommend", request))["items"]


async def test_batch_is_scored_in_one_go(service: Running) -> None:
    await service.post("/recommend/batch", {"requests": [{"user_id": "user-1"}] * 4})
    n_batches = service.metric("stillroom_batch_size_count")
    assert service.metric("stillroom_batch_size_sum") == 4
    assert n_batches <= 2  # the scorer may take the first before the others are there


async def test_similar_items_share_the_block_and_leave_the_item_out(service: Running) -> None:
    answer = await service.post("/similar", {"item_id": "item-2", "limit": 2, "exclude_items": ["item-6"]})
    assert ids_of(answer) == ["item-10", "item-14"]
    assert answer["tier"] == "student"


async def test_similar_to_an_unknown_item_is_what_is_popular(service: Running) -> None:
    answer = await service.post("/similar", {"item_id": "never heard of", "limit": 2})
    assert ids_of(answer) == ["item-0", "item-1"]
    assert (answer["tier"], answer["degraded"]) == ("popular", "unknown_item")


async def test_int8_bundle_answers_alike(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "int8", "int8")
    async with running(tmp_path / "int8") as service:
        answer = await service.recommend(user_id="user-1", limit=4)
    assert ids_of(answer) == ["item-1", "item-5", "item-9", "item-13"]


def test_same_request_after_a_restart_gives_the_same_answer(store: Path) -> None:
    asked = {"user_id": "user-3", "limit": 20, "diversity": 0.3, "explain": True}
    answers = []
    for _ in range(2):
        with ServiceProcess(store) as service:
            answers.append(httpx.post(f"{service.url}/recommend", json=asked, timeout=10).json()["items"])
    assert answers[0] == answers[1]


ITEM_IDS = st.sampled_from([f"item-{index}" for index in range(N_ITEMS)] + ["unknown"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    user_id=st.sampled_from([None, "user-0", "user-5", "nobody"]),
    session=st.lists(ITEM_IDS, max_size=8),
    excluded=st.lists(ITEM_IDS, max_size=N_ITEMS),
    known_items=st.sampled_from([None, "rank", "leave_out_bought", "leave_out_touched", "only"]),
    limit=st.integers(1, 100),
    max_price=st.one_of(st.none(), st.floats(0, 60)),
    deadline_ms=st.sampled_from([1, 1000]),
)
async def test_answers_are_sorted_without_duplicates_within_the_limit_and_as_known_items_says(
    service: Running,
    user_id: str | None,
    session: list[str],
    excluded: list[str],
    known_items: str | None,
    limit: int,
    max_price: float | None,
    deadline_ms: int,
) -> None:
    answer = await service.recommend(
        user_id=user_id,
        session=[{"item_id": item_id} for item_id in session],
        exclude_items=excluded,
        known_items=known_items,
        limit=limit,
        filter={"max_price": max_price},
        deadline_ms=deadline_ms,
    )
    ids = ids_of(answer)
    person = int(user_id.removeprefix("user-")) if user_id in ("user-0", "user-5") else None
    bought = set() if person is None else {f"item-{person % 4 + 4 * step}" for step in range(3)}
    ranks = [(-item["score"], int(item["item_id"].removeprefix("item-"))) for item in answer["items"]]
    assert ranks == sorted(ranks), json.dumps(answer)
    assert len(ids) == len(set(ids)) <= limit
    assert not set(ids) & set(excluded)
    if known_items in ("leave_out_bought", "leave_out_touched"):
        assert not set(ids) & bought
    if known_items == "leave_out_touched":
        assert not set(ids) & set(session)
    if known_items == "only":
        assert set(ids) <= bought
    assert max_price is None or all(index + 1 <= max_price for _, index in ranks)
    assert (len(ids) < limit) == (answer["shortfall"] is not None)


async def test_events_of_a_visit_count_where_there_is_no_person(service: Running) -> None:
    serving = service.parts.bundles.serving()
    history = History.from_events([Event(2, 1_800_000_000), Event(6, 1_800_000_001)])
    events = StoredEvents.from_history(history, serving.item_keys)
    await service.parts.people.merge(session_key("visit-1"), events, serving)
    assert ids_of(await service.recommend(session_id="visit-1", limit=2)) == ["item-2", "item-6"]
    stranger = ids_of(await service.recommend(limit=2))
    assert ids_of(await service.recommend(session_id="visit-2", limit=2)) == stranger
    assert ids_of(await service.recommend(user_id="nobody", session_id="visit-1", limit=2)) == stranger


async def test_vector_of_somebody_whose_history_grew_is_made_before_they_ask(service: Running) -> None:
    serving = service.parts.bundles.serving()
    events = StoredEvents.from_history(History.from_events([Event(2, 1_800_000_000)]), serving.item_keys)
    await service.parts.people.merge("user-1", events, serving)

    async def is_made() -> bool:
        found = await service.parts.people.find("user-1", serving, RequestClock(10.0))
        return found.person.vector is not None

    await eventually(is_made)
    assert service.metric("stillroom_tower_runs_total") == 1
    await service.recommend(user_id="user-1")
    assert service.metric("stillroom_tower_runs_total") == 1


async def test_history_grows_also_where_no_vector_can_be_made_ahead(service: Running) -> None:
    serving = service.parts.bundles.serving()
    events = StoredEvents.from_history(History.from_events([Event(2, 1_800_000_000)]), serving.item_keys)
    await service.parts.scorer.close()
    await service.parts.people.merge("user-1", events, serving)
    found = await service.parts.people.find("user-1", serving, RequestClock(10.0))
    assert found.person.history.item_indices[-1] == 2
