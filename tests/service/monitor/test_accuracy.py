"""Which outcomes count for an answer, and when a window of answers is full."""

from __future__ import annotations

import pytest

from service.log.records import ExposureRecord
from service.monitor.accuracy import AccuracyWatch
from service.monitor.attribution import Attributed
from service.monitor.metrics import MonitorMetrics
from tests.support.experiments import exposure


class Watched:
    """Answers count for a minute, a window has two of them at least and lasts ten seconds."""

    def __init__(self) -> None:
        self._metrics = MonitorMetrics()
        self.watch = AccuracyWatch(self._metrics, outcome_seconds=60, minimum=2, seconds=10)

    def shown(self, *, sent_ms: int) -> ExposureRecord:
        record = exposure(f"user-{sent_ms}", sent_ms=sent_ms)
        self.watch.exposed(record)
        return record

    def clicked(self, record: ExposureRecord, at_ms: int) -> None:
        self.watch.attributed(Attributed(record, "click", "item-1", 0.0, at_ms))

    def click_rate(self, moment: float) -> float | None:
        self.watch.close(moment)
        return self._metrics.registry.get_sample_value("stillroom_accuracy", {"outcome": "click"})


@pytest.mark.parametrize(("after_ms", "rate"), [(60_000, 0.5), (60_001, 0.0)])
def test_an_outcome_counts_to_the_end_of_an_answers_time(after_ms: int, rate: float) -> None:
    watched = Watched()
    watched.clicked(watched.shown(sent_ms=1_000), 1_000 + after_ms)
    watched.shown(sent_ms=2_000)
    assert watched.click_rate(1_000.0) == rate


def test_an_answer_counts_once_its_time_is_over_and_not_at_its_end() -> None:
    watched = Watched()
    watched.clicked(watched.shown(sent_ms=0), 0)
    second = watched.shown(sent_ms=1_000)
    watched.watch.close(61.0)  # counts the first alone
    watched.clicked(second, 61_000)
    assert watched.click_rate(75.0) == 1.0


@pytest.mark.parametrize(("moment", "is_full"), [(71.0, False), (73.0, True)])
def test_a_window_lasts_its_seconds_from_where_the_first_answers_time_is_over(
    moment: float, is_full: bool
) -> None:
    watched = Watched()
    for sent_ms in (2_000, 3_000):
        watched.clicked(watched.shown(sent_ms=sent_ms), sent_ms)
    assert (watched.click_rate(moment) is not None) == is_full


def test_a_window_waits_for_its_least_number_of_answers() -> None:
    watched = Watched()
    watched.clicked(watched.shown(sent_ms=0), 0)
    assert watched.click_rate(1_000.0) is None
    watched.shown(sent_ms=1_000_000)
    assert watched.click_rate(2_000.0) == 0.5
