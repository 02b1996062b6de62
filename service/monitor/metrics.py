"""The monitor's metrics for Prometheus. Gauges show the last window; an alarm stands until a window ends it."""

from __future__ import annotations

from time import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

MODEL_BUCKETS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Bounds in seconds per request."""


class MonitorMetrics:
    """All metrics of one monitor, on their own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._show_reading(self.registry)
        self._show_models(self.registry)
        self._show_experiments(self.registry)
        self._alarmed: set[tuple[str, str]] = set()
        self.last_window.set(time())

    def _show_reading(self, registry: CollectorRegistry) -> None:
        self.lag_seconds = Gauge(
            "stillroom_monitor_lag_seconds",
            "Age of the last record read, 0 where nothing is left to read",
            ["stream"],
            registry=registry,
        )
        self.last_window = Gauge(
            "stillroom_monitor_last_window_timestamp_seconds",
            "When the last window was closed; when the monitor started, before there is one",
            registry=registry,
        )
        self.trimmed = Counter(
            "stillroom_monitor_trimmed",
            "Times that records left a stream before they were read",
            ["stream"],
            registry=registry,
        )
        self.unreadable = Counter(
            "stillroom_monitor_unreadable",
            "Records that are none of this release",
            ["stream"],
            registry=registry,
        )
        self.from_ahead = Counter(
            "stillroom_monitor_from_ahead",
            "Records that a wrong clock stamped more than five minutes ahead, and that were left out",
            registry=registry,
        )
        self.unscored = Counter(
            "stillroom_monitor_unscored", "Sampled requests that no time was left to score", registry=registry
        )

    def _show_models(self, registry: CollectorRegistry) -> None:
        self.disagreement = Gauge(
            "stillroom_disagreement",
            "Mean agreement with the ensemble in the last window: 1 is full agreement",
            ["model", "measure"],
            registry=registry,
        )
        self._disagreement_alarm = Gauge(
            "stillroom_disagreement_alarm",
            "1 for a model that left the reference in a slice of the traffic",
            ["model", "slice"],
            registry=registry,
        )
        self.drift_psi = Gauge(
            "stillroom_drift_psi",
            "Population stability index of the last window against the bundle's reference",
            ["input"],
            registry=registry,
        )
        self.drift_p_value = Gauge(
            "stillroom_drift_p_value",
            "P-value of the last window having the reference's distribution",
            ["input"],
            registry=registry,
        )
        self.drift_alarm = Gauge(
            "stillroom_drift_alarm", "1 for an input that left the reference", ["input"], registry=registry
        )
        self.accuracy = Gauge(
            "stillroom_accuracy",
            "Share of answers with this outcome, in the last window",
            ["outcome"],
            registry=registry,
        )
        self.accuracy_alarm = Gauge(
            "stillroom_accuracy_alarm",
            "1 for an outcome that comes less often than it did",
            ["outcome"],
            registry=registry,
        )
        self.model_seconds = Histogram(
            "stillroom_model_seconds",
            "Time of one model for one request, in the monitor",
            ["model"],
            buckets=MODEL_BUCKETS,
            registry=registry,
        )

    def _show_experiments(self, registry: CollectorRegistry) -> None:
        self.srm_p_value = Gauge(
            "stillroom_experiment_srm_p_value",
            "P-value of units being assigned to arms as declared",
            ["experiment"],
            registry=registry,
        )
        self.srm_alarm = Gauge(
            "stillroom_experiment_srm_alarm",
            "1 for an experiment whose arms do not get their share",
            ["experiment"],
            registry=registry,
        )
        self.arm_stopped = Gauge(
            "stillroom_experiment_arm_stopped",
            "1 for an arm that a guardrail, or an operator, stopped",
            ["experiment", "arm", "guardrail"],
            registry=registry,
        )
        self.arm_outcomes = Counter(
            "stillroom_arm_outcomes",
            "Answers of an arm with this outcome",
            ["experiment", "arm", "outcome"],
            registry=registry,
        )

    def window_closed(self) -> None:
        """Note that a window was closed now."""
        self.last_window.set(time())

    def disagreement_moved(self, alarms: set[tuple[str, str]]) -> None:
        """Show these alarms, (model, slice), and no others."""
        for model, part in alarms | self._alarmed:
            self._disagreement_alarm.labels(model, part).set((model, part) in alarms)
        self._alarmed |= alarms

    def bundle_changed(self) -> None:
        """Clear what was shown of another bundle."""
        for gauge in (
            self.disagreement,
            self._disagreement_alarm,
            self.drift_psi,
            self.drift_p_value,
            self.drift_alarm,
        ):
            gauge.clear()
        self._alarmed.clear()
