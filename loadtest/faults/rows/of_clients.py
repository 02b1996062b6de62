"""Rows on what clients may do."""

from __future__ import annotations

from loadtest.faults.client_faults import hostile
from loadtest.faults.conditions import Conditions
from loadtest.faults.judging import LANE_IS_FULL
from loadtest.faults.row import AWAY, Row
from loadtest.faults.setting import Setting

FEW_DESCRIPTORS = Setting(opens_anew=True, prefix=("prlimit", "--nofile=256", "--"))

CLOSED_WHILE_IDLE = frozenset({"none"})
"""A connection that is idle between two batches may have to make room; its client sends again on another one."""

CLIENTS = (
    Row(
        name="client-half-close",
        group="clients",
        fault=hostile("half_closed", 4.0),
        done="Clients send a request and then FIN.",
        holds="Each gets its answer.",
    ),
    Row(
        name="client-h2c",
        group="clients",
        fault=hostile("h2c", 4.0),
        done="Clients offer to go on in HTTP/2 (Upgrade: h2c) with their POST.",
        holds="The offer is ignored and each gets its answer.",
        is_short=True,
    ),
    Row(
        name="client-garbage-behind",
        group="clients",
        fault=hostile("garbage_behind", 4.0),
        done="Clients send a valid request with bytes behind it that are no HTTP.",
        holds="The valid request gets its answer first.",
    ),
    Row(
        name="client-bytewise",
        group="clients",
        fault=hostile("byte_by_byte", 4.0),
        done="Clients send valid requests byte by byte.",
        holds="Each gets its answer.",
    ),
    *(
        Row(
            name=f"client-line-{name}",
            group="clients",
            fault=hostile("bad_line", 4.0, conditions),
            done=f"Some clients come over a line on which {done}.",
            holds="None of them gets a 5xx, and nobody else is concerned.",
            setting=Setting(has_client_line=True),
        )
        for name, done, conditions in (
            (
                "flips",
                "every fifth request has a bit turned over",
                Conditions(flips=0.2, ways=("questions",)),
            ),
            (
                "truncated",
                "every fifth request is cut in half",
                Conditions(truncates=0.2, ways=("questions",)),
            ),
            ("reset", "every fifth request is a reset instead", Conditions(resets=0.2, ways=("questions",))),
            ("throttled", "answers come at 5 kB a second", Conditions(bytes_per_second=5000)),
        )
    ),
    Row(
        name="client-endless-head",
        group="clients",
        fault=hostile("endless_head", 6.0),
        done="One client sends header lines without an end.",
        holds="It is refused after a bounded number of bytes.",
        seconds=6.0,
        is_short=True,
    ),
    Row(
        name="client-giant-header",
        group="clients",
        fault=hostile("giant_header", 6.0),
        done="One client sends one header value without an end.",
        holds="It is refused after a bounded number of bytes.",
        seconds=6.0,
    ),
    Row(
        name="client-slow-heads",
        group="clients",
        fault=hostile("slow_heads", 12.0),
        done="300 clients send a byte of their head a second; a process may have 256 descriptors.",
        holds="Newcomers get in.",
        seconds=12.0,
        event_statuses=CLOSED_WHILE_IDLE,
        setting=FEW_DESCRIPTORS,
    ),
    Row(
        name="client-slow-bodies",
        group="clients",
        fault=hostile("slow_bodies", 12.0),
        done="300 clients send a byte of their body a second; a process may have 256 descriptors.",
        holds="Newcomers get in.",
        seconds=12.0,
        event_statuses=CLOSED_WHILE_IDLE,
        setting=FEW_DESCRIPTORS,
    ),
    Row(
        name="client-silent",
        group="clients",
        fault=hostile("silent", 12.0),
        done="600 clients connect and say nothing; a process may have 256 descriptors.",
        holds="Newcomers get in.",
        seconds=12.0,
        event_statuses=CLOSED_WHILE_IDLE,
        setting=FEW_DESCRIPTORS,
    ),
    Row(
        name="client-never-reading",
        group="clients",
        fault=hostile("never_reading", 6.0),
        done="100 clients send requests without an end and read no answer.",
        holds="What is held for each is bounded, and others are answered.",
        seconds=6.0,
        may_say=frozenset({"overloaded"}),
        grows_mib=128.0,
    ),
    Row(
        name="client-mail",
        group="clients",
        fault=hostile("mail_beside", 5.0),
        done="Four clients ask for batches of 64, one after the other.",
        holds="No shopper is refused for it, but other batches are: they have one lane.",
        seconds=5.0,
        helpless=LANE_IS_FULL,
        may_say=frozenset({"overloaded"}),
    ),
    Row(
        name="client-tenfold",
        group="clients",
        fault=hostile("tenfold", 6.0),
        done="Ten times as many questions come as the service can answer, by a schedule that nothing delays.",
        holds="What is not refused (429) is answered, and says so where the deadline was not kept.",
        seconds=6.0,
        may_say=frozenset({"overloaded", "deadline", AWAY}),
        helpless=frozenset({"429 overloaded"}),
        event_statuses=frozenset({"429"}),
        is_timed=False,
        grows_mib=256.0,
    ),
)
