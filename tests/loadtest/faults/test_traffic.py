"""When all is well again; and the traffic itself, which asks and sends whatever the service does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from loadtest.errors import ServerFailed
from loadtest.faults import traffic as traffics
from loadtest.faults.judging import Judgement
from loadtest.faults.shoppers import Shopping, draw_shoppers
from loadtest.faults.traffic import (
    IN_A_ROW,
    JudgedQuestion,
    Known,
    Rates,
    Traffic,
    excused_in_a_row,
    first_well,
)
from loadtest.promotion.questions import Question
from tests.loadtest.faults.http_stub import Says, reply, request_from, serving
from tests.loadtest.faults.reports import MOMENTS, judged

AWAY = Judgement("degraded", "redis_unavailable")
LOST = Judgement("failed", "connection lost")
ITEMS = [f"item-{number}" for number in range(12)]
QUESTION = Question("/recommend", {"user_id": "p", "limit": 2})


def row(*judgements: Judgement | None) -> list[JudgedQuestion]:
    """A question a second; None for a good one."""
    return [judged(at, each) if each else judged(at) for at, each in enumerate(judgements)]


def seconds(found: float | None) -> float | None:
    return None if found is None else found - MOMENTS.started_at


def test_all_is_well_from_the_first_of_enough_good_answers_in_a_row() -> None:
    good: list[Judgement | None] = [None] * IN_A_ROW
    assert seconds(first_well(row(*good), 0)) == 0
    assert seconds(first_well(row(None, LOST, AWAY, *good), 0)) == 3
    assert first_well(row(*good[1:]), 0) is None
    assert first_well(row(*good[:60], LOST, *good[:60]), 50) is None


def test_some_excuses_are_no_illness_on_a_busy_machine() -> None:
    some: list[Judgement | None] = [None, None, AWAY, None] * (IN_A_ROW // 4)
    assert first_well(row(*some), 0) is None
    assert seconds(first_well(row(AWAY, AWAY, *some), 25)) == 2


def test_excuses_are_counted_as_there_were_before_the_fault() -> None:
    before = row(*[AWAY, *[None] * 49])
    assert excused_in_a_row([*before, *row(*[AWAY] * 90)[50:]], MOMENTS.started_at + 50) == 6
    assert excused_in_a_row(row(*[None] * 50), MOMENTS.started_at + 50) == 0


def answer(*items: str, **changes: Any) -> dict[str, Any]:
    shown = [{"item_id": item, "score": 1.0 - place / 10} for place, item in enumerate(items)]
    model = {"version": "v1", "variant": "student"}
    usual = {
        "items": shown,
        "model": model,
        "tier": "student",
        "degraded": None,
        "shortfall": "few",
        "took_ms": 1.5,
    }
    return usual | changes


def shop(answers: dict[str, Any]) -> Says:
    """Accepts every batch, and answers every question with the same."""

    async def says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await request_from(reader):
            if request.startswith(b"POST /events"):
                body = json.loads(request.partition(b"\r\n\r\n")[2])
                writer.write(reply(202, {"accepted": len(body["events"]), "rejected": [], "replayed": False}))
                return
            writer.write(reply(200, answers))

    return says


def traffic_to(port: int) -> Traffic:
    shopping = Shopping(draw_shoppers(["p"]), ITEMS, seed=1)
    return Traffic(port, Known([QUESTION]), shopping, Rates(400.0, 50.0), seed=1)


async def test_everybody_sends_questions_and_every_batch_is_sent() -> None:
    async with serving(shop(answer("item-1", "item-2"))) as port:
        traffic = traffic_to(port)
        await traffic.learn("v1")
        traffic.start()
        while len(traffic.judged) < 60 or len(traffic.sender.sent.accepted) < 25:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert await traffic.stop(5.0) == 0
    kinds = {each.judgement.kind for each in traffic.judged}
    assert kinds == {"good", "wrong"}  # shoppers are shown again what they bought
    assert all(each.took_ms == 1.5 and each.done_at >= each.due_at for each in traffic.judged)
    assert traffic.sender.sent.accepted == traffic.sender.sent.sent


async def test_answer_of_another_version_or_with_an_excuse_is_not_learnt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(traffics, "LEARNING_TRIES", 2)
    monkeypatch.setattr(traffics, "LEARNING_PAUSE_SECONDS", 0.0)
    for said in (answer("item-1", degraded="deadline"), answer("item-1")):
        async with serving(shop(said)) as port:
            traffic = traffic_to(port)
            with pytest.raises(ServerFailed, match="before any fault"):
                await traffic.learn("v2")
            traffic.lane.close()


async def test_batches_that_are_not_accepted_in_time_are_counted() -> None:
    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await request_from(reader):
            writer.write(reply(503, {}))

    async with serving(refuses) as port:
        traffic = traffic_to(port)
        traffic.start()
        while traffic.sender.sent.n_attempts < 5:  # noqa: ASYNC110 - a batch is refused
            await asyncio.sleep(0.01)
        assert await traffic.stop(0.05) > 0
        assert not traffic.sender.sent.accepted
