"""Scores sampled requests again with every model, and judges windows of them."""

from __future__ import annotations

import zlib

from models.monitoring.agreement import MEASURES, STUDENT
from models.monitoring.disagreement import DisagreementWindow, Scored, judge
from models.monitoring.scored_requests import WatchedRequest, score_requests
from service.log.records import ExposureRecord
from service.monitor.metrics import MonitorMetrics
from service.monitor.watched import WatchedBundle

MAX_WAITING = 2_000
"""How many sampled requests may wait to be scored; beyond it they are counted and dropped."""

SCORED_AT_ONCE = 64


class DisagreementWatch:
    """minimum: how many requests a window needs. seconds: how long it lasts at least.

    since_ms: Unix milliseconds from which on every replica should have this bundle: from then on, an answer of
    another bundle comes from a replica that did not follow, and counts.
    """

    def __init__(
        self, watched: WatchedBundle, metrics: MonitorMetrics, *, minimum: int, seconds: float, since_ms: int
    ) -> None:
        self._watched = watched
        self._metrics = metrics
        self._minimum = minimum
        self._seconds = seconds
        self._since_ms = since_ms
        self._waiting: list[WatchedRequest] = []
        self._scored: list[Scored] = []
        self._opened: float | None = None

    @property
    def n_waiting(self) -> int:
        """How many requests wait to be scored."""
        return len(self._waiting)

    def exposed(self, record: ExposureRecord) -> None:
        """Keep a sampled request, under the moment when it was sent."""
        reference = self._watched.reference.disagreement
        if record.sampled is None or reference is None or not self._watched.models:
            return
        if record.version != self._watched.version and (record.experiment or record.sent_ms < self._since_ms):
            return
        if len(self._waiting) >= MAX_WAITING:
            self._metrics.unscored.inc()
            return
        if self._opened is None:
            self._opened = record.sent_ms / 1000
        is_students = record.variant == STUDENT and record.tier == STUDENT and not record.degraded
        is_plain = is_students and not record.sampled.is_narrowed
        history = self._watched.history(record.sampled)
        self._waiting.append(
            WatchedRequest(
                history,
                self._watched.rows(record.item_ids) if is_plain else None,
                zlib.crc32(record.request_id.encode()),
                self._watched.own_items.left_out(history),
            )
        )

    def score(self) -> bool:
        """Score some of the waiting requests; return whether there were any."""
        reference = self._watched.reference.disagreement
        asked, self._waiting = self._waiting[:SCORED_AT_ONCE], self._waiting[SCORED_AT_ONCE:]
        if not asked or reference is None:
            return False
        self._scored.append(
            score_requests(
                self._watched.models,
                asked,
                self._watched.catalogue.ranks,
                self._watched.catalogue.available,
                reference.popularity_bounds,
                lambda name, seconds: self._metrics.model_seconds.labels(name).observe(seconds),
            )
        )
        return True

    def close(self, moment: float) -> DisagreementWindow | None:
        """Close the window if it is full, and show its result. moment: Unix seconds of the traffic."""
        reference = self._watched.reference.disagreement
        is_over = self._opened is not None and moment - self._opened >= self._seconds
        if reference is None or not is_over or sum(map(len, self._scored)) < self._minimum:
            return None
        window = judge(reference, Scored.joined(self._scored))
        self._scored, self._opened = [], None
        for measure in MEASURES:
            for model, mean in window.means[measure].items():
                self._metrics.disagreement.labels(model, measure).set(mean)
        self._metrics.disagreement_moved({(moved.model, moved.slice) for moved in window.moved})
        self._metrics.window_closed()
        return window
