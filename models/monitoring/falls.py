"""Whether something happens less often than it did: ADWIN over one yes or no after the other.

river loads scipy and scikit-learn: this module is for the monitor and for training, no service reads it.
"""

from __future__ import annotations

from river.drift import ADWIN

DELTA = 0.0002
"""Of ADWIN: its bound on a false alarm; docs/monitoring.md has the measured rate."""

RECOVERED = 0.95
"""Of the rate before a fall: when the rate reaches it again, the alarm is over."""

MIN_ANSWERS = 1_000
"""Since the last change was found, before the rate is believed."""

ALARM_SECONDS = 7 * 86_400
"""After which a lower rate counts as the usual one."""


class FallDetector:
    """Told of each answer whether it had the outcome. An alarm begins with a fall of the rate that ADWIN finds, and
    ends when the rate is back or after ALARM_SECONDS.
    """

    def __init__(self) -> None:
        self._adwin = ADWIN(delta=DELTA)
        self._n = self._n_outcomes = 0
        """Answers since the last change was found."""
        self._usual = 0.0
        self._alarmed_at: float | None = None

    @property
    def is_alarm(self) -> bool:
        """The rate is lower than it was."""
        return self._alarmed_at is not None

    @property
    def rate(self) -> float:
        """Over the answers since the last change was found, 0 before there are any."""
        return self._n_outcomes / max(self._n, 1)

    def add(self, had_outcome: bool, moment: float) -> None:
        """moment: Unix seconds of the traffic."""
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
