"""One row of the drill: which fault is made, what must hold, and how the stage is set for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal

from loadtest.faults.setting import Setting
from loadtest.faults.stage import Stage

Group = Literal["redis", "replies", "line", "clients", "processes", "machine", "store"]

Fault = Callable[[Stage], AbstractAsyncContextManager[None]]
"""A context manager that makes the fault on entry and repairs it on exit."""

Check = Callable[[Stage], Awaitable[list[str]]]
"""A function that returns further problems; it is called after the export, while the service still runs."""

AWAY = "redis_unavailable"
RECOVERING = "redis_recovering"
DEADLINE = "deadline"
DEADLINE_MISSED = "deadline_missed"

PLAIN = Setting()
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Row:
    """One row of the drill. done: what is broken, in words. holds: what must hold, beside what holds in every row.

    seconds: how long the fault lasts. told: the reason that some answers must give for being degraded, "" if none
    must. may_say: further reasons that answers may give. helpless: failures and wrong answers, in their words, that
    no service could prevent; they are counted apart. ships: accepted events reach the stream while the fault lasts.
    event_statuses: statuses that POST /events may answer with beside 202. grows_mib: the most by which the service's
    own memory may grow. recovers_seconds: the longest recovery allowed. is_timed: whether p99 during the fault is
    judged. is_short: whether the row is part of the short drill.
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
        """The reasons that answers may give.

        If Redis was away, it may have lost something and is recovering for a while; a fault that leaves no time for
        an answer may also make one come too late.
        """
        given = {self.told, *self.may_say}
        also = {AWAY: RECOVERING, DEADLINE: DEADLINE_MISSED}
        return frozenset(given | {also[reason] for reason in given & also.keys()})
