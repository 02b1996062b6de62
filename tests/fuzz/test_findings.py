"""Findings are kept at their smallest, written down, and read back; the report adds up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fuzz.cases import Case, Findings, read_case
from tests.fuzz.exchange import Replied, Seen
from tests.fuzz.raw import alone, difference
from tests.fuzz.report import make_report, write_report
from tests.fuzz.watching import MEBIBYTE, GrowthWatch, KindReport, server_error

PROBLEM = {"content-type": "application/problem+json"}


def case(*pieces: bytes, n_valid_bytes: int = 0) -> Case:
    return Case("raw", pieces, n_valid_bytes)


def seen(*replies: Replied, ended: str = "answered") -> Seen:
    return Seen(replies, ended)


def test_each_finding_is_kept_once_at_its_smallest_and_can_be_read_back(tmp_path: Path) -> None:
    findings = Findings(tmp_path)
    assert findings.add(case(b"long", b" one"), "it broke")
    assert not findings.add(case(b"a longer one than that"), "it broke")
    assert findings.add(case(b"\xff\0"), "it broke")
    assert findings.add(case(b"x"), "it hangs")
    [broke, hangs] = findings.all()
    assert (broke.n_times, broke.smallest.pieces, hangs.n_times) == (3, (b"\xff\0",), 1)
    assert read_case(Path(broke.file)).smallest == case(b"\xff\0")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"{}", None),
        (422, b"{}", None),
        (503, b'{"type": "urn:stillroom:problem:admin-closed"}', None),
        (503, b'{"type": "urn:stillroom:problem:unavailable"}', "503 unavailable"),
        (500, b'{"type": "urn:stillroom:problem:internal"}', "500 internal"),
        (500, b"Internal Server Error", "500 no problem document"),
    ],
)
def test_5xx_is_an_error_unless_it_is_documented(status: int, body: bytes, words: str | None) -> None:
    assert server_error(status, body) == words


def test_reply_is_wrong_by_itself_if_it_is_no_http_or_hangs_or_is_no_problem_document() -> None:
    good = Replied(200, {}, b"")
    assert alone(seen(good), case(b"x")) is None
    assert alone(Seen((good,), "answered", b"hello"), case(b"x")) == "bytes that are no HTTP: b'hello'"
    assert alone(seen(good, ended="open"), case(b"x")) == "the connection hangs"
    assert (
        alone(seen(Replied(400, {"content-type": "text/plain"}, b"no")), case(b"x"))
        == "a 400 is no problem document"
    )
    assert alone(seen(Replied(400, PROBLEM, b"{}")), case(b"x")) is None


def test_valid_request_has_to_be_answered_whatever_comes_behind_it() -> None:
    asked = case(b"valid", b"rest", n_valid_bytes=5)
    assert alone(seen(Replied(200, {}, b""), Replied(400, PROBLEM, b"{}")), asked) is None
    words = "a valid request with something behind it got"
    assert alone(seen(Replied(400, PROBLEM, b"{}")), asked) == f"{words} [400]"
    assert alone(seen(), asked) == f"{words} []"


def test_ways_differ_in_statuses_ends_and_what_is_said() -> None:
    one, other = Replied(200, {}, b"a"), Replied(200, {}, b"b")
    assert difference(seen(one), seen(one)) is None
    assert difference(seen(one), seen(one, ended="answered after FIN")) is None
    assert difference(seen(one), seen()) == "answered with [200] on the short way and [] on the long way"
    closed = difference(seen(one), seen(one, ended="closed"))
    assert closed == "answered on the short way and closed on the long way, after [200]"
    assert (
        difference(seen(one), seen(other)) == "a 200 says other things on the short way than on the long way"
    )
    hurried = Replied(200, {}, b'{"degraded":"deadline"}')
    assert difference(seen(one), seen(hurried)) is None


@pytest.mark.parametrize("status", [404, 405])
def test_what_is_broken_behind_a_head_without_a_route_may_come_before_its_answer(status: int) -> None:
    broken, unknown = (Replied(each, PROBLEM, b"{}") for each in (400, status))
    assert difference(seen(broken), seen(unknown)) is None
    assert difference(seen(unknown), seen(broken)) is None
    assert difference(seen(unknown), seen(Replied(422, PROBLEM, b"{}"))) is not None


def test_growth_counts_from_the_warm_moment() -> None:
    watch = GrowthWatch(100)
    for n_done, mebibytes in ((0, 10), (29, 90), (30, 100), (60, 110), (100, 130)):
        watch.look(n_done, mebibytes * MEBIBYTE)
    assert watch.growth_mib == 30.0


def test_report_is_met_if_nothing_was_found_grew_or_was_unhandled(tmp_path: Path) -> None:
    good = KindReport("raw", cases=10, outcomes={"200": 10})
    assert make_report([good], [], 1, 1.0).met
    for bad in (
        KindReport("raw", cases=10, findings=1),
        KindReport("raw", cases=10, growth_mib=25.0),
        KindReport("raw", cases=10, unhandled=["1 x it broke"]),
    ):
        made = make_report([good, bad], [], 1, 1.0)
        assert not made.met
        assert len(made.problems) == 1
        assert made.cases == 20
    findings = Findings(tmp_path)
    findings.add(case(b"x"), "it broke")
    write_report(make_report([good], findings.all(), 1, 1.0), tmp_path / "fuzz.json")
    assert json.loads((tmp_path / "fuzz.json").read_text())["findings"][0]["smallest"] == "'x'"
