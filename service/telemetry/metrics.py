"""The metrics for Prometheus. Labels are bound once: a counter then costs 0.4 µs, including its look-up by labels.

With several workers (PROMETHEUS_MULTIPROC_DIR is set) every process writes to shared files, and any of them
answers for all.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from service.redis.circuit import CircuitState
from service.telemetry.stage_seconds import StageSeconds

STAGES = ("permit", "parse", "history", "vector", "score", "reply", "total")
STAGE_BUCKETS = (
    *(0.000_010, 0.000_020, 0.000_050, 0.000_100, 0.000_200, 0.000_500),
    *(0.001, 0.002, 0.005, 0.010, 0.020, 0.035, 0.050, 0.075, 0.100, 0.250),
)
"""Bounds in seconds. On a good day every stage ends far below 1 ms; around the deadline the bounds lie close."""

EVENT_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.010, 0.020, 0.050, 0.100, 0.250, 0.5, 1.0, 2.5, 5.0)
"""Bounds in seconds. A disk's sync takes most of the time."""

BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """All metrics of one app, on their own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._count_requests(self.registry)
        self._show_bundles(self.registry)
        self._count_connections(self.registry)
        self._count_experiments(self.registry)
        self._count_events(self.registry)
        self.workers = Gauge(
            "stillroom_workers",
            "Processes that take connections",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self._admin_requests = Counter(
            "stillroom_admin_requests",
            "Requests of operators: done, refused for what they asked, or not authorised",
            ["outcome"],
            registry=self.registry,
        )

    def _count_requests(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "stillroom_requests",
            "Answers by route, tier and status",
            ["route", "tier", "status"],
            registry=registry,
        )
        self._degraded = Counter("stillroom_degraded", "Degraded answers", ["reason"], registry=registry)
        shared_folder = os.environ.get(SHARED_FOLDER)
        stages = StageSeconds(
            "stillroom_stage_seconds", "Time by stage", STAGES, STAGE_BUCKETS, shared_folder
        )
        registry.register(stages)
        self.took = stages.observe
        self._cache = Counter(
            "stillroom_history_lookups", "Where a person was found", ["layer"], registry=registry
        )
        self.corrupt_blobs = Counter(
            "stillroom_corrupt_blobs", "Redis values that were not readable", registry=registry
        )
        self.tower_runs = Counter(
            "stillroom_tower_runs", "Histories put through the user tower", registry=registry
        )
        self.batch_sizes = Histogram(
            "stillroom_batch_size", "Requests scored together", buckets=BATCH_BUCKETS, registry=registry
        )
        in_flight = Gauge(
            "stillroom_in_flight", "Requests at work", multiprocess_mode="livesum", registry=registry
        )
        self.in_flight = in_flight if shared_folder else _ReadWhenAsked(in_flight)
        self.batched_in_flight = Gauge(
            "stillroom_batched_in_flight",
            "Requests in batches at work",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._circuit = Gauge(
            "stillroom_redis_circuit",
            "0 closed, 1 half open, 2 open",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._request = lru_cache(512)(self._requests.labels)
        self._reason = lru_cache(64)(self._degraded.labels)
        self.found_in_layer = {
            layer: self._cache.labels(layer) for layer in ("memory", "redis", "bundle", "none")
        }

    def _count_connections(self, registry: CollectorRegistry) -> None:
        self.connections = Gauge(
            "stillroom_connections", "Connections open", multiprocess_mode="livesum", registry=registry
        )
        self._connections_ended = Counter(
            "stillroom_connections_ended",
            "Connections that the service refused or ended: for what was sent, for being idle or slow, to make room",
            ["reason"],
            registry=registry,
        )

    def _show_bundles(self, registry: CollectorRegistry) -> None:
        self._bundle = Gauge(
            "stillroom_bundle_info",
            "1 for the bundle in service",
            ["version"],
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._bundle_created = Gauge(
            "stillroom_bundle_created_timestamp_seconds",
            "When the bundle in service was made, the oldest among the workers; 0 if there is none",
            multiprocess_mode="livemin",
            registry=registry,
        )
        self._index = Gauge(
            "stillroom_index_info",
            "1 for the catalogue's index in service: how it is searched, and with which instructions",
            ["kind", "n_items", "n_lists", "n_probes", "kernel"],
            multiprocess_mode="livemax",
            registry=registry,
        )
        self.bundles_refused = Counter(
            "stillroom_bundles_refused", "Promoted bundles that did not verify", registry=registry
        )
        self._shown: tuple[Gauge, ...] = ()

    def _count_experiments(self, registry: CollectorRegistry) -> None:
        self.exposures = Counter(
            "stillroom_exposures", "Answers that were written to the live log", registry=registry
        )
        self.exposures_dropped = Counter(
            "stillroom_exposures_dropped", "Answers that never reached the live log", registry=registry
        )
        self._arm_answers = Counter(
            "stillroom_arm_answers",
            "Answers by arm of an experiment and tier",
            ["experiment", "arm", "tier"],
            registry=registry,
        )
        self._arm_seconds = Histogram(
            "stillroom_arm_seconds",
            "Time of a whole answer by arm of an experiment",
            ["experiment", "arm"],
            buckets=STAGE_BUCKETS,
            registry=registry,
        )
        self.experiments_file_refused = Counter(
            "stillroom_experiments_file_refused",
            "Declarations of experiments that contradict themselves or the store",
            registry=registry,
        )
        self._arm_answer = lru_cache(512)(self._arm_answers.labels)
        self._arm_time = lru_cache(128)(self._arm_seconds.labels)

    def _count_events(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "stillroom_events", "Events that were accepted, by kind", ["kind"], registry=registry
        )
        self._events_rejected = Counter(
            "stillroom_events_rejected", "Events that were rejected, by reason", ["reason"], registry=registry
        )
        self._events_unknown = Counter(
            "stillroom_events_unknown",
            "Accepted events of items, and people per batch, that the bundle does not know",
            ["what"],
            registry=registry,
        )
        self.event_seconds = Histogram(
            "stillroom_event_seconds",
            "Time until a batch of events was durable and answered",
            buckets=EVENT_BUCKETS,
            registry=registry,
        )
        self.spool_bytes = Gauge(
            "stillroom_spool_bytes",
            "Bytes of accepted events that Redis does not have yet, or without Redis, no export",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.spool_oldest_seconds = Gauge(
            "stillroom_spool_oldest_seconds",
            "Age of the oldest event in stillroom_spool_bytes",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self.spool_torn_bytes = Counter(
            "stillroom_spool_torn_bytes",
            "Half-written, never acknowledged events that a crash left and that were cut off",
            registry=registry,
        )
        self.spool_lost_bytes = Counter(
            "stillroom_spool_lost_bytes",
            "Accepted events whose files were deleted before they were stored anywhere else",
            registry=registry,
        )
        self.merging_refused = Counter(
            "stillroom_learning_refused",
            "Times that a person's events could not be written to their history",
            registry=registry,
        )
        self.people_set_aside = Gauge(
            "stillroom_people_set_aside",
            "People whose history cannot be written and whose events are set aside",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._event_unknown = lru_cache(4)(self._events_unknown.labels)
        self._event_kind = lru_cache(16)(self._events.labels)

    def answered(self, route: str, tier: str, status: int) -> None:
        """Count an answer. tier: "none" if it has no items."""
        self._request(route, tier, str(status)).inc()

    def connection_ended(self, reason: str) -> None:
        """Count a connection that the service ended and not the client."""
        self._connections_ended.labels(reason).inc()

    def degraded(self, reason: str) -> None:
        """Count a degraded answer."""
        self._reason(reason).inc()

    def event_accepted(self, kind: str) -> None:
        """Count an accepted event."""
        self._event_kind(kind).inc()

    def event_rejected(self, reason: str) -> None:
        """Count a rejected event of a batch, or a rejected batch."""
        self._events_rejected.labels(reason).inc()

    def event_unknown(self, what: str) -> None:
        """Count an accepted event of an unknown item or person."""
        self._event_unknown(what).inc()

    def admin_asked(self, outcome: str) -> None:
        """Count an operator's request."""
        self._admin_requests.labels(outcome).inc()

    def found_in(self, layer: str) -> None:
        """Count the layer that knew a person."""
        self.found_in_layer[layer].inc()

    def arm_answered(self, experiment: str, arm: str, tier: str, seconds: float) -> None:
        """Count an arm's answer and its time."""
        self._arm_answer(experiment, arm, tier).inc()
        self._arm_time(experiment, arm).observe(seconds)

    def circuit_changed(self, state: CircuitState) -> None:
        """Show the circuit's state."""
        self._circuit.set(state)

    def bundle_changed(self, version: str, index: tuple[str, ...], created_at: str) -> None:
        """Show the bundle in service and its index, and no other.

        index: values of the index's labels. created_at: ISO 8601, UTC.
        """
        self._bundle_created.set(datetime.fromisoformat(created_at).timestamp())
        for gauge in self._shown:
            gauge.set(0)
        self._shown = (self._bundle.labels(version), self._index.labels(*index))
        for gauge in self._shown:
            gauge.set(1)

    def exposition(self) -> bytes:
        """Return the text that Prometheus reads, for all workers."""
        if not is_shared():
            return generate_latest(self.registry)
        forget_dead_workers(Path(os.environ[SHARED_FOLDER]))
        merged = CollectorRegistry()
        MultiProcessCollector(merged)  # type: ignore[no-untyped-call]
        return generate_latest(merged)

    def close(self) -> None:
        """Stop counting this process's gauges."""
        if is_shared():
            mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


def forget_dead_workers(folder: Path) -> None:
    """Drop the gauges of killed workers; otherwise their work and spools would count for ever."""
    for file in folder.glob("gauge_live*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # another worker does the same at this moment
                mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


class _ReadWhenAsked:
    """A gauge that costs its writer 0.04 µs instead of 0.2: Prometheus's value is made when it is scraped.

    Workers that share files have to write their gauges, since another worker answers the scrape.
    """

    def __init__(self, gauge: Gauge) -> None:
        self._value = 0
        gauge.set_function(lambda: self._value)

    def set(self, value: int) -> None:
        """Set the value."""
        self._value = value


def is_shared() -> bool:
    """Whether several workers share their metrics."""
    return SHARED_FOLDER in os.environ
