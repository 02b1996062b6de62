"""Jobs that wait to be scored together, and how their waiters get results or errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from math import inf
from typing import Generic, NamedTuple, TypeVar

from service.contract.errors import StudentFailed

logger = logging.getLogger(__name__)

Job = TypeVar("Job")
Result = TypeVar("Result")


class Waiter(NamedTuple, Generic[Job, Result]):
    """expires_at: `perf_counter` seconds, after which nobody waits any more."""

    job: Job
    future: asyncio.Future[Result]
    expires_at: float = inf


def score(
    run: Callable[[Sequence[Job]], Sequence[Result]], batch: Sequence[Waiter[Job, Result]]
) -> Sequence[Result]:
    """Return what `run` returns, one result per job in order. Raises StudentFailed in place of any Exception."""
    try:
        return run([waiter.job for waiter in batch])
    except Exception as error:
        logger.exception("a batch of %d could not be scored", len(batch))
        raise StudentFailed("the student could not score the batch") from error


def resolve(batch: Sequence[Waiter[Job, Result]], results: Sequence[Result]) -> None:
    """Give each waiter its result, except those that have gone."""
    for waiter, result in zip(batch, results, strict=True):
        if not waiter.future.done():
            waiter.future.set_result(result)


def reject(batch: Sequence[Waiter[Job, Result]], error: Exception) -> None:
    """Give each waiter the error, except those that have gone."""
    for waiter in batch:
        if not waiter.future.done():
            waiter.future.set_exception(error)
