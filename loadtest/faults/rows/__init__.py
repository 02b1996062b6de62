"""All rows of the drill: what is done, and what must hold; the smallest fault of each group comes first.

In every row no question fails, no answer is wrong without saying that something is away, p99 stays within the
deadline (or three times what it was before), no accepted event is lost or doubled, all is well again soon after the
repair, the service does not grow, and nothing unhandled is in its log.
"""

from __future__ import annotations

from loadtest.errors import FaultUnknown
from loadtest.faults.row import Row
from loadtest.faults.rows.of_clients import CLIENTS
from loadtest.faults.rows.of_redis import REDIS
from loadtest.faults.rows.of_the_line import HUGE, LINES, REPLIES
from loadtest.faults.rows.of_the_machine import MACHINE, PROCESSES, STORE

ROWS: tuple[Row, ...] = (*REDIS, *REPLIES, *HUGE, *LINES, *CLIENTS, *PROCESSES, *MACHINE, *STORE)


def chosen(names: str, *, is_short: bool) -> list[Row]:
    """Return the rows that are named. Raises FaultUnknown.

    names: separated by commas; a name may be the start of names with a star behind. "" is all rows or, if is_short,
    those of the short drill.
    """
    if not names:
        return [row for row in ROWS if row.is_short or not is_short]
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if not any(_is_named(row, name) for row in ROWS):
            known = ", ".join(row.name for row in ROWS)
            raise FaultUnknown(f"there is no row {name!r}; there is {known}")
    return [row for row in ROWS if any(_is_named(row, name) for name in wanted)]


def _is_named(row: Row, name: str) -> bool:
    return row.name.startswith(name[:-1]) if name.endswith("*") else row.name == name
