"""What is made once for all who ask at the same moment."""

from __future__ import annotations

import asyncio
from itertools import count

from service.edge.together import Together


async def test_who_asks_at_once_is_answered_together_and_who_asks_later_anew() -> None:
    numbers = count()
    together = Together(lambda: next(numbers))
    assert await asyncio.gather(*(together.get() for _ in range(100))) == [0] * 100
    assert await together.get() == 1


async def test_who_gives_up_waiting_takes_nothing_from_the_others() -> None:
    together = Together(lambda: "made")
    first, second = asyncio.create_task(together.get()), asyncio.create_task(together.get())
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "made"
