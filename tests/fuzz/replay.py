"""One case that was written down, tried again by itself."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import uvloop

from tests.fuzz.behind import behind
from tests.fuzz.cases import Case, Findings
from tests.fuzz.document import DocumentFuzz
from tests.fuzz.raw import RawFuzz
from tests.fuzz.replies import RepliesFuzz, bounded_addresses
from tests.fuzz.services import LONG_WAY, SHORT_WAY, fuzzed, key_in


def replayed(case: Case, folder: Path) -> str | None:
    """What is wrong with it today, None for nothing. folder: for services and what they write."""
    findings = Findings(folder / "found")
    if case.kind == "replies":
        with bounded_addresses():
            return uvloop.run(RepliesFuzz(findings).judged(case))
    if case.kind == "behind":
        return uvloop.run(_behind(case, folder, findings))
    with ExitStack() as stack:
        short = stack.enter_context(fuzzed(folder / "short", SHORT_WAY))
        if case.kind == "document":
            return DocumentFuzz(short, key_in(folder / "short"), findings).judged_again(case)
        long = stack.enter_context(fuzzed(folder / "long", LONG_WAY))
        return uvloop.run(RawFuzz(short, long, findings).judged(case))


async def _behind(case: Case, folder: Path, findings: Findings) -> str | None:
    async with behind(folder, findings) as fuzz:
        return await fuzz.judged(case)
