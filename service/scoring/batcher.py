"""One thread that takes whatever waits as its next batch, as soon as it is free.

Jobs come from the event loop, and results go back to it as futures. There is no timer: under light load a batch is
one job, under heavy load batches grow by themselves. An error in a batch reaches every waiter of that batch.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from math import inf
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Generic

from service.contract.errors import ScorerOverloaded, ScorerStopped, StudentFailed
from service.scoring.waiting import Job, Result, Waiter, reject, resolve, score

logger = logging.getLogger(__name__)

LATEST_SHARE = 0.1
"""The weight of the latest batch in the estimate of the time per job."""

QUEUE_SHARE = 0.5
"""The share of the remaining time that jobs ahead or in the same batch may be expected to take: some take longer."""


class Batcher(Generic[Job, Result]):
    """run: turns jobs into results in the same order; it is called on the scoring thread only."""

    def __init__(
        self,
        run: Callable[[Sequence[Job]], Sequence[Result]],
        *,
        max_batch: int,
        max_waiting: int,
        on_batch: Callable[[int], object] = lambda size: None,
    ) -> None:
        self._run = run
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._on_batch = on_batch
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: SimpleQueue[Waiter[Job, Result] | None] = SimpleQueue()
        self._is_stopped = False
        self._n_running = 0
        self._seconds_a_job = 0.0
        self._thread = threading.Thread(target=self._work, name="scoring", daemon=True)

    def start(self) -> None:
        """Start the thread, which works for the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """False once the thread has ended for any reason."""
        return not self._is_stopped and self._thread.is_alive()

    @property
    def n_waiting(self) -> int:
        """The number of jobs that the thread has not taken yet."""
        return self._queue.qsize()

    def submit(self, job: Job, seconds: float = inf) -> asyncio.Future[Result]:
        """Queue a job. A future that is done (cancelled, expired) before its turn is dropped unscored.

        seconds: how long its result is waited for; a job that is not expected to be done by then, given how long jobs
        take, is not queued. Raises ScorerStopped or ScorerOverloaded. The future gets what `run` returned, or
        StudentFailed.
        """
        if self._loop is None or not self.is_alive:
            raise ScorerStopped("the scoring thread has ended")
        n_waiting = self._queue.qsize()
        if n_waiting >= self._max_waiting:
            raise ScorerOverloaded(f"{self._max_waiting} requests wait for the scorer already")
        n_ahead = n_waiting + self._n_running
        if n_ahead and (n_ahead + 1) * self._seconds_a_job > QUEUE_SHARE * seconds:
            raise ScorerOverloaded(f"{n_ahead} requests are ahead, {self._seconds_a_job:.4f} seconds each")
        future: asyncio.Future[Result] = self._loop.create_future()
        self._queue.put(Waiter(job, future))
        return future

    async def close(self) -> None:
        """Finish waiting jobs, then end the thread."""
        self._queue.put(None)
        if self._loop is not None:
            await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        try:
            while batch := self._next_batch():
                self._serve(batch)
        except BaseException:
            logger.critical("the scoring thread ends on an error", exc_info=True)
        finally:
            self._is_stopped = True
            self._fail(self._drain(), ScorerStopped("the scoring thread has ended"))

    def _next_batch(self) -> list[Waiter[Job, Result]]:
        """Wait for one job and take all others that wait; empty at the end. Dropped jobs take no place."""
        batch: list[Waiter[Job, Result]] = []
        while not batch:
            waiter = self._queue.get()
            while waiter is not None:
                if not waiter.future.done():
                    batch.append(waiter)
                if len(batch) == self._max_batch:
                    return batch
                try:
                    waiter = self._queue.get_nowait()
                except Empty:
                    break
            else:
                if batch:
                    self._queue.put(None)  # serve this batch first, then find the end again
                return batch
        return batch

    def _serve(self, batch: list[Waiter[Job, Result]]) -> None:
        self._on_batch(len(batch))
        self._n_running, started_at = len(batch), perf_counter()
        try:
            results = score(self._run, batch)
        except StudentFailed as failure:
            self._fail(batch, failure)
        except BaseException:
            self._fail(batch, ScorerStopped("the scoring thread has ended"))
            raise
        else:
            self._call_loop(lambda: resolve(batch, results))
        finally:
            self._n_running = 0
            seconds_a_job = (perf_counter() - started_at) / len(batch)
            self._seconds_a_job += LATEST_SHARE * (seconds_a_job - self._seconds_a_job)

    def _drain(self) -> list[Waiter[Job, Result]]:
        left: list[Waiter[Job, Result]] = []
        while True:
            try:
                waiter = self._queue.get_nowait()
            except Empty:
                return left
            if waiter is not None:
                left.append(waiter)

    def _fail(self, batch: list[Waiter[Job, Result]], error: Exception) -> None:
        if batch:
            self._call_loop(lambda: reject(batch, error))

    def _call_loop(self, deliver: Callable[[], None]) -> None:
        assert self._loop is not None, "the thread runs only after start()"
        try:
            self._loop.call_soon_threadsafe(deliver)
        except RuntimeError:
            logger.info("the event loop is closed; nobody waits for this batch any more")
