"""Programs that are not there."""

from __future__ import annotations

import pytest

from loadtest.alerts.daemons import installed
from loadtest.errors import ServerMissing


def test_a_program_that_is_missing_is_named_with_the_remedy() -> None:
    with pytest.raises(ServerMissing, match=r"no-such-program.*apt-get install prometheus"):
        installed("no-such-program")
