"""Judges the declared experiments: publishes their reports, and stops arms that are beyond a guardrail."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import msgspec
import redis

from models.bundles.registry import Registry
from models.errors import StillroomError
from models.experiments.declaration import Declaration
from models.experiments.known import known_variants
from models.experiments.reading import read_declaration
from service.experiments.report import publish_command
from service.experiments.stopped import EVERY_ARM, READ_STOPS, Stop, read_stops, stop_command
from service.log.records import ExposureRecord
from service.monitor.attribution import Attributed
from service.monitor.judge import ExperimentJudge
from service.monitor.metrics import MonitorMetrics

logger = logging.getLogger(__name__)


class ExperimentsWatch:
    """file: the declaration; None for no experiments. store: the registry's folder.

    A refused declaration changes nothing here, as in the services.
    """

    def __init__(self, file: Path | None, store: Path, metrics: MonitorMetrics) -> None:
        self._file = file
        self._registry = Registry(store)
        self._metrics = metrics
        self._judge = ExperimentJudge(Declaration())
        self._accepted: tuple[int, int, int] | None = None
        self._shown_stops: set[tuple[str, str, str]] = set()
        self._refused = ""

    def follow(self) -> None:
        """Read the declaration if it has changed, and judge by it."""
        if self._file is None:
            return
        try:
            found = self._file.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp == self._accepted:
                return
            self._judge.follow(read_declaration(self._file, known_variants(self._registry)))
        except (StillroomError, OSError) as error:
            if str(error) != self._refused:
                self._refused = str(error)
                logger.error("the experiments file is refused, what was judged stays: %s", error)
            return
        self._accepted, self._refused = stamp, ""
        for gauge in (self._metrics.srm_p_value, self._metrics.srm_alarm):
            gauge.clear()

    def exposed(self, record: ExposureRecord) -> None:
        """Note an answer."""
        if record.experiment:
            self._judge.exposed(record)

    def attributed(self, found: Attributed) -> None:
        """Note an outcome of an answer."""
        if found.exposure.experiment:
            self._judge.attributed(found)
            labels = (found.exposure.experiment, found.exposure.arm, found.outcome)
            self._metrics.arm_outcomes.labels(*labels).inc()

    def forget(self, units: Iterable[str], before_ms: int) -> None:
        """Forget a person, who had these units."""
        self._judge.forget(units, before_ms)

    def decide(self, client: redis.Redis, now_ms: int) -> None:
        """Publish every report, and stop arms beyond a guardrail. Raises redis.RedisError."""
        if not self._judge.declaration.experiments:
            self._show_stops([])
            return
        stops = read_stops(cast(Any, client.execute_command(*READ_STOPS)))  # type: ignore[no-untyped-call]
        decision = self._judge.decide(now_ms, stops)
        for stop in decision.stops:
            logger.warning("arm %s of %s is stopped: %s", stop.arm, stop.experiment, stop.detail)
            client.execute_command(*stop_command(stop))  # type: ignore[no-untyped-call]
        for report in decision.reports:
            client.execute_command(*publish_command(report))  # type: ignore[no-untyped-call]
            self._metrics.srm_p_value.labels(report.name).set(report.srm_p_value)
            self._metrics.srm_alarm.labels(report.name).set(report.is_mismatched)
        self._show_stops([*stops, *decision.stops])

    def to_bytes(self) -> bytes:
        """Return all counts."""
        return self._judge.to_bytes()

    def restore(self, raw: bytes) -> None:
        """Continue an earlier monitor's counts; counts of another release begin anew, and the log says so."""
        try:
            self._judge.restore(raw)
        except msgspec.MsgspecError as error:
            logger.error("what was counted of experiments cannot be read and begins anew: %s", error)

    def _show_stops(self, stops: list[Stop]) -> None:
        """Show the arms that are stopped, and no longer those that went on."""
        shown = set()
        for stop in stops:
            experiment = self._judge.declaration.experiment(stop.experiment)
            if experiment is not None and stop.salt == experiment.seed:
                arms = [arm.name for arm in experiment.arms if stop.arm in (arm.name, EVERY_ARM)]
                shown |= {(stop.experiment, arm, stop.cause) for arm in arms}
        for labels in self._shown_stops - shown:
            self._metrics.arm_stopped.remove(*labels)
        for labels in shown:
            self._metrics.arm_stopped.labels(*labels).set(1)
        self._shown_stops = shown
