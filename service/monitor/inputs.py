"""Takes the inputs that are monitored for drift from records."""

from __future__ import annotations

import logging
from collections import defaultdict

import numpy as np

from models.history import EventKind
from models.monitoring import inputs
from models.monitoring.drift import DriftWindows, InputDrift
from models.named_kinds import KIND_CODES, kind_code
from models.removals import REMOVAL, RETURN
from service.log.records import EventRecord, ExposureRecord
from service.monitor.metrics import MonitorMetrics
from service.monitor.watched import WatchedBundle

logger = logging.getLogger(__name__)


class InputWatch:
    """minimum, seconds: of windows, as in `DriftWindows`."""

    def __init__(
        self, watched: WatchedBundle, metrics: MonitorMetrics, *, minimum: int, seconds: float
    ) -> None:
        self._watched = watched
        self._metrics = metrics
        self._windows = DriftWindows(watched.reference.inputs, minimum=minimum, seconds=seconds)
        self._numbers: defaultdict[str, list[float]] = defaultdict(list)
        self._rows: list[int] = []
        self._first: float | None = None
        """Unix seconds of the first record since the last count."""

    def exposed(self, record: ExposureRecord) -> None:
        """Count what an answer tells of its person and, if this bundle's student gave it, of its scores."""
        self._came(record.sent_ms)
        self._numbers[inputs.HISTORY_LENGTH].append(record.n_history)
        is_students = record.variant == "student" and record.tier == "student" and not record.degraded
        if is_students and record.version == self._watched.version:
            scores = inputs.answer_scores(record.unpacked_scores())
            if scores is not None:
                self._numbers[inputs.TOP_SCORE].append(scores[0])
                self._numbers[inputs.SCORE_SPREAD].append(scores[1])
        if record.sampled is not None and record.sampled.times:
            recency = inputs.recency_days(record.sent_ms / 1000, max(record.sampled.times))
            self._numbers[inputs.RECENCY_DAYS].append(recency)

    def happened(self, event: EventRecord) -> None:
        """Count an event; a kind that no model sees tells nothing here. Low ratings and returns are dislikes,
        as in training.
        """
        if KIND_CODES.get(event.kind, REMOVAL) == REMOVAL:
            return
        kind = kind_code(event.kind, event.value, self._watched.liked_from)
        self._came(event.received_ms)
        row = self._watched.vocabulary.find(event.item_id)
        self._numbers[inputs.EVENT_KIND].append(EventKind.DISLIKE if kind == RETURN else kind)
        self._numbers[inputs.UNKNOWN_ITEM].append(row is None)
        if row is not None:
            self._rows.append(row)

    def close(self, moment: float) -> list[InputDrift]:
        """Close windows that are full, and show their results. moment: Unix seconds of the traffic."""
        self._count()
        closed = self._windows.close(moment)
        for found in closed:
            self._metrics.drift_psi.labels(found.name).set(found.psi)
            self._metrics.drift_p_value.labels(found.name).set(found.p_value)
            self._metrics.drift_alarm.labels(found.name).set(found.is_alarm)
            self._metrics.window_closed()
            if found.is_alarm:
                logger.warning(
                    "drift of %s: PSI %.3f, p = %.2g, in %d", found.name, found.psi, found.p_value, found.n
                )
        return closed

    def _came(self, unix_ms: int) -> None:
        if self._first is None:
            self._first = unix_ms / 1000

    def _count(self) -> None:
        """Put all records since the last count into the windows at once."""
        if self._first is None:
            return
        for name, numbers in self._numbers.items():
            self._windows.add(name, np.array(numbers, np.float64), self._first)
        of_items = self._watched.catalogue.numbers(np.array(self._rows, np.int32))
        for name, places in of_items.items():
            self._windows.add(name, places, self._first)
        self._numbers.clear()
        self._rows.clear()
        self._first = None
