"""Faults of Redis itself. Each makes the fault, waits until it should end, and repairs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loadtest.faults.stage import Stage

PEOPLE = "stillroom:h:"
NOWHERE = ("127.0.0.1", "9")
"""Address of a master that does not exist, so that a replica of it keeps its data."""

ANOTHER = "another password"
BUSY_SECONDS = 3
SPIN = """
local function now() local t = redis.call('TIME') return t[1] + t[2] / 1000000 end
redis.replicate_commands()
local ends = now() + tonumber(ARGV[1])
while now() < ends do end
return 1
"""


@asynccontextmanager
async def killed(stage: Stage) -> AsyncIterator[None]:
    """Kill Redis as a crash does; it comes back with its log."""
    await stage.do(stage.redis.kill)
    yield
    await stage.do(stage.redis.start)


@asynccontextmanager
async def hung(stage: Stage) -> AsyncIterator[None]:
    """Stop its process: connections stay open, and nothing is answered."""
    stage.redis.freeze()
    try:
        yield
    finally:
        stage.redis.thaw()


@asynccontextmanager
async def data_gone(stage: Stage) -> AsyncIterator[None]:
    """Kill Redis, and start it again without data."""
    await stage.do(stage.redis.kill)
    await stage.do(stage.redis.empty)
    yield
    await stage.do(stage.redis.start)


@asynccontextmanager
async def flushed(stage: Stage) -> AsyncIterator[None]:
    """Send FLUSHALL; nobody repairs it."""
    await stage.tell_redis("FLUSHALL")
    yield


@asynccontextmanager
async def full(stage: Stage) -> AsyncIterator[None]:
    """Let Redis be full, so that every write gets an error."""
    await stage.tell_redis("CONFIG", "SET", "maxmemory-policy", "noeviction")
    await stage.tell_redis("CONFIG", "SET", "maxmemory", "1mb")
    yield
    await stage.tell_redis("CONFIG", "SET", "maxmemory", "256mb")
    await stage.tell_redis("CONFIG", "SET", "maxmemory-policy", "volatile-lru")


@asynccontextmanager
async def read_only(stage: Stage) -> AsyncIterator[None]:
    """Make Redis a replica that takes no writes, as a failed failover does."""
    await stage.tell_redis("REPLICAOF", *NOWHERE)
    yield
    await stage.tell_redis("REPLICAOF", "NO", "ONE")


@asynccontextmanager
async def wrong_password(stage: Stage) -> AsyncIterator[None]:
    """Change the password, which every client now has to give."""
    await stage.tell_redis("CONFIG", "SET", "requirepass", ANOTHER)
    await stage.tell_redis("CLIENT", "KILL", "TYPE", "normal", password=ANOTHER)
    yield
    await stage.tell_redis("CONFIG", "SET", "requirepass", "", password=ANOTHER)


@asynccontextmanager
async def busy(stage: Stage) -> AsyncIterator[None]:
    """Run somebody else's script for seconds; after one second Redis answers everything with BUSY."""
    await stage.tell_redis("CONFIG", "SET", "lua-time-limit", "1000")
    spinning = asyncio.create_task(stage.tell_redis("EVAL", SPIN, 0, BUSY_SECONDS))
    yield
    await spinning


@asynccontextmanager
async def poisoned_person(stage: Stage) -> AsyncIterator[None]:
    """Put a list into one person's key, and send an event of that person. Nobody repairs it."""
    await stage.tell_redis("LPUSH", f"{PEOPLE}poison", "x")
    events = [{"kind": "view", "item_id": stage.kept.items[0], "user_id": "poison", "request_id": "poison"}]
    await stage.say({"key": "poison", "events": events})
    yield


@asynccontextmanager
async def wrong_types(stage: Stage) -> AsyncIterator[None]:
    """Put lists into everybody's keys."""
    keys = await stage.tell_redis("KEYS", f"{PEOPLE}*")
    for key in keys:
        await stage.tell_redis("DEL", key)
        await stage.tell_redis("LPUSH", key, "x")
    stage.noted["keys_of_another_type"] = len(keys)
    yield
    for key in keys:
        await stage.tell_redis("DEL", key)


@asynccontextmanager
async def garbage_blobs(stage: Stage) -> AsyncIterator[None]:
    """Put random bytes into everybody's keys."""
    keys = await stage.tell_redis("KEYS", f"{PEOPLE}*")
    for key in keys:
        await stage.tell_redis("SET", key, stage.random.randbytes(200))
    stage.noted["keys_with_garbage"] = len(keys)
    yield


@asynccontextmanager
async def key_that_is_no_text(stage: Stage) -> AsyncIterator[None]:
    """Write, again and again, a person's key that is not UTF-8."""

    async def write() -> None:
        while True:
            await stage.tell_redis("SET", PEOPLE.encode() + b"\xff\xff", "x")
            await asyncio.sleep(0.2)

    writing = asyncio.create_task(write())
    try:
        yield
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


@asynccontextmanager
async def no_fault(stage: Stage) -> AsyncIterator[None]:
    """Do nothing, because what the row tests has been so from the start."""
    yield
