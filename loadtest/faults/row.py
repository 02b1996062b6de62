"""One row of the drill: what is done, what must hold, and how the stage is set for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal

from loadtest.faults.setting import Setting
from loadtest.faults.stage import Stage

Group = Literal["redis", "replies", "line", "clients", "processes", "machine", "store"]

Fault = Callable[[Stage], AbstractAsyncContextManager[None]]
"""Makes the fault when it is entered and repairs it when it is left."""

Check = Callable[[Stage], Awaitable[list[str]]]
"""What else is wrong afterwards; called once everything is exported, while the service still runs."""

AWAY = "redis_unavailable"
RECOVERING = "redis_recovering"
DEADLINE = "deadline"
DEADLINE_MISSED = "deadline_missed"

PLAIN = Setting()
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Row:
    """done: what is done. holds: what must hold, beside what holds in every row. seconds: how long the fault lasts.

    told: the reason that some answer has to give for not being what it would be, "" where none needs to.
    may_say: further reasons that answers may give. helpless: what no service could help, in the words of failures and
    of wrong answers; it is counted apart.
    ships: accepted events reach the stream while the fault lasts. event_statuses: what POST /events may be answered
    with beside 202. grows_mib: what the service's own memory may grow by. recovers_seconds: at most. is_timed: p99
    during the fault is judged. is_short: part of the short drill.
    """

    name: str
    group: Group
    fault: Fault
    done: str
    holds: str = ""
    seconds: float = 4.0
    told: str = ""
    may_say: frozenset[str] = frozenset()
    helpless: frozenset[str] = frozenset()
    ships: bool = False
    event_statuses: frozenset[str] = frozenset()
    grows_mib: float = 64.0
    recovers_seconds: float = 20.0
    is_timed: bool = True
    may_log_errors: bool = False
    check: Check | None = None
    setting: Setting = PLAIN
    is_short: bool = False

    @property
    def explains(self) -> frozenset[str]:
        """The reasons that answers may give. Who was away may have lost something, and is recovering for a while;
        what leaves no time for an answer may also let one come too late.
        """
        given = {self.told, *self.may_say}
        also = {AWAY: RECOVERING, DEADLINE: DEADLINE_MISSED}
        return frozenset(given | {also[reason] for reason in given & also.keys()})
