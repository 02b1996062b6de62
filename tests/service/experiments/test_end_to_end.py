"""A service, Redis and what the monitor does with the live log, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from service.experiments.stopped import stop_command
from service.log.records import EVENTS_STREAM, EXPOSURES_STREAM, RECORD_FIELD, EventRecord, ExposureRecord
from service.monitor.attribution import Attributor
from service.monitor.judge import ExperimentDecision, ExperimentJudge
from tests.support.events import streamed
from tests.support.experiments import TWO_ARMS
from tests.support.redis import RedisServer
from tests.support.service import Running, ids_of, running
from tests.support.waiting import eventually

N_PEOPLE = 120
GUARDED = TWO_ARMS.replace('variant = "ensemble"\n', "").replace(
    "window_seconds = 60",
    "window_seconds = 60\nguardrails.empty_rate = { limit = 0.05, minimum_count = 20 }",
)
NOTHING_PASSES = {"max_price": 0.0}


def records(server: RedisServer, stream: str, kind: Any) -> list[Any]:
    with redis.Redis.from_url(server.url) as client:
        entries: Any = client.xrange(stream)
    return [msgspec.msgpack.decode(fields[RECORD_FIELD], type=kind) for _, fields in entries]


def judged(server: RedisServer, judge: ExperimentJudge) -> ExperimentDecision:
    """What the monitor makes of the live log as it is."""
    attributor = Attributor(60, 10_000)
    found = []
    for shown in records(server, EXPOSURES_STREAM, ExposureRecord):
        judge.exposed(shown)
        found += attributor.exposed(shown)
    for happened in records(server, EVENTS_STREAM, EventRecord):
        found += attributor.happened(happened)
    for attributed in found:
        judge.attributed(attributed)
    return judge.decide(10**15, [])


async def visit(service: Running, number: int, **asked: Any) -> dict[str, Any]:
    return await service.recommend(user_id=f"user-{number}", limit=5, **asked)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "experiments.toml"
    file.write_text(GUARDED)
    return file


async def test_clicks_on_what_an_arm_showed_are_that_arms_clicks(
    store: Path, file: Path, redis_server: RedisServer
) -> None:
    async with running(store, experiments=str(file), redis_url=redis_server.url) as service:
        await service.parts.experiments.follow()
        answers = [await visit(service, number) for number in range(N_PEOPLE)]
        arms = [answer["experiment"]["arm"] for answer in answers]
        clicks = [
            {
                "kind": "click",
                "item_id": ids_of(answer)[0],
                "user_id": f"user-{number}",
                "request_id": answer["request_id"],
            }
            for number, answer in enumerate(answers)
            if arms[number] == "control"
        ]
        accepted = await service.client.post("/events", json={"key": "clicks", "events": clicks})
        assert accepted.status_code == 202
        assert service.parts.exposures is not None
        await service.parts.exposures.flush()

        async def are_shipped() -> bool:
            return len(await streamed(redis_server.url)) == len(clicks)

        await eventually(are_shipped)
        declaration = service.parts.experiments.declaration
    [report] = judged(redis_server, ExperimentJudge(declaration)).reports
    assert [arm.n_answers for arm in report.arms] == [arms.count("control"), arms.count("ensemble")]
    assert [arm.click_rate for arm in report.arms] == [1.0, 0.0]
    assert [arm.outcome for arm in report.arms] == [1.0, 0.0]
    assert not report.is_mismatched


async def test_an_arm_that_answers_nothing_is_stopped_and_the_service_follows(
    store: Path, file: Path, redis_server: RedisServer
) -> None:
    async with running(store, experiments=str(file), redis_url=redis_server.url) as service:
        await service.parts.experiments.follow()
        for number in range(N_PEOPLE):
            arm = service.parts.experiments.assign(f"user-{number}", None)
            assert arm is not None
            asked = {"filter": NOTHING_PASSES} if arm.arm == "ensemble" else {}
            await visit(service, number, **asked)
        assert service.parts.exposures is not None
        await service.parts.exposures.flush()
        [stop] = judged(redis_server, ExperimentJudge(service.parts.experiments.declaration)).stops
        assert (stop.arm, stop.cause) == ("ensemble", "empty_rate")
        with redis.Redis.from_url(redis_server.url) as client:
            client.execute_command(*stop_command(stop))
        await service.parts.experiments.follow()
        after = [await visit(service, number) for number in range(N_PEOPLE)]
        assert {answer["experiment"] and answer["experiment"]["arm"] for answer in after} == {"control", None}
        assert all(answer["tier"] == "student" for answer in after)
