"""The report in its three forms."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

from loadtest.bench.report import summary_lines, write_report
from loadtest.bench.verdicts import judge
from tests.loadtest.bench.reports import good_report


def test_json_and_page_lie_side_by_side(tmp_path: Path) -> None:
    report = good_report()
    page = write_report(report, tmp_path / "deep" / "bench.json")
    assert json.loads((tmp_path / "deep" / "bench.json").read_text()) == report
    assert page == tmp_path / "deep" / "bench.html"


def test_the_page_is_well_formed_and_escapes_what_it_shows(tmp_path: Path) -> None:
    report = good_report()
    report["errors"] = [{"part": "size 10,000", "error": "<not a tag> & more"}]
    text = write_report(report, tmp_path / "bench.json").read_text()
    body = text.replace("<!doctype html>", "").replace('<meta charset="utf-8">', "")
    ElementTree.fromstring(body)
    assert "A &lt;CPU&gt;" in text
    assert "&lt;not a tag&gt; &amp; more" in text
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_lines_hold_every_table_and_every_verdict() -> None:
    report = good_report()
    report["verdicts"] = [asdict(each) for each in judge(report)]
    text = "\n".join(summary_lines(report))
    for title in (
        "An answer",
        "Kinds of requests",
        "Peers",
        "Where an answer's time goes",
        "Start, memory",
        "Bounds",
    ):
        assert title in text
    assert text.count("reached") == len(report["verdicts"]) + 1  # and the column's title


def test_what_failed_is_in_the_lines() -> None:
    report = good_report()
    report["peers"]["bentoml"] = {"error": "pip could not reach an index"}
    report["peers"]["litserve"]["1m"] = {"error": "it never became ready"}
    report["errors"] = [{"part": "size 1,000,000", "error": "no bundle"}]
    text = "\n".join(summary_lines(report))
    for message in ("pip could not reach an index", "it never became ready", "no bundle"):
        assert message in text


def test_a_report_of_nothing_can_be_shown(tmp_path: Path) -> None:
    report = good_report()
    empty = {key: type(value)() for key, value in report.items() if isinstance(value, dict | list)}
    nothing = {**report, **empty, "machine": report["machine"], "code": report["code"]}
    assert "<table>" not in write_report(nothing, tmp_path / "bench.json").read_text()
