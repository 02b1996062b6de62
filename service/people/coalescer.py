"""Coalesces questions to Redis: one trip is under way at a time, and all that is asked meanwhile forms the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

MAX_TRIP = 256

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Coalescer(Generic[Question, Answer]):
    """Gathers what is asked while a trip is under way and sends it as the next one."""

    def __init__(self, send: Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]]) -> None:
        self._send = send
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def n_waiting(self) -> int:
        """The number of questions whose trip has not begun."""
        return len(self._waiting)

    def ask(self, question: Question) -> asyncio.Future[Answer]:
        """Return a future for the answer, or for the error that `send` raised."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return future

    async def close(self) -> None:
        """Finish the trips under way."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        try:
            while self._waiting:
                trip, self._waiting = self._waiting[:MAX_TRIP], self._waiting[MAX_TRIP:]
                await self._serve([(question, future) for question, future in trip if not future.done()])
        finally:
            self._task = None

    async def _serve(self, trip: list[tuple[Question, asyncio.Future[Answer]]]) -> None:
        if not trip:
            return
        try:
            answers = await self._send([question for question, _ in trip])
        except Exception as error:  # whatever it is, no caller may be left waiting
            for _, future in trip:
                if not future.done():
                    future.set_exception(error)
        else:
            for (_, future), answer in zip(trip, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
