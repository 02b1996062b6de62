"""What `degraded` may say: every reason stands in the runbook with its meaning and what to do, and no other does."""

from __future__ import annotations

import re
from typing import get_args

from service.answers.recommender import UNKNOWN_ITEM
from service.bundles.holder import Absence
from service.contract.errors import StageFailed
from service.edge.routes import MISSED
from service.people.recovery import RECOVERING
from tests.service.contract.test_errors import every_class
from tests.support.repository import ROOT


def test_the_runbook_explains_every_reason_and_no_other() -> None:
    failures = {error.reason for error in every_class(StageFailed) if issubclass(error, StageFailed)}
    text = (ROOT / "docs" / "runbook.md").read_text()
    section = text.partition("## What `degraded` says\n")[2].partition("\n#")[0]
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", section, re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert set(rows) == {*failures, *get_args(Absence), RECOVERING, MISSED, UNKNOWN_ITEM}
