"""Steady traffic during a fault: questions on a schedule that no answer can delay, and events under keys.

Each answer is judged as it comes, so that the drill knows when all is well again.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from random import Random
from time import perf_counter

from loadtest.errors import ServerFailed
from loadtest.events.sending import Sender
from loadtest.faults.judging import Judgement, judge, judge_known, read_answers
from loadtest.faults.lane import Lane
from loadtest.faults.shoppers import Shopper, Shopping
from loadtest.promotion.answers import References
from loadtest.promotion.questions import Question

LEARNING_TRIES, LEARNING_PAUSE_SECONDS = 40, 0.1
SHOPPERS_SHARE = 0.3
"""Share of the questions that shoppers ask; the others are those whose right answers are known."""

MAX_EXCUSED_RATIO = 3.0
IN_A_ROW = 100
"""Number of good answers in a row that show that all is well again: most of a second of the traffic."""


@dataclass(frozen=True)
class Rates:
    """Rates of the traffic. questions, batches: per second, with five events per batch. deadline_ms: per question."""

    questions: float = 120.0
    batches: float = 20.0
    deadline_ms: int = 50


@dataclass(frozen=True)
class JudgedQuestion:
    """One question, and the judgement of its answer.

    Moments are on `perf_counter`. path: its route. took_ms: as the answer says, None without one.
    """

    due_at: float
    done_at: float
    path: str
    judgement: Judgement
    took_ms: float | None = None

    @property
    def latency_ms(self) -> float:
        """Latency, counted from the moment at which the question was due."""
        return 1000 * (self.done_at - self.due_at)


@dataclass
class Known:
    """Questions whose right answers were learned while nothing was wrong."""

    questions: Sequence[Question]
    references: References = field(default_factory=References)


class Traffic:
    """Traffic that is sent from `start` to `stop`. opens_anew: each question has a connection of its own."""

    def __init__(
        self,
        port: int,
        known: Known,
        shopping: Shopping,
        rates: Rates,
        seed: int,
        *,
        opens_anew: bool = False,
    ) -> None:
        self.known = known
        self.judged: list[JudgedQuestion] = []
        self.lane = Lane(port, opens_anew=opens_anew)
        self.sender = Sender(port, 0.05, seed, shopping.accepted)
        self._shopping = shopping
        self._rates = rates
        self._random = Random(seed)
        self._under_way: set[asyncio.Task[None]] = set()
        self._schedules: list[asyncio.Task[None]] = []

    async def learn(self, version: str) -> None:
        """Learn this version's answer to each known question when it is sent alone.

        Raises ServerFailed if it does not give one without an excuse.
        """
        bodies = []
        for question in self.known.questions:
            for _ in range(LEARNING_TRIES):
                reply = await self.lane.ask(question.request)
                judgement = judge(reply, question)
                if judgement.kind == "good" and f'"{version}"'.encode() in reply.body:
                    break
                await asyncio.sleep(LEARNING_PAUSE_SECONDS)
            else:
                raise ServerFailed(
                    f"even before any fault {question.body} is not answered well: {judgement.words}"
                )
            bodies.append(reply.body)
        self.known.references.learn(version, bodies)

    def start(self) -> None:
        """Start to send."""
        self._schedules = [
            asyncio.create_task(self._keep(self._rates.questions, self._ask_somebody)),
            asyncio.create_task(self._keep(self._rates.batches, self._send_batch)),
        ]

    async def stop(self, at_most_seconds: float) -> int:
        """Stop sending, wait for what is under way, and return how many batches were not accepted in time."""
        for schedule in self._schedules:
            schedule.cancel()
        await asyncio.gather(*self._schedules, return_exceptions=True)
        left: set[asyncio.Task[None]] = set()
        if self._under_way:
            _, left = await asyncio.wait(self._under_way, timeout=at_most_seconds)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self.lane.close()
        return len(left)

    async def until_well(self, since: float, at_most_seconds: float, n_excused: int) -> float | None:
        """Return the moment from which all is well, not before `since`; None if it does not come in time.

        n_excused: as in `first_well`.
        """
        give_up_at = perf_counter() + at_most_seconds
        while perf_counter() < give_up_at:
            later = sorted((each for each in self.judged if each.due_at >= since), key=_due)
            found = first_well(later, n_excused)
            if found is not None:
                return found
            await asyncio.sleep(0.1)
        return None

    async def _keep(self, rate: float, send: Callable[[float], Coroutine[None, None, None]]) -> None:
        """Send at exponential intervals, whatever the service is doing."""
        due_at = perf_counter()
        while True:
            due_at += self._random.expovariate(rate)
            await asyncio.sleep(max(0.0, due_at - perf_counter()))
            task = asyncio.create_task(send(due_at))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _ask_somebody(self, due_at: float) -> None:
        if self._random.random() < SHOPPERS_SHARE:
            await self._ask_shopper(due_at, self._random.choice(self._shopping.shoppers))
        else:
            await self._ask_known(due_at, self._random.randrange(len(self.known.questions)))

    async def _ask_known(self, due_at: float, number: int) -> None:
        question = self.known.questions[number]
        reply = await self.lane.ask(question.request)
        done_at = perf_counter()
        judgement = judge_known(reply, question, number, self.known.references)
        self.judged.append(JudgedQuestion(due_at, done_at, question.path, judgement, took_ms(reply.body)))

    async def _ask_shopper(self, due_at: float, shopper: Shopper) -> None:
        question = shopper.question(self._random, self._rates.deadline_ms)
        sent_at = perf_counter()
        reply = await self.lane.ask(question.request)
        done_at = perf_counter()
        judgement = judge(reply, question, shopper.known_to_have_bought(sent_at))
        self.judged.append(JudgedQuestion(due_at, done_at, question.path, judgement, took_ms(reply.body)))
        answers = read_answers(reply, question)
        if not isinstance(answers, Judgement):
            shopper.was_shown([item.item_id for item in answers[0].items])

    async def _send_batch(self, due_at: float) -> None:
        await self.sender.send(self._shopping.next_batch())


def excused_in_a_row(judged: Sequence[JudgedQuestion], fault_at: float) -> int:
    """Return how many of a hundred answers may give an excuse although all is well.

    On a quiet machine it is none, and on a busy one three times the share that gave an excuse before the fault.
    """
    before = [each for each in judged if each.due_at < fault_at]
    n_excused = sum(each.judgement.kind == "degraded" for each in before)
    return round(MAX_EXCUSED_RATIO * IN_A_ROW * n_excused / max(len(before), 1))


def first_well(judged: Sequence[JudgedQuestion], n_excused: int) -> float | None:
    """Return the moment of the first of a hundred answers in a row that show that all is well.

    None of them failed or was wrong, and at most n_excused gave an excuse. judged: in the order of `due_at`.
    """
    row: deque[JudgedQuestion] = deque()
    n_degraded = 0
    for each in judged:
        if each.judgement.kind in ("failed", "wrong"):
            row.clear()
            n_degraded = 0
            continue
        row.append(each)
        n_degraded += each.judgement.kind == "degraded"
        while row and (n_degraded > n_excused or row[0].judgement.kind == "degraded"):
            n_degraded -= row.popleft().judgement.kind == "degraded"
        if len(row) == IN_A_ROW:
            return row[0].due_at
    return None


def took_ms(body: bytes) -> float | None:
    """Return the time that an answer says it took."""
    try:
        said = json.loads(body).get("took_ms")
    except (ValueError, AttributeError):
        return None
    return float(said) if isinstance(said, int | float) else None


def _due(question: JudgedQuestion) -> float:
    return question.due_at
