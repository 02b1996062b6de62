"""The batcher, with a fake scorer whose answer encodes the question. Driven by events, not by sleeps."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from service.contract.errors import DeadlineExceeded, ScorerOverloaded, ScorerStopped, StudentFailed
from service.limits.deadline import wait_at_most
from service.scoring import batcher as batcher_module
from service.scoring.batcher import Batcher


class GatedScorer:
    """Answers n with "answer n". Waits at a gate before each batch; what it was given is in batches."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.batches: list[list[int]] = []

    def run(self, jobs: Sequence[int]) -> list[str]:
        self.batches.append(list(jobs))
        self.entered.set()
        assert self.gate.wait(30)
        if -1 in jobs:
            raise ValueError("the student broke")
        if -2 in jobs:
            raise SystemExit
        return [f"answer {job}" for job in jobs]


@asynccontextmanager
async def batching(
    scorer: GatedScorer, max_batch: int = 8, max_waiting: int = 100
) -> AsyncIterator[Batcher[int, str]]:
    batcher = Batcher(scorer.run, max_batch=max_batch, max_waiting=max_waiting)
    batcher.start()
    try:
        async with asyncio.timeout(30):  # only ends a test that would hang
            yield batcher
    finally:
        scorer.gate.set()
        await batcher.close()


async def occupy(scorer: GatedScorer, batcher: Batcher[int, str], job: int = 0) -> asyncio.Future[str]:
    """Submit a job and wait until the scorer holds it at the gate."""
    future = batcher.submit(job)
    await asyncio.to_thread(scorer.entered.wait, 30)
    return future


async def test_each_answer_reaches_its_asker() -> None:
    scorer = GatedScorer()
    async with batching(scorer) as batcher:
        futures = [await occupy(scorer, batcher), *(batcher.submit(job) for job in range(1, 30))]
        scorer.gate.set()
        assert await asyncio.gather(*futures) == [f"answer {job}" for job in range(30)]


async def test_whatever_waits_goes_together_up_to_the_largest_batch() -> None:
    scorer = GatedScorer()
    async with batching(scorer, max_batch=4) as batcher:
        futures = [await occupy(scorer, batcher), *(batcher.submit(job) for job in range(1, 7))]
        scorer.gate.set()
        await asyncio.gather(*futures)
    assert scorer.batches == [[0], [1, 2, 3, 4], [5, 6]]


async def test_failing_batch_fails_its_members_only_and_the_worker_lives_on() -> None:
    scorer = GatedScorer()
    async with batching(scorer, max_batch=2) as batcher:
        first = await occupy(scorer, batcher)
        doomed = [batcher.submit(-1), batcher.submit(1)]
        later = batcher.submit(2)
        scorer.gate.set()
        assert await first == "answer 0"
        for future in doomed:
            with pytest.raises(StudentFailed):
                await future
        assert await later == "answer 2"
        assert batcher.is_alive


async def test_dying_worker_leaves_nobody_waiting_and_says_it_is_dead() -> None:
    scorer = GatedScorer()
    async with batching(scorer, max_batch=1) as batcher:
        doomed = await occupy(scorer, batcher, -2)
        behind = batcher.submit(1)
        scorer.gate.set()
        for future in (doomed, behind):
            with pytest.raises(ScorerStopped):
                await future
        assert not batcher.is_alive
        with pytest.raises(ScorerStopped):
            batcher.submit(2)


async def test_cancelled_client_is_dropped_unscored() -> None:
    scorer = GatedScorer()
    async with batching(scorer) as batcher:
        first = await occupy(scorer, batcher)
        gone, stays = batcher.submit(1), batcher.submit(2)
        gone.cancel()
        scorer.gate.set()
        assert [await first, await stays] == ["answer 0", "answer 2"]
    assert scorer.batches == [[0], [2]]


