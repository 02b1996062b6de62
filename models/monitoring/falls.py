"""Detects that something happens less often than it did: ADWIN over a sequence of yes or no.

river loads scipy and scikit-learn, so this module is for the monitor and for training; no service imports it.
"""

from __future__ import annotations

from river.drift import ADWIN

DELTA = 0.0002
"""ADWIN's bound on a false alarm; docs/monitoring.md has the measured rate."""

RECOVERED = 0.95
"""The share of the rate before a fall at which the alarm ends, once the rate reaches it again."""

MIN_ANSWERS = 1_000
"""How many answers since the last detected change make the rate credible."""

ALARM_SECONDS = 7 * 86_400
"""The time after which a lower rate counts as the usual one."""


class FallDetector:
    """Learns of each answer whether it had the outcome. An alarm begins with a fall of the rate that ADWIN finds, and
    ends when the rate is back or after ALARM_SECONDS.
    """

    def __init__(self) -> None:
        self._adwin = ADWIN(delta=DELTA)
        self._n = self._n_outcomes = 0
        """The answers and outcomes since the last detected change."""
        self._usual = 0.0
        self._alarmed_at: float | None = None

    @property
    def is_alarm(self) -> bool:
        """Whether the rate is lower than it was."""
        return self._alarmed_at is not None

    @property
    def rate(self) -> float:
        """The rate over the answers since the last detected change, 0 if there are none."""
        return self._n_outcomes / max(self._n, 1)

    def add(self, had_outcome: bool, moment: float) -> None:
        """Count an answer. moment: Unix seconds of the traffic."""
        before = float(self._adwin.estimation)
        self._adwin.update(int(had_outcome))
        self._n += 1
        self._n_outcomes += had_outcome
        if self._adwin.drift_detected:
            self._changed(before, float(self._adwin.estimation), moment)
        if self._alarmed_at is not None and self._is_over(self._alarmed_at, moment):
            self._alarmed_at = None

    def _changed(self, before: float, after: float, moment: float) -> None:
        self._n = self._n_outcomes = 0
        if after < before:
            if self._alarmed_at is None:
                self._usual = before
            self._alarmed_at = moment

    def _is_over(self, alarmed_at: float, moment: float) -> bool:
        is_back = self._n >= MIN_ANSWERS and self.rate >= RECOVERED * self._usual
        return is_back or moment - alarmed_at > ALARM_SECONDS
