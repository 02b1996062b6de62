"""The student raises, returns NaN, dies or overruns; the next tier answers and says why."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from models.scan import Ranked
from tests.support.service import Running, ids_of


@contextmanager
def stuck_student(service: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The scorer blocks at every batch until the block ends; yields what is set once it is blocked."""
    student = service.parts.bundles.serving().student
    gate, entered, top_k = threading.Event(), threading.Event(), student.top_k

    def wait_then_rank(*args: Any, **options: Any) -> Ranked:
        entered.set()
        assert gate.wait(30)
        return top_k(*args, **options)

    monkeypatch.setattr(student, "top_k", wait_then_rank)
    try:
        yield entered
    finally:
        gate.set()


def break_student(service: Running, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*args: Any, **options: Any) -> Ranked:
        raise error

    monkeypatch.setattr(service.parts.bundles.serving().student, "top_k", fail)


async def test_raising_student_leaves_a_known_person_their_last_good_answer(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = await service.recommend(user_id="user-1")
    break_student(service, monkeypatch, RuntimeError("boom"))
    answer = await service.recommend(user_id="user-1", limit=5)
    assert (answer["tier"], answer["degraded"]) == ("last_good", "student_failed")
    assert answer["items"] == good["items"][:5]


async def test_raising_student_leaves_others_what_is_popular_in_their_segment(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_student(service, monkeypatch, RuntimeError("boom"))
    answer = await service.recommend(user_id="user-2", limit=2)
    assert (answer["tier"], answer["degraded"]) == ("popular_segment", "student_failed")
    assert ids_of(answer) == ["item-2", "item-6"]


async def test_raising_student_leaves_strangers_what_is_popular(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_student(service, monkeypatch, RuntimeError("boom"))
    answer = await service.recommend(user_id="nobody", limit=2, exclude_items=["item-0"])
    assert (answer["tier"], answer["degraded"]) == ("popular", "student_failed")
    assert ids_of(answer) == ["item-1", "item-2"]


async def test_scores_that_are_nan_are_a_failed_student(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranked = Ranked(np.zeros((1, 10), np.int32), np.full((1, 10), np.nan, np.float32))
    student = service.parts.bundles.serving().student
    monkeypatch.setattr(student, "top_k", lambda *args, **options: ranked)
    assert (await service.recommend(user_id="user-1"))["degraded"] == "student_failed"


async def test_failed_answer_is_not_kept_as_the_last_good_one(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_student(service, monkeypatch, RuntimeError("boom"))
    await service.recommend(user_id="user-1", limit=3)
    assert (await service.recommend(user_id="user-1", limit=3))["tier"] == "popular_segment"


async def test_student_that_recovers_answers_again(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        break_student(service, broken, RuntimeError("boom"))
        await service.recommend(user_id="user-1")
    answer = await service.recommend(user_id="user-1")
    assert (answer["tier"], answer["degraded"]) == ("student", None)


async def test_scoring_thread_that_dies_fails_readiness_and_answers_still_come(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_student(service, monkeypatch, SystemExit())
    for _ in range(3):
        answer = await service.recommend(user_id="user-1", limit=1)
        assert (ids_of(answer), answer["degraded"]) == (["item-1"], "student_failed")
    assert (await service.client.get("/health/ready")).status_code == 503


async def test_overrunning_scorer_is_not_waited_for(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stuck_student(service, monkeypatch) as entered:
        answer = await service.recommend(user_id="user-1", limit=2, deadline_ms=20)
        assert entered.is_set()
    assert (answer["tier"], answer["degraded"]) == ("popular_segment", "deadline")
    assert ids_of(answer) == ["item-1", "item-5"]


async def test_similar_items_fall_back_to_the_segment(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_student(service, monkeypatch, RuntimeError("boom"))
    answer = await service.post("/similar", {"item_id": "item-2", "limit": 2})
    assert (answer["tier"], answer["degraded"]) == ("popular_segment", "student_failed")
    assert ids_of(answer) == ["item-6", "item-10"]


async def test_internal_fault_is_a_500_without_internals(
    service: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any) -> None:
        raise KeyError("a secret of the house")

    monkeypatch.setattr(service.parts.people, "find", fail)
    response = await service.client.post("/recommend", json={"user_id": "user-1"})
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "secret" not in response.text
    assert response.json()["request_id"] in [getattr(record, "request_id", "") for record in caplog.records]
    assert service.parts.permits.n_taken == 0
