"""Commands to Redis about events; each is atomic, as one command or one script.

A batch is added in parts of at most PART_EVENTS. Its idempotency key records for a day which of them are in the
stream, as BATCH_ID:RECEIVED_MS:N_PARTS:N_SHIPPED:CHECKSUM.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from hashlib import sha1
from math import ceil
from typing import NamedTuple

import msgspec

from service.log.records import (
    ADDED_KEY,
    BATCH_PREFIX,
    ERASURES_STREAM,
    EVENTS_STREAM,
    EXPORTED_KEY,
    GENERATION_KEY,
    ErasureRecord,
    SpooledBatch,
    deleted_key,
)
from service.log.scripts import LAST_ID_OF
from service.redis.replies import StreamEntry, array, entries, entry_id, text, value, values
from service.redis.wire import Command, Reply

PART_EVENTS = 500
"""The most events in one part, which takes Redis a millisecond."""

CLAIM_SECONDS = 60
"""How long a process holds a batch's key; it may have died before the batch was durable."""

KEY_SECONDS = 86_400
BEHIND_KEY = "stillroom:behind"
BEHIND_SECONDS = 10
"""How long a replica counts as behind after it said so; it repeats this each second."""

MAX_DELETED_IDS = 100_000

CHECKSUM_DIGITS = 8
"""Without a checksum, a flipped bit could refuse a batch as a reused key, or lose it as already shipped."""

CHECKED = f"""
local function checksum(claim) return string.sub(redis.sha1hex(claim), 1, {CHECKSUM_DIGITS}) end
local function checked(held)
    local claim, sum = string.match(held or '', '^(.+):(%x+)$')
    return claim and checksum(claim) == sum and claim
end
"""

CLAIM = f"""{CHECKED}
local held = redis.call('GET', KEYS[1])
if not checked(held) then redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) end
return held
"""

ADD = (
    CHECKED
    + """
local function text(key)
    local found = redis.pcall('GET', key)
    return type(found) == 'string' and found
end
local generation = text(KEYS[3])
if not generation then
    generation = ARGV[6]
    redis.call('SET', KEYS[3], generation)
end
local key, claim = KEYS[1], checked(text(KEYS[1]))
if claim and string.sub(claim, 1, 32) ~= ARGV[1] or not claim and redis.call('EXISTS', KEYS[1]) == 1 then
    key = key .. ':' .. ARGV[1]
    claim = checked(text(key))
end
local n_shipped, last_id = 0, ''
if claim then n_shipped = tonumber(string.match(claim, ':(%d+)$') or 0) end
if n_shipped <= tonumber(ARGV[4]) then
    for i = 8, #ARGV do
        last_id = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[7], '*', 'r', ARGV[i])
    end
    if #ARGV > 7 and type(redis.pcall('INCRBY', KEYS[4], #ARGV - 7)) ~= 'number' then
        redis.call('SET', KEYS[4], redis.call('XLEN', KEYS[2]))
    end
    claim = table.concat({ARGV[1], ARGV[2], ARGV[3], ARGV[4] + 1}, ':')
    redis.call('SET', key, claim .. ':' .. checksum(claim), 'EX', ARGV[5])
end
return {generation, last_id}
"""
)
"""KEYS: the batch's, the stream, generation, count. ARGV: batch id, received_ms, parts, this part from 0, seconds to
keep the key, a word for a new generation, the stream's bound, records. A foreign value under one of our keys must not
raise: an error halfway would add the same entries again and again."""

SAY_BEHIND = """
local now = tonumber(redis.call('TIME')[1])
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
local n_others = redis.call('ZCARD', KEYS[1])
if ARGV[2] == '1' then redis.call('ZADD', KEYS[1], now, ARGV[1]) end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return n_others
"""
"""KEYS: the set of replicas that are behind. ARGV: this replica, whether it is behind, seconds that this counts."""

LOOK = (
    LAST_ID_OF
    + """
local function unless_wrong(found, instead)
    if type(found) == 'table' and found.err then return instead end
    return found
end
return {unless_wrong(redis.pcall('GET', KEYS[2]), '') or '', last_id_of(KEYS[1]) or '',
        unless_wrong(redis.pcall('HVALS', KEYS[3]), {}),
        unless_wrong(redis.pcall('XRANGE', KEYS[4], ARGV[1], '+', 'COUNT', 1000), {})}
"""
)

DELETE = """
local n_deleted = 0
for i = 2, #ARGV do
    if redis.call('XDEL', KEYS[1], ARGV[i]) == 1 then
        n_deleted = n_deleted + 1
        redis.call('RPUSH', KEYS[2], ARGV[i])
    end
end
redis.call('LTRIM', KEYS[2], -ARGV[1], -1)
return n_deleted
"""

_ENCODER = msgspec.msgpack.Encoder()
_CLAIM = re.compile(rb"(([0-9a-f]{32}):(\d{1,16}):(\d{1,9}):(\d{1,9})):([0-9a-f]+)")


