"""The monitor: every turn reads records, passes them to the watches, and closes their windows. Read this page first.

Windows follow the time of the traffic, never this machine's clock. The monitor waits for Redis when it is away, and
no request waits for the monitor.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep, time

import redis

from models.experiments.attribution import Attributor
from service.log.erasures import MAX_AHEAD_MS, wall_ms
from service.log.records import ErasureRecord, EventRecord, ExposureRecord
from service.monitor.accuracy import AccuracyWatch
from service.monitor.disagreement import DisagreementWatch
from service.monitor.experiments import ExperimentsWatch
from service.monitor.inputs import InputWatch
from service.monitor.metrics import MonitorMetrics
from service.monitor.tail import LogTail, Record
from service.monitor.watched import BundleFollower, WatchedBundle
from service.redis.replies import ReplyUnexpected
from service.settings.commands import MonitorProcessSettings

logger = logging.getLogger(__name__)

DECIDE_SECONDS = 5.0
"""The pause between two decisions on experiments."""

SAVE_SECONDS = 10.0
"""The pause between two saves of how far was read; after a kill, this much is read again and counted once."""

GRACE_SECONDS = 60.0
"""How long replicas may take to follow a promotion, in addition to their pause between two looks."""

SCORING_SECONDS = 1.0
"""How long a turn may score sampled requests; the rest wait for the next turn."""

RETRY_SECONDS = 1.0

EXPERIMENTS_STATE = "experiments"


def _moment(record: Record) -> int:
    """Return when a record was written, Unix milliseconds."""
    return record.sent_ms if isinstance(record, ExposureRecord) else record.received_ms


class Monitor:
    """client: of Redis, with replies as bytes."""

    def __init__(
        self, settings: MonitorProcessSettings, client: redis.Redis, metrics: MonitorMetrics
    ) -> None:
        self._settings = settings
        self._client = client
        self._metrics = metrics
        self._tail = LogTail(client, metrics)
        self._bundles = BundleFollower(settings.store)
        self._watched: WatchedBundle | None = None
        self._inputs: InputWatch | None = None
        self._disagreement: DisagreementWatch | None = None
        file = Path(settings.experiments) if settings.experiments else None
        self._experiments = ExperimentsWatch(file, settings.store, metrics)
        self._accuracy = AccuracyWatch(
            metrics,
            outcome_seconds=settings.outcome_window_seconds,
            minimum=settings.monitor_min_records,
            seconds=settings.monitor_window_seconds,
        )
        self._attributor: Attributor[ExposureRecord] = Attributor(
            settings.outcome_window_seconds, settings.monitor_max_answers
        )
        self._now_ms = 0
        self._is_resumed = False
        self._due = {"follow": 0.0, "decide": 0.0, "save": 0.0}
        self.is_stopping = False
        self.turned_at = monotonic()
        """When the last turn ended; health checks read it."""

    @property
    def is_watching(self) -> bool:
        """Whether there is a bundle and Redis has been read."""
        return self._watched is not None and self._is_resumed

    def run(self) -> None:
        """Run until `is_stopping`, then save all counts."""
        while not self.is_stopping:
            try:
                self.turn()
            except (redis.RedisError, OSError, ReplyUnexpected) as error:
                logger.warning("Redis cannot be read, the monitor waits: %s", error)
                self._tail.disconnected()
                self._wait(RETRY_SECONDS)
            self.turned_at = monotonic()
        self._save()

    def turn(self) -> None:
        """Read new records and do what is due. Raises redis.RedisError."""
        if self._is_due("follow", self._settings.bundle_poll_seconds):
            self._follow()
        if not self._is_resumed:
            self._resume()
        self.take(self._tail.read())
        self._score()
        self._close_windows()
        if self._is_due("decide", DECIDE_SECONDS):
            self._experiments.decide(self._client, self._now_ms)
        if self._is_due("save", SAVE_SECONDS):
            self._save()

    def take(self, records: Sequence[Record]) -> None:
        """Pass these records to all watches. Records that a wrong clock stamped far ahead are left out: the latest
        moment of any record is the time here, and would be so for good.
        """
        latest_ms = wall_ms() + MAX_AHEAD_MS
        for record in records:
            if _moment(record) > latest_ms:
                self._metrics.from_ahead.inc()
            elif isinstance(record, EventRecord):
                self._happened(record)
            elif isinstance(record, ExposureRecord):
                self._exposed(record)
            else:
                self._forget(record)

    def _exposed(self, record: ExposureRecord) -> None:
        self._now_ms = max(self._now_ms, record.sent_ms)
        self._experiments.exposed(record)
        self._accuracy.exposed(record)
        if self._inputs is not None:
            self._inputs.exposed(record)
        if self._disagreement is not None:
            self._disagreement.exposed(record)
        for found in self._attributor.exposed(record):
            self._experiments.attributed(found)
            self._accuracy.attributed(found)

    def _happened(self, event: EventRecord) -> None:
        self._now_ms = max(self._now_ms, event.received_ms)
        if self._inputs is not None:
            self._inputs.happened(event)
        for found in self._attributor.happened(event):
            self._experiments.attributed(found)
            self._accuracy.attributed(found)

    def _forget(self, erased: ErasureRecord) -> None:
        """Forget a person in what is not summed up yet. Repeating it changes nothing."""
        user_id, moment = erased.user_id, erased.received_ms
        units = {user_id} | {answer.unit for answer in self._attributor.forget(user_id, moment)}
        self._accuracy.forget(user_id, moment)
        self._experiments.forget(units, moment)

    def _score(self) -> None:
        until = monotonic() + SCORING_SECONDS
        while self._disagreement is not None and self._disagreement.score():
            if monotonic() > until:
                break

    def _close_windows(self) -> None:
        moment = self._now_ms / 1000
        self._accuracy.close(moment)
        if self._inputs is not None:
            self._inputs.close(moment)
        if self._disagreement is not None:
            window = self._disagreement.close(moment)
            for moved in window.moved if window else ():
                logger.warning(
                    "%s left the reference in %s: %s, %.1f standard errors, agreement with the others down by %.3f",
                    *(moved.model, moved.slice, moved.measure, moved.shift, moved.drop),
                )

    def _follow(self) -> None:
        """Watch the current bundle; windows begin anew, since its reference is another."""
        self._experiments.follow()
        found = self._bundles.follow(self._watched)
        if found is None:
            return
        settings, first = self._settings, self._watched is None
        self._watched = found
        self._metrics.bundle_changed()
        seconds = settings.monitor_window_seconds
        self._inputs = InputWatch(found, self._metrics, minimum=settings.monitor_min_records, seconds=seconds)
        grace = 0 if first else 1000 * (GRACE_SECONDS + settings.bundle_poll_seconds)
        self._disagreement = DisagreementWatch(
            found,
            self._metrics,
            minimum=settings.monitor_min_scored,
            seconds=seconds,
            since_ms=int(1000 * time() + grace),
        )
        logger.info("watching bundle %s", found.version)

    def _resume(self) -> None:
        """Continue where the last monitor stopped. Answers whose time is not over are remembered again."""
        left = self._tail.resume()
        if EXPERIMENTS_STATE in left:
            self._experiments.restore(left[EXPERIMENTS_STATE])
        for record in self._tail.before(self._settings.outcome_window_seconds):
            if isinstance(record, EventRecord):
                for found in self._attributor.happened(record):
                    self._accuracy.attributed(found)
            elif isinstance(record, ExposureRecord):
                self._accuracy.exposed(record)
                for found in self._attributor.exposed(record):
                    self._accuracy.attributed(found)
        self._is_resumed = True

    def _save(self) -> None:
        if not self._is_resumed:
            return
        try:
            self._tail.save({EXPERIMENTS_STATE: self._experiments.to_bytes()})
        except redis.RedisError as error:
            logger.warning("how far the monitor has read cannot be written down: %s", error)

    def _is_due(self, what: str, seconds: float) -> bool:
        now = monotonic()
        if now < self._due[what]:
            return False
        self._due[what] = now + seconds
        return True

    def _wait(self, seconds: float) -> None:
        """Wait in short steps, so that a stop takes effect soon."""
        until = monotonic() + seconds
        while not self.is_stopping and (left := until - monotonic()) > 0:
            sleep(min(left, 0.1))
