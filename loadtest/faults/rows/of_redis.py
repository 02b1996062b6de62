"""Rows on Redis, with the smallest fault first."""

from __future__ import annotations

from loadtest.faults import redis_faults as redis
from loadtest.faults.conditions import Conditions
from loadtest.faults.judging import STALE
from loadtest.faults.line_faults import line_is
from loadtest.faults.row import AWAY, RECOVERING, Row
from loadtest.faults.rows.common import COLD, LINE, SHIPPED
from loadtest.faults.setting import Setting

COLD_SHIPPED = Setting(settings=COLD, redis_patience_ms=20)

NARROW = (
    *("~stillroom:*", "&*", "-@all", "+@read", "+@write", "+@scripting", "+@connection"),
    *("+client|tracking", "+info"),
)

REDIS = (
    Row(
        name="redis-key-no-text",
        group="redis",
        fault=redis.key_that_is_no_text,
        done="Somebody writes stillroom:h: with two bytes ff behind it, five times a second.",
        holds="Nobody else is concerned.",
        setting=COLD_SHIPPED,
    ),
    Row(
        name="redis-poisoned-person",
        group="redis",
        fault=redis.poisoned_person,
        done="LPUSH stillroom:h:poison x, and one event of that person. Nobody repairs it.",
        holds="Everybody else's events go on being shipped.",
        seconds=8.0,
        ships=True,
        is_short=True,
        setting=SHIPPED,
    ),
    Row(
        name="redis-wrong-types",
        group="redis",
        fault=redis.wrong_types,
        done="Every person's key is replaced by a list, and removed in the end.",
        holds="Events go on being shipped. To a reader such a key looks like nobody's, so answers may be stale.",
        seconds=8.0,
        may_say=frozenset({AWAY}),
        helpless=STALE,
        ships=True,
        setting=SHIPPED,
    ),
    Row(
        name="redis-garbage",
        group="redis",
        fault=redis.garbage_blobs,
        done="Every person's key is filled with bytes that nobody wrote. Nobody repairs it.",
        holds="Answers that cannot know what was done say so, until what is on disk was learnt again.",
        may_say=frozenset({AWAY}),
        setting=SHIPPED,
    ),
    Row(
        name="redis-killed",
        group="redis",
        fault=redis.killed,
        done="Redis is killed, and comes back with its data.",
        holds="Answers go on from memory and bundle and say so.",
        told=AWAY,
        is_short=True,
        setting=SHIPPED,
    ),
    Row(
        name="redis-hung",
        group="redis",
        fault=redis.hung,
        done="Redis is stopped (SIGSTOP) and goes on later: connections stay open, nothing is answered.",
        holds="Answers go on and say so.",
        told=AWAY,
        setting=SHIPPED,
    ),
    Row(
        name="redis-data-gone",
        group="redis",
        fault=redis.data_gone,
        done="Redis is killed, and comes back with nothing.",
        holds="What is on disk is shipped and learnt again; until then answers say that they may be stale.",
        told=AWAY,
        setting=SHIPPED,
    ),
    Row(
        name="redis-flushed",
        group="redis",
        fault=redis.flushed,
        done="FLUSHALL, while all connections stay up. Nobody repairs it.",
        holds="What is on disk is shipped and learnt again; until then answers say that they may be stale.",
        seconds=6.0,
        told=RECOVERING,
        may_say=frozenset({AWAY}),
        is_short=True,
        setting=COLD_SHIPPED,
    ),
    Row(
        name="redis-full",
        group="redis",
        fault=redis.full,
        done="maxmemory is 1 MB with noeviction: every write gets an error.",
        holds="Answers go on; events wait on disk.",
        may_say=frozenset({AWAY}),
        setting=SHIPPED,
    ),
    Row(
        name="redis-read-only",
        group="redis",
        fault=redis.read_only,
        done="Redis becomes a replica: it is read as ever and takes no writes.",
        holds="Answers go on; events wait on disk.",
        may_say=frozenset({AWAY}),
        setting=SHIPPED,
    ),
    Row(
        name="redis-wrong-password",
        group="redis",
        fault=redis.wrong_password,
        done="Redis wants another password from now on, and has closed all connections.",
        holds="Answers go on and say so.",
        told=AWAY,
        setting=SHIPPED,
    ),
    Row(
        name="redis-narrow-user",
        group="redis",
        fault=redis.no_fault,
        done="The service's user may touch stillroom:* alone, with the commands that it needs (docs/drills.md).",
        holds="All works, events are shipped.",
        seconds=8.0,
        ships=True,
        setting=Setting(redis_user=NARROW, redis_patience_ms=20),
    ),
    Row(
        name="redis-busy",
        group="redis",
        fault=redis.busy,
        done="A script runs for three seconds: Redis is silent for one of them and then says BUSY.",
        holds="Answers go on and say so.",
        told=AWAY,
        setting=SHIPPED,
    ),
    *(
        Row(
            name=f"redis-slow-{delay_ms}",
            group="redis",
            fault=line_is(Conditions(delay_ms=delay_ms)),
            done=f"Each answer of Redis takes {delay_ms} ms longer; the service waits 20 ms for one.",
            holds="Answers go on and say so; the log does not wait for people's histories: events are shipped.",
            seconds=8.0,
            told=AWAY,
            may_say=frozenset({"deadline"}),
            ships=True,
            setting=LINE,
            is_short=delay_ms == 30,
        )
        for delay_ms in (30, 100, 300)
    ),
)
