"""Which instructions ran: read from the service, said by the report."""

from __future__ import annotations

import pytest

from loadtest.bench.errors import BenchFailed
from loadtest.bench.instructions import parse_kernel
from loadtest.bench.report import render, summary_lines
from service.telemetry.metrics import Metrics
from tests.loadtest.bench.reports import good_report


def test_instructions_are_read_from_what_the_service_exposes() -> None:
    metrics = Metrics()
    metrics.bundle_changed(
        "a-bundle", ("inverted", "1000000", "2000", "40", "neon-dot"), "2026-01-01T00:00:00+00:00"
    )
    assert parse_kernel(metrics.exposition().decode()) == "neon-dot"


def test_service_that_does_not_say_is_an_error_and_no_guess() -> None:
    with pytest.raises(BenchFailed, match="stillroom_index_info"):
        parse_kernel(Metrics().exposition().decode())


def test_page_and_printed_tables_say_processor_and_instructions() -> None:
    report = good_report()
    report["kernels"] = {"10k": "avx2", "100k": "plain", "1m": "plain"}
    said = "the catalogue is searched with avx2 and plain instructions"
    lines = list(summary_lines(report))
    assert lines[0] == f"A <CPU>: {said}"
    assert f"{said}</p>" in render(report)
