"""The decision over a run's rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.people import Answer
from loadtest.recording import Recorder, Sample, read_samples, read_start
from loadtest.verdict import Happening, Settings, decide, percentile

STARTED_AT = 1000.0
SETTINGS = Settings(rate=10, seconds=10, warmup_seconds=2, sla_ms=50)


def samples(response_ms: Callable[[int], float] = lambda number: 5.0) -> list[Sample]:
    """12 s at 10 a second: 20 rows of warm-up, then the 100 of the window."""
    return [
        Sample(STARTED_AT + number / 10, "recommend", response_ms(number), "", "student", "")
        for number in range(120)
    ]


def test_quick_answers_at_the_target_rate_meet_the_sla() -> None:
    report = decide(samples(), STARTED_AT, SETTINGS)
    assert report["met"]
    assert report["missed"] == []
    assert (report["requests"], report["rps"], report["p99_ms"]) == (100, 10.0, 5.0)


def test_p99_at_the_limit_misses_the_sla() -> None:
    report = decide(samples(lambda number: 50.0 if number >= 118 else 5.0), STARTED_AT, SETTINGS)
    assert not report["met"]
    assert report["missed"] == ["p99 is 50.0 ms, the SLA is 50 ms"]


def test_one_slow_answer_in_a_hundred_is_beyond_p99() -> None:
    report = decide(samples(lambda number: 500.0 if number == 119 else 5.0), STARTED_AT, SETTINGS)
    assert report["met"]
    assert report["max_ms"] == 500.0


def test_slow_answers_in_the_warm_up_do_not_count() -> None:
    assert decide(samples(lambda number: 900.0 if number < 20 else 5.0), STARTED_AT, SETTINGS)["met"]


@pytest.mark.parametrize("position", [3, 60])
def test_one_failure_misses_the_sla_even_in_the_warm_up(position: int) -> None:
    rows = samples()
    rows[position] = rows[position]._replace(fault="status 500")
    report = decide(rows, STARTED_AT, SETTINGS)
    assert not report["met"]
    assert (report["failures"], report["faults"]) == (1, {"status 500": 1})


def test_a_rate_that_was_not_held_shows_nothing() -> None:
    report = decide(samples()[::2], STARTED_AT, SETTINGS)
    assert report["missed"] == ["5.0 requests a second were sent, 10 were asked for"]


def test_no_answers_at_all_miss_the_sla() -> None:
    assert not decide([], STARTED_AT, SETTINGS)["met"]


def test_report_has_everything_and_is_json() -> None:
    rows = samples()
    rows[50] = rows[50]._replace(tier="popular", degraded="redis_unavailable", name="similar")
    report = decide(rows, STARTED_AT, SETTINGS, [Happening(4.0, "Redis killed")])
    for key in (
        "schema_version",
        "rps",
        "failures",
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "sla_ms",
        "met",
        "machine",
    ):
        assert key in report
    assert report["tiers"] == {"student": 99, "popular": 1}
    assert report["degraded"] == {"redis_unavailable": 1}
    assert [row["name"] for row in report["endpoints"]] == ["recommend", "similar"]
    assert report["timeline"][3]["degraded"] == 1
    assert len(report["timeline"]) == 10
    assert report["settings"]["sla_ms"] == 50
    assert json.loads(json.dumps(report))["happenings"] == [{"at_seconds": 4.0, "what": "Redis killed"}]


def test_the_window_ends_where_it_should() -> None:
    report = decide(samples(), STARTED_AT, replace(SETTINGS, seconds=5))
    assert report["requests"] == 50


def test_percentile_is_nearest_rank() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert [percentile(ordered, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([1.0, 2.0, 3.0], 0.5) == 2.0
    assert percentile([7.0], 0.01) == 7.0
    assert percentile([], 0.99) == 0.0


def test_a_recording_reads_back_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "requests.csv"
    assert read_start(file) is None
    recorder = Recorder(file)
    assert read_start(file) is not None, "the start must be readable while the run goes on"
    recorder.add(1.25, "recommend, narrowed", 3.25, None, Answer(None, "student", "deadline"))
    recorder.add(2.5, "similar", 9.0, TimeoutError(), Answer(None))
    recorder.close()
    assert list(read_samples(file)) == [
        Sample(1.25, "recommend, narrowed", 3.25, "", "student", "deadline"),
        Sample(2.5, "similar", 9.0, "TimeoutError", "", ""),
    ]
