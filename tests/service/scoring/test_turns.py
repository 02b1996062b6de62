"""Quick jobs: what arrives in one turn of the loop is scored together, and every asker gets their own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import inf
from time import perf_counter

import pytest

from service.contract.errors import DeadlineExceeded, ScorerOverloaded, StudentFailed
from service.scoring.turns import TurnBatcher


class Scorer:
    """Answers with the job's own number, told apart by a prefix, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, jobs: Sequence[int]) -> list[str]:
        self.batches.append(list(jobs))
        if any(job < 0 for job in jobs):
            raise RuntimeError("boom")
        return [f"answer {job}" for job in jobs]


def batcher(scorer: Scorer, *, max_batch: int = 10, max_waiting: int = 100) -> TurnBatcher[int, str]:
    return TurnBatcher(scorer, max_batch=max_batch, max_waiting=max_waiting)


async def test_what_arrives_in_one_turn_is_scored_together() -> None:
    scorer = Scorer()
    turns = batcher(scorer)
    assert await asyncio.gather(*(turns.submit(job, inf) for job in range(3))) == [
        "answer 0",
        "answer 1",
        "answer 2",
    ]
    assert await turns.submit(7, inf) == "answer 7"
    assert scorer.batches == [[0, 1, 2], [7]]


async def test_loop_gets_its_turn_between_full_batches() -> None:
    scorer, seen = Scorer(), []
    turns = batcher(scorer, max_batch=2)
    futures = [turns.submit(job, inf) for job in range(5)]
    for _ in range(3):
        await asyncio.sleep(0)
        seen.append(len(scorer.batches))
    assert seen == [1, 2, 3]
    assert await asyncio.gather(*futures) == [f"answer {job}" for job in range(5)]


async def test_job_whose_time_is_over_is_not_scored() -> None:
    scorer = Scorer()
    turns = batcher(scorer)
    late, good = turns.submit(1, perf_counter() - 1), turns.submit(2, inf)
    with pytest.raises(DeadlineExceeded):
        await late
    assert await good == "answer 2"
    assert scorer.batches == [[2]]


async def test_failing_batch_fails_its_members_and_no_other() -> None:
    scorer = Scorer()
    turns = batcher(scorer, max_batch=2)
    outcomes = await asyncio.gather(*(turns.submit(job, inf) for job in (-1, 1, 2)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StudentFailed, StudentFailed, str]
    assert await turns.submit(3, inf) == "answer 3"


async def test_cancelled_job_is_dropped_unscored() -> None:
    scorer = Scorer()
    turns = batcher(scorer)
    gone, good = turns.submit(1, inf), turns.submit(2, inf)
    gone.cancel()
    assert await asyncio.wait_for(good, 10) == "answer 2"
    assert scorer.batches == [[2]]
    turns.submit(3, inf).cancel()
    await asyncio.sleep(0)
    assert scorer.batches == [[2]]


async def test_more_than_may_wait_is_refused_at_once() -> None:
    turns = batcher(Scorer(), max_waiting=2)
    futures = [turns.submit(job, inf) for job in range(2)]
    with pytest.raises(ScorerOverloaded, match="2 requests wait"):
        turns.submit(2, inf)
    assert await asyncio.gather(*futures) == ["answer 0", "answer 1"]
