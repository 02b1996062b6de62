"""The report is read back as it was written; its page has every row, safely."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from loadtest.faults.drill import Pace, described
from loadtest.faults.judging import Judgement
from loadtest.faults.page import render, write_page
from loadtest.faults.report import make_report, read_report, row_lines, write_report
from loadtest.faults.schema import Report, RowReport
from loadtest.faults.stage import Kept
from tests.loadtest.faults.reports import judged, report, row

KEPT = Kept([], ["p"], ["i"])


def drill(*rows: RowReport) -> Report:
    return make_report(Pace(seed=7), KEPT, rows, 60.0, is_short=True)


def not_run() -> RowReport:
    return msgspec.structs.replace(described(row(name="no-disk")), verdict="not run", remedy="run it as root")


def failed() -> RowReport:
    made = report(*[judged(n / 10) for n in range(90)], judged(5, Judgement("failed", "500 <internal>")))
    return msgspec.structs.replace(made, name="broken", verdict="failed", problems=["1 x 500 <internal>"])


def test_report_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    made = drill(report(), failed(), not_run())
    write_report(made, tmp_path / "faults.json")
    assert read_report(tmp_path / "faults.json") == made


@pytest.mark.parametrize(
    ("rows", "met"),
    [([report()], True), ([report(), failed()], False), ([report(), not_run()], False), ([], False)],
)
def test_met_is_when_every_row_ran_and_held(rows: list[RowReport], met: bool) -> None:
    made = drill(*rows)
    assert made.met is met
    assert made.held + made.failed + made.not_run == len(rows)


def test_page_has_every_row_with_its_picture_and_nothing_that_runs(tmp_path: Path) -> None:
    page = write_page(drill(report(), failed(), not_run()), tmp_path / "faults.json")
    html = page.read_text()
    assert page.name == "faults.html"
    for name in ("a-row", "broken", "no-disk"):
        assert f'<article id="{name}"' in html
    assert html.count("<svg") == 2  # a row that did not run has no picture
    assert "1 x 500 &lt;internal&gt;" in html
    assert "run it as root" in html
    assert "<script" not in html
    assert "http://" not in html.replace("http://www.w3.org/2000/svg", "")


def test_tiles_add_up_all_rows() -> None:
    html = render(drill(report(), failed()))
    assert "<b>1 of 2</b><span>rows held</span>" in html
    assert "<b>191</b><span>questions asked</span>" in html
    assert "<b>1</b><span>failed</span>" in html
    assert "<b>20</b><span>events accepted</span>" in html


def test_lines_for_a_terminal_say_what_failed_and_what_to_do() -> None:
    assert "    0 failed    0 wrong" in next(row_lines(report()))
    assert list(row_lines(failed()))[1].endswith("- 1 x 500 <internal>")
    assert next(row_lines(not_run())).endswith("run it as root")
