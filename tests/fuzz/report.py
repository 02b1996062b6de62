"""`reports/fuzz.json`: how many cases of each kind, what came of them, and what was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from tests.fuzz.cases import Finding
from tests.fuzz.watching import KindReport

SCHEMA_VERSION = 1
SHOWN_BYTES = 300


class Shown(msgspec.Struct, frozen=True):
    """A finding for people. smallest: the beginning of its smallest input, as Python writes it. file: to replay."""

    kind: str
    words: str
    n_times: int
    smallest: str
    n_bytes: int
    file: str


class Report(msgspec.Struct, frozen=True):
    """met: nothing was found, memory came to rest, and no log has anything unhandled."""

    schema_version: int
    met: bool
    seed: int
    cases: int
    kinds: list[KindReport]
    problems: list[str]
    findings: list[Shown]
    seconds: float


def make_report(
    kinds: Sequence[KindReport], findings: Sequence[Finding], seed: int, seconds: float
) -> Report:
    """Everything, and whether it is as it must be."""
    problems = [f"{kind.kind}: {problem}" for kind in kinds for problem in kind.problems()]
    return Report(
        schema_version=SCHEMA_VERSION,
        met=bool(kinds) and not problems,
        seed=seed,
        cases=sum(kind.cases for kind in kinds),
        kinds=list(kinds),
        problems=problems,
        findings=[_shown(finding) for finding in findings],
        seconds=round(seconds, 1),
    )


def write_report(report: Report, out: Path) -> None:
    """As JSON."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def lines(report: Report) -> Iterator[str]:
    """For a terminal."""
    for kind in report.kinds:
        outcomes = ", ".join(f"{n:,} x {outcome}" for outcome, n in kind.outcomes.items())
        yield f"{kind.kind:<9} {kind.cases:>7,} cases in {kind.seconds:.0f} s, {kind.growth_mib:+.1f} MiB: {outcomes}"
    for finding in report.findings:
        yield f"found {finding.n_times} x, {finding.kind}: {finding.words}"
        yield f"      {finding.smallest}  (--replay {finding.file})"
    for problem in report.problems:
        yield f"problem: {problem}"


def _shown(finding: Finding) -> Shown:
    data = finding.smallest.data
    return Shown(
        finding.kind, finding.words, finding.n_times, repr(data[:SHOWN_BYTES])[1:], len(data), finding.file
    )