async def test_job_past_its_deadline_is_dropped_unscored() -> None:
    scorer = GatedScorer()
    async with batching(scorer) as batcher:
        first = await occupy(scorer, batcher)
        late, stays = batcher.submit(1), batcher.submit(2)
        with pytest.raises(DeadlineExceeded):
            await wait_at_most(late, 0.001)
        scorer.gate.set()
        assert [await first, await stays] == ["answer 0", "answer 2"]
    assert scorer.batches == [[0], [2]]


async def test_answer_that_comes_after_the_deadline_hurts_nobody() -> None:
    scorer = GatedScorer()
    async with batching(scorer) as batcher:
        late = await occupy(scorer, batcher)
        with pytest.raises(DeadlineExceeded):
            await wait_at_most(late, 0.001)
        after = batcher.submit(1)
        scorer.gate.set()
        assert await after == "answer 1"


async def test_overload_is_refused_at_once() -> None:
    scorer = GatedScorer()
    async with batching(scorer, max_waiting=2) as batcher:
        waiting = [await occupy(scorer, batcher), batcher.submit(1), batcher.submit(2)]
        with pytest.raises(ScorerOverloaded):
            batcher.submit(3)
        scorer.gate.set()
        assert len(await asyncio.gather(*waiting)) == 3


class Ticking:
    """In place of `perf_counter`: a batch of n takes n times the seconds of a job."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds_a_job: float) -> None:
        self.now = 0.0
        self._seconds_a_job = seconds_a_job
        monkeypatch.setattr(batcher_module, "perf_counter", lambda: self.now)

    def run(self, jobs: Sequence[int]) -> list[int]:
        self.now += self._seconds_a_job * len(jobs)
        return list(jobs)


async def test_job_that_cannot_be_done_in_time_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ticking, scorer = Ticking(monkeypatch, 0.004), GatedScorer()

    def run(jobs: Sequence[int]) -> list[str]:
        ticking.run(jobs)
        return scorer.run(jobs)

    batcher = Batcher(run, max_batch=8, max_waiting=100)
    batcher.start()
    scorer.gate.set()
    for job in range(60):  # long enough to know what a job takes
        await batcher.submit(job)
    scorer.gate.clear()
    scorer.entered.clear()
    waiting = [await occupy(scorer, batcher), *(batcher.submit(job, 0.050) for job in range(1, 6))]
    with pytest.raises(ScorerOverloaded, match="6 requests are ahead"):
        batcher.submit(6, 0.050)
    waiting.append(batcher.submit(7, 0.100))
    scorer.gate.set()
    assert len(await asyncio.gather(*waiting)) == 7
    await batcher.close()


async def test_job_that_nothing_is_ahead_of_is_tried_however_long_jobs_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batcher = Batcher(Ticking(monkeypatch, 10.0).run, max_batch=8, max_waiting=100)
    batcher.start()
    for job in range(3):
        assert await batcher.submit(job, 0.050) == job
    await batcher.close()


async def test_closing_finishes_what_waits() -> None:
    scorer = GatedScorer()
    async with batching(scorer, max_batch=2) as batcher:
        futures = [await occupy(scorer, batcher), *(batcher.submit(job) for job in range(1, 6))]
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0)
        scorer.gate.set()
        await closing
        assert await asyncio.gather(*futures) == [f"answer {job}" for job in range(6)]
        with pytest.raises(ScorerStopped):
            batcher.submit(9)


async def test_batch_sizes_are_told() -> None:
    scorer = GatedScorer()
    sizes: list[int] = []
    batcher = Batcher(scorer.run, max_batch=8, max_waiting=8, on_batch=sizes.append)
    batcher.start()
    first = await occupy(scorer, batcher)
    others = [batcher.submit(1), batcher.submit(2)]
    scorer.gate.set()
    await asyncio.gather(first, *others)
    await batcher.close()
    assert sizes == [1, 2]


async def test_no_time_left_is_an_overrun_at_once() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with pytest.raises(DeadlineExceeded):
        await wait_at_most(future, -1.0)
    assert future.cancelled()
