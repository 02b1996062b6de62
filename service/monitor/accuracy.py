"""Monitors how often answers lead to a click or a purchase, and whether that has fallen: ADWIN over answers."""

from __future__ import annotations

import logging
from collections import deque
from typing import NamedTuple

from models.experiments.attribution import OUTCOMES
from models.monitoring.falls import FallDetector
from service.log.records import ExposureRecord
from service.monitor.attribution import Attributed
from service.monitor.metrics import MonitorMetrics

logger = logging.getLogger(__name__)


class _Pending(NamedTuple):
    """An answer whose time for outcomes is not over."""

    record: ExposureRecord
    outcomes: set[str]


class AccuracyWatch:
    """outcome_seconds: how long after an answer an event counts for it. minimum, seconds: of windows, at least."""

    def __init__(
        self, metrics: MonitorMetrics, *, outcome_seconds: float, minimum: int, seconds: float
    ) -> None:
        self._metrics = metrics
        self._outcome_ms = 1000 * outcome_seconds
        self._minimum = minimum
        self._seconds = seconds
        self._pending: deque[_Pending] = deque()
        self._outcomes_of: dict[int, set[str]] = {}
        """Outcomes by the identity of the record, which `_pending` keeps alive."""
        self._detectors = {outcome: FallDetector() for outcome in OUTCOMES.values()}
        self._counts = dict.fromkeys(OUTCOMES.values(), 0)
        self._n_answers = 0
        self._opened: float | None = None

    def exposed(self, record: ExposureRecord) -> None:
        """Note an answer; one without items can have no outcome and is not counted."""
        if record.item_ids:
            outcomes: set[str] = set()
            self._pending.append(_Pending(record, outcomes))
            self._outcomes_of[id(record)] = outcomes

    def attributed(self, found: Attributed) -> None:
        """Note an outcome of an answer."""
        outcomes = self._outcomes_of.get(id(found.exposure))
        if outcomes is not None and found.at_ms - found.exposure.sent_ms <= self._outcome_ms:
            outcomes.add(found.outcome)

    def forget(self, user_id: str, before_ms: int) -> None:
        """Forget a person's answers from before a moment; they are not counted."""
        kept: deque[_Pending] = deque()
        for pending in self._pending:
            if pending.record.user_id == user_id and pending.record.sent_ms < before_ms:
                del self._outcomes_of[id(pending.record)]
            else:
                kept.append(pending)
        self._pending = kept

    def close(self, moment: float) -> None:
        """Count answers whose time is over, and close the window if it is full. moment: Unix seconds."""
        while self._pending and 1000 * moment - self._pending[0].record.sent_ms > self._outcome_ms:
            self._count(self._pending.popleft())
        for outcome, detector in self._detectors.items():
            self._metrics.accuracy_alarm.labels(outcome).set(detector.is_alarm)
        is_over = self._opened is not None and moment - self._opened >= self._seconds
        if is_over and self._n_answers >= self._minimum:
            for outcome, n in self._counts.items():
                self._metrics.accuracy.labels(outcome).set(n / self._n_answers)
            self._counts = dict.fromkeys(OUTCOMES.values(), 0)
            self._n_answers, self._opened = 0, None
            self._metrics.window_closed()

    def _count(self, answer: _Pending) -> None:
        del self._outcomes_of[id(answer.record)]
        moment = (answer.record.sent_ms + self._outcome_ms) / 1000
        if self._opened is None:
            self._opened = moment
        self._n_answers += 1
        for outcome, detector in self._detectors.items():
            had_outcome = outcome in answer.outcomes
            was_alarm = detector.is_alarm
            detector.add(had_outcome, moment)
            self._counts[outcome] += had_outcome
            if detector.is_alarm and not was_alarm:
                logger.warning("answers lead to a %s less often than before: %.4f", outcome, detector.rate)
