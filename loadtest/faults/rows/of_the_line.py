"""Rows on odd replies of Redis, and on the line to it."""

from __future__ import annotations

from loadtest.faults.conditions import Conditions
from loadtest.faults.line_faults import line_is
from loadtest.faults.row import AWAY, Row
from loadtest.faults.rows.common import COLD, LINE
from loadtest.faults.setting import Setting

LATE = frozenset({AWAY, "deadline"})
"""Redis uses its part of the deadline, and what is left may be too little on a busy machine."""

BOUNDED = ("prlimit", f"--as={8 * 2**30}", "--")
BYTEWISE = Conditions(piece_bytes=1, ways=("questions", "answers"))

REPLIES = tuple(
    Row(
        name=f"replies-{rule.replace('_', '-')}",
        group="replies",
        fault=line_is(Conditions(replies=rule)),
        done=done,
        holds="It counts as Redis away.",
        told=told,
        may_say=LATE,
        setting=LINE,
        is_short=rule == "numbers",
    )
    for rule, done, told in (
        ("numbers", "Where people's histories are read, Redis gives numbers.", AWAY),
        ("errors", "Where people's histories are read, Redis gives errors in their places.", AWAY),
        ("maps", "Where people's histories are read, Redis gives maps in their places.", AWAY),
        ("number", "For people's histories, Redis gives one number.", AWAY),
        ("map", "For people's histories, Redis gives one map.", AWAY),
        ("shorter", "One history is missing at the end of the list.", AWAY),
        ("longer", "One history more than requested is at the end of the list.", AWAY),
        ("push", "Push messages of odd shapes come before the histories.", ""),
        ("somebody_elses", "Each person is given the history of another one.", AWAY),
        ("huge_string", "Redis announces a gigabyte and sends a byte of it.", AWAY),
        ("anything", "Every third reply, to whatever command, is a value of another kind.", AWAY),
    )
)

HUGE = (
    Row(
        name="replies-huge-array",
        group="replies",
        fault=line_is(Conditions(replies="huge_array")),
        done="Redis announces an array of 999,999,999 (the service may take 8 GiB of addresses).",
        holds="It counts as Redis away, and nothing is set aside for it.",
        told=AWAY,
        may_say=LATE,
        setting=Setting(has_line=True, settings=COLD, prefix=BOUNDED, redis_patience_ms=20),
    ),
)

LINES = tuple(
    Row(
        name=f"line-{name}",
        group="line",
        fault=line_is(conditions),
        done=f"On the line to Redis {done}.",
        holds="Answers go on, and say so where Redis could not be read.",
        told=told,
        may_say=LATE,
        setting=LINE,
        is_short=name == "flips",
    )
    for name, done, conditions, told in (
        ("bytewise", "every byte is a segment of its own", BYTEWISE, ""),
        ("delayed", "answers take 5 ms longer", Conditions(delay_ms=5), ""),
        ("jitter", "answers take up to 40 ms longer, now this and now that", Conditions(jitter_ms=40), AWAY),
        ("throttled", "answers come at 20 kB a second", Conditions(bytes_per_second=20_000), AWAY),
        ("flips", "every twentieth piece has a bit turned over", Conditions(flips=0.05), ""),
        ("truncated", "every tenth answer is cut in half and the connection closed", Conditions(truncates=0.1), AWAY),
        ("reset", "every tenth answer is a reset instead", Conditions(resets=0.1), AWAY),
        ("dropped", "nothing comes back and the connections stay open", Conditions(drops=True), AWAY),
    )
)  # fmt: skip