class Claim(NamedTuple):
    """What stands under an idempotency key. The fields are in the order in which they are written."""

    batch_id: str
    received_ms: int
    n_parts: int
    n_shipped: int

    @property
    def is_shipped(self) -> bool:
        """Whether all of the batch is in the stream."""
        return self.n_shipped >= self.n_parts

    @staticmethod
    def read(held: bytes) -> Claim | None:
        """Parse a claim; None for a damaged or foreign value, which holds no key."""
        found = _CLAIM.fullmatch(held)
        if found is None or found[6] != _checksum(found[1]):
            return None
        return Claim(found[2].decode(), *map(int, found.groups()[2:5]))

    def written(self) -> bytes:
        """Format the claim as `read` parses it."""
        claim = b"%s:%d:%d:%d" % (self.batch_id.encode(), self.received_ms, self.n_parts, self.n_shipped)
        return b"%s:%s" % (claim, _checksum(claim))


def _checksum(claim: bytes) -> bytes:
    return sha1(claim, usedforsecurity=False).hexdigest()[:CHECKSUM_DIGITS].encode()


def n_parts(n_sent: int) -> int:
    """The number of parts of a batch, at least one."""
    return max(1, ceil(n_sent / PART_EVENTS))


def claim_command(key: str, batch_id: str, received_ms: int, n_sent: int) -> Command:
    """Claim a key for a batch; the reply is the claim that held it before, if any."""
    claim = Claim(batch_id, received_ms, n_parts(n_sent), 0)
    return ("EVAL", CLAIM, 1, BATCH_PREFIX + key, claim.written(), CLAIM_SECONDS)


def read_claim(reply: Reply) -> Claim | None:
    """Read the claim that held a key before; None if there was none."""
    held = value(reply)
    return None if held is None else Claim.read(held)


def claims_of(batches: Sequence[SpooledBatch]) -> Command:
    """Ask for the claims of batches; the reply is for `read_claims`."""
    return ("MGET", *(BATCH_PREFIX + batch.key for batch in batches))


def read_claims(reply: Reply, n_expected: int) -> list[Claim | None]:
    """Read one claim, or None, for each batch."""
    return list(map(read_claim, values(reply, n_expected)))


class Added(NamedTuple):
    """generation: the stream's. last_id: the id of the part's last entry; "" if the part was there already."""

    generation: str
    last_id: str


def read_added(reply: Reply) -> Added:
    """Read the reply to one of `add_commands`."""
    generation, last_id = array(reply, 2)
    return Added(text(generation), entry_id(last_id))


def add_commands(batch: SpooledBatch, key_seconds: int, max_entries: int) -> list[Command]:
    """Add a batch part by part; each command has a reply for `read_added`."""
    parts = n_parts(batch.n_sent)
    records: list[list[bytes]] = [[] for _ in range(parts)]
    for event in batch.events:  # its index in the batch as sent decides: events may have been erased
        index = int(event.event_id.rpartition("-")[2])
        records[index // PART_EVENTS].append(_ENCODER.encode(event))
    keys: Command = (BATCH_PREFIX + batch.key, EVENTS_STREAM, GENERATION_KEY, ADDED_KEY)
    call: Command = ("EVAL", ADD, len(keys), *keys, batch.batch_id, batch.received_ms, parts)
    settings: Command = (key_seconds, secrets.token_hex(8), max_entries)
    return [(*call, number, *settings, *records[number]) for number in range(parts)]


class LogState(NamedTuple):
    """The state of Redis. last_id: the last entry of the events' stream. exported: up to where each export has read.
    erasures: the first entries of those that were asked for.
    """

    generation: str
    last_id: str
    exported: list[str]
    erasures: list[StreamEntry]


def read_look(reply: Reply) -> LogState:
    """Read the reply to `look_command`."""
    generation, last_id, exported, erasures = array(reply, 4)
    up_to = list(map(entry_id, array(exported)))
    return LogState(text(generation), entry_id(last_id), up_to, entries(erasures))


def look_command(erasures_after: str) -> Command:
    """Ask for the state of Redis and for erasures after an entry; the reply is for `read_look`."""
    after = f"({erasures_after}" if erasures_after else "-"
    return ("EVAL", LOOK, 4, EVENTS_STREAM, GENERATION_KEY, EXPORTED_KEY, ERASURES_STREAM, after)


def say_behind_command(replica: str, *, is_behind: bool) -> Command:
    """Say whether this replica has yet to merge from its disk; the reply is how many others have."""
    return ("EVAL", SAY_BEHIND, 1, BEHIND_KEY, replica, int(is_behind), BEHIND_SECONDS)


def add_erasure_command(record: ErasureRecord) -> Command:
    """Announce an erasure to all replicas."""
    return ("XADD", ERASURES_STREAM, "*", "r", _ENCODER.encode(record))


def delete_command(stream: str, entry_ids: Sequence[bytes]) -> Command:
    """Delete entries of a stream and record their ids; the reply is how many there were."""
    return ("EVAL", DELETE, 2, stream, deleted_key(stream), MAX_DELETED_IDS, *entry_ids)
