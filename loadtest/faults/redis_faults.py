"""What can be wrong with Redis itself. Each makes the fault, waits for its end, and repairs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loadtest.faults.stage import Stage

PEOPLE = "stillroom:h:"
NOWHERE = ("127.0.0.1", "9")
"""A master that is not there, so a replica of it keeps what it has."""

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
    """As a crash does it; it comes back with its log."""
    await stage.do(stage.redis.kill)
    yield
    await stage.do(stage.redis.start)


@asynccontextmanager
async def hung(stage: Stage) -> AsyncIterator[None]:
    """Its process is stopped: connections stay open, nothing is answered."""
    stage.redis.freeze()
    try:
        yield
    finally:
        stage.redis.thaw()


@asynccontextmanager
async def data_gone(stage: Stage) -> AsyncIterator[None]:
    """It is killed and comes back with nothing."""
    await stage.do(stage.redis.kill)
    await stage.do(stage.redis.empty)
    yield
    await stage.do(stage.redis.start)


@asynccontextmanager
async def flushed(stage: Stage) -> AsyncIterator[None]:
    """Somebody says FLUSHALL, and nobody repairs it."""
    await stage.tell_redis("FLUSHALL")
    yield


@asynccontextmanager
async def full(stage: Stage) -> AsyncIterator[None]:
    """It takes no more, and says so to every write."""
    await stage.tell_redis("CONFIG", "SET", "maxmemory-policy", "noeviction")
    await stage.tell_redis("CONFIG", "SET", "maxmemory", "1mb")
    yield
    await stage.tell_redis("CONFIG", "SET", "maxmemory", "256mb")
    await stage.tell_redis("CONFIG", "SET", "maxmemory-policy", "volatile-lru")


@asynccontextmanager
async def read_only(stage: Stage) -> AsyncIterator[None]:
    """A failover went wrong: it is a replica now and takes no writes."""
    await stage.tell_redis("REPLICAOF", *NOWHERE)
    yield
    await stage.tell_redis("REPLICAOF", "NO", "ONE")


@asynccontextmanager
async def wrong_password(stage: Stage) -> AsyncIterator[None]:
    """The password is another one from now on, and everybody has to say it."""
    await stage.tell_redis("CONFIG", "SET", "requirepass", ANOTHER)
    await stage.tell_redis("CLIENT", "KILL", "TYPE", "normal", password=ANOTHER)
    yield
    await stage.tell_redis("CONFIG", "SET", "requirepass", "", password=ANOTHER)


@asynccontextmanager
async def busy(stage: Stage) -> AsyncIterator[None]:
    """A script of somebody else's runs for seconds; after one of them Redis answers everything with BUSY."""
    await stage.tell_redis("CONFIG", "SET", "lua-time-limit", "1000")
    spinning = asyncio.create_task(stage.tell_redis("EVAL", SPIN, 0, BUSY_SECONDS))
    yield
    await spinning


@asynccontextmanager
async def poisoned_person(stage: Stage) -> AsyncIterator[None]:
    """One person's key holds a list, and that person does something. Nobody repairs it."""
    await stage.tell_redis("LPUSH", f"{PEOPLE}poison", "x")
    events = [{"kind": "view", "item_id": stage.kept.items[0], "user_id": "poison", "request_id": "poison"}]
    await stage.say({"key": "poison", "events": events})
    yield


@asynccontextmanager
async def wrong_types(stage: Stage) -> AsyncIterator[None]:
    """Everybody's keys hold lists."""
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
    """Everybody's keys hold bytes that nobody wrote."""
    keys = await stage.tell_redis("KEYS", f"{PEOPLE}*")
    for key in keys:
        await stage.tell_redis("SET", key, stage.random.randbytes(200))
    stage.noted["keys_with_garbage"] = len(keys)
    yield


@asynccontextmanager
async def key_that_is_no_text(stage: Stage) -> AsyncIterator[None]:
    """Again and again somebody writes a person's key that is no UTF-8."""

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
    """What a row is about was so from the start."""
    yield
