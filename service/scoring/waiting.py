"""Jobs that wait to be scored together, and what becomes of those who wait for them."""

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
    """expires_at: `perf_counter`, from when on nobody waits any more."""

    job: Job
    future: asyncio.Future[Result]
    expires_at: float = inf


def score(
    run: Callable[[Sequence[Job]], Sequence[Result]], batch: Sequence[Waiter[Job, Result]]
) -> Sequence[Result]:
    """What `run` returns, a result for each job in order. Raises StudentFailed in place of any Exception."""
    try:
        return run([waiter.job for waiter in batch])
    except Exception as error:
        logger.exception("a batch of %d could not be scored", len(batch))
        raise StudentFailed("the student could not score the batch") from error


def resolve(batch: Sequence[Waiter[Job, Result]], results: Sequence[Result]) -> None:
    """Give each their result, but for those who have gone."""
    for waiter, result in zip(batch, results, strict=True):
        if not waiter.future.done():
            waiter.future.set_result(result)


def reject(batch: Sequence[Waiter[Job, Result]], error: Exception) -> None:
    """Fail each, but for those who have gone."""
    for waiter in batch:
        if not waiter.future.done():
            waiter.future.set_exception(error)
