"""The figures of an arm: its answers, their times, their faults, and their outcomes."""

from __future__ import annotations

from math import exp, log

import msgspec

from service.log.records import ExposureRecord

STEPS_A_FACTOR = 50
"""How many steps of latency a factor of e has: steps are of 2 %, exp(1 / 50)."""

FALLBACK_TIERS = frozenset({"last_good", "popular_segment", "popular", "none"})
"""The tiers that answer if the arm's model did not; "none" if no tier did."""


class Judged(msgspec.Struct, frozen=True):
    """The figures that guardrails judge."""

    n_answers: int = 0
    n_slow: int = 0
    n_errors: int = 0
    n_empty: int = 0


class ArmFigures(msgspec.Struct):
    """slow_us: longer answers are counted in n_slow. n_errors: answers that the arm's model did not give.

    took: answers by step of latency. value: of all purchases. first_ms, last_ms: Unix milliseconds of the first
    and last answer, 0 before there is any. forgiven: the counts when a stopped arm was let go on.
    """

    slow_us: int = 0
    n_answers: int = 0
    n_slow: int = 0
    n_errors: int = 0
    n_empty: int = 0
    n_degraded: int = 0
    n_clicked: int = 0
    n_purchased: int = 0
    value: float = 0.0
    first_ms: int = 0
    last_ms: int = 0
    took: dict[int, int] = {}
    forgiven: Judged = Judged()

    def add(self, record: ExposureRecord) -> None:
        """Count an answer."""
        self.n_answers += 1
        self.n_slow += bool(self.slow_us) and record.took_us > self.slow_us
        self.n_errors += record.tier in FALLBACK_TIERS
        self.n_empty += not record.item_ids
        self.n_degraded += bool(record.degraded)
        self.first_ms = min(self.first_ms or record.sent_ms, record.sent_ms)
        self.last_ms = max(self.last_ms, record.sent_ms)
        step = round(STEPS_A_FACTOR * log(max(record.took_us, 1)))
        self.took[step] = self.took.get(step, 0) + 1

    def add_outcome(self, outcome: str, value: float) -> None:
        """Count an outcome of an answer."""
        if outcome == "click":
            self.n_clicked += 1
        else:
            self.n_purchased += 1
            self.value += value

    def forgive(self) -> None:
        """Let guardrails judge anew from here."""
        self.forgiven = Judged(self.n_answers, self.n_slow, self.n_errors, self.n_empty)

    def judged(self) -> Judged:
        """Return the figures since the last `forgive`, which guardrails judge."""
        past = self.forgiven
        return Judged(
            self.n_answers - past.n_answers,
            self.n_slow - past.n_slow,
            self.n_errors - past.n_errors,
            self.n_empty - past.n_empty,
        )

    def quantile_ms(self, share: float) -> float:
        """Return the milliseconds within which this share of answers stayed, to 1 %; 0 before there is any."""
        left = share * self.n_answers
        for step in sorted(self.took):
            left -= self.took[step]
            if left <= 0:
                return exp(step / STEPS_A_FACTOR) / 1000
        return 0.0

    def rate(self, n: int) -> float:
        """Return n as a share of answers."""
        return n / self.n_answers if self.n_answers else 0.0

    @property
    def answers_per_second(self) -> float:
        """The rate of answers from the first to the last."""
        seconds = (self.last_ms - self.first_ms) / 1000
        return self.n_answers / seconds if seconds > 0 else 0.0
