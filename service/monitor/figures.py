"""What is counted of an arm: answers, their time, what was wrong with them, and what came of them."""

from __future__ import annotations

from math import exp, log

import msgspec

from service.log.records import ExposureRecord

STEPS_A_FACTOR = 50
"""Latency is counted in steps of 2 %: exp(1 / 50)."""

FALLBACK_TIERS = frozenset({"last_good", "popular_segment", "popular", "none"})
"""Tiers that answer where the arm's model did not; "none" where nobody did."""


class Judged(msgspec.Struct, frozen=True):
    """What guardrails look at."""

    n_answers: int = 0
    n_slow: int = 0
    n_errors: int = 0
    n_empty: int = 0


class ArmFigures(msgspec.Struct):
    """slow_us: an answer that takes longer is counted in n_slow. n_errors: answers that the arm's model did not give.

    took: answers by step of latency. value: of what was purchased. first_ms, last_ms: Unix milliseconds of the first
    and last answer, 0 before there is any. forgiven: what was counted when a stopped arm was let go on.
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
        """Count what came of an answer."""
        if outcome == "click":
            self.n_clicked += 1
        else:
            self.n_purchased += 1
            self.value += value

    def forgive(self) -> None:
        """Let guardrails begin anew."""
        self.forgiven = Judged(self.n_answers, self.n_slow, self.n_errors, self.n_empty)

    def judged(self) -> Judged:
        """What guardrails look at: everything since the last `forgive`."""
        past = self.forgiven
        return Judged(
            self.n_answers - past.n_answers,
            self.n_slow - past.n_slow,
            self.n_errors - past.n_errors,
            self.n_empty - past.n_empty,
        )

    def quantile_ms(self, share: float) -> float:
        """Milliseconds that this share of answers stayed within, to 1 %; 0 before there is any."""
        left = share * self.n_answers
        for step in sorted(self.took):
            left -= self.took[step]
            if left <= 0:
                return exp(step / STEPS_A_FACTOR) / 1000
        return 0.0

    def rate(self, n: int) -> float:
        """As a share of answers."""
        return n / self.n_answers if self.n_answers else 0.0

    @property
    def answers_per_second(self) -> float:
        """From the first answer to the last."""
        seconds = (self.last_ms - self.first_ms) / 1000
        return self.n_answers / seconds if seconds > 0 else 0.0
