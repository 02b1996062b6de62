"""Stage times from the service's own histograms, and the bar drawn of them."""

from __future__ import annotations

import pytest

from loadtest.bench.errors import BenchFailed
from loadtest.bench.stage_bars import OTHER, draw_stage_bars, shares
from loadtest.bench.stages import StageSums, mean_microseconds, parse_stages
from service.telemetry.metrics import Metrics

BEFORE = StageSums({"vector": 1.0, "score": 2.0, "total": 4.0}, {"vector": 10, "score": 10, "total": 10})


def test_stages_are_read_from_what_the_service_exposes() -> None:
    metrics = Metrics()
    metrics.took({"score": 0.25, "total": 0.5})
    metrics.took({"total": 0.25})
    sums = parse_stages(metrics.exposition().decode())
    assert (sums.seconds["score"], sums.seconds["total"]) == (0.25, 0.75)
    assert (sums.counts["score"], sums.counts["total"]) == (1, 2)


def test_a_stage_that_few_requests_go_through_counts_for_all_of_them() -> None:
    after = StageSums({"vector": 1.5, "score": 4.0, "total": 7.0}, {"vector": 11, "score": 20, "total": 20})
    assert mean_microseconds(BEFORE, after) == {"vector": 50_000, "score": 200_000, "total": 300_000}


def test_no_request_in_between_is_said() -> None:
    with pytest.raises(BenchFailed, match="no request"):
        mean_microseconds(BEFORE, BEFORE)
    with pytest.raises(BenchFailed, match="stage_seconds"):
        parse_stages("# nothing\n")


def test_a_bar_is_as_long_as_its_total_and_the_rest_is_other() -> None:
    assert shares({"vector": 50, "score": 200, "total": 500}) == {"vector": 0.1, "score": 0.4, OTHER: 0.5}
    assert shares({"vector": 60, "score": 60, "total": 100}) == {"vector": 0.5, "score": 0.5, OTHER: 0.0}
    assert shares({"total": 0.0}) == {}


def test_the_drawing_names_sizes_and_stages() -> None:
    drawn = draw_stage_bars({"10k": {"score": 80, "total": 100}, "<1m>": {"score": 280, "total": 300}})
    assert drawn.startswith("<svg")
    assert "score: 80.0 µs, 80%" in drawn
    assert "&lt;1m&gt;" in drawn
    assert drawn.count("<rect") == 4 + 2  # two bars of two parts, and a legend of two
