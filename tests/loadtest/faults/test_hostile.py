"""Hostile clients see what a service does with them, against servers that do right and servers that do not."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from loadtest.faults.hostile import attack as attacks
from loadtest.faults.hostile import exchanges, heads
from loadtest.faults.hostile.__main__ import KINDS
from loadtest.faults.hostile.attack import Attack, Hostility
from loadtest.faults.rows import ROWS
from tests.loadtest.faults.http_stub import Says, always, reply, request_from, serving

GOOD = reply(200, {"items": []})
REFUSAL = reply(431, {"type": "head-too-large"}, "application/problem+json")


async def attacked(kind: str, says: Says, seconds: float = 0.1) -> Hostility:
    """What a kind of client saw of such a server."""
    async with serving(says) as port:
        attack = Attack(kind, port, seconds, Random(0), ["p"], [f"i{number}" for number in range(9)])
        await KINDS[kind](attack)
        return attack.seen


async def ignores_bytes_behind(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One good answer, and then a refusal of the rest."""
    await request_from(reader)
    writer.write(GOOD + reply(400, {}))


@pytest.mark.parametrize("kind", ["half_closed", "h2c", "byte_by_byte"])
async def test_odd_but_honest_requests_are_to_be_answered(kind: str) -> None:
    seen = await attacked(kind, always(GOOD))
    assert seen.opened > 0
    assert seen.answers == {"200": seen.opened}
    assert seen.unexpected == []
    refused = await attacked(kind, always(reply(400, {})))
    assert len(refused.unexpected) == 1
    assert "was answered with 400" in refused.unexpected[0]


async def test_valid_request_is_to_be_answered_before_the_garbage_behind_it() -> None:
    assert (await attacked("garbage_behind", ignores_bytes_behind)).unexpected == []
    assert (await attacked("garbage_behind", always(reply(400, {})))).unexpected != []


async def test_no_answer_at_all_is_seen() -> None:
    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_from(reader)

    seen = await attacked("half_closed", hangs_up)
    assert set(seen.answers) == {"none"}
    assert "was answered with nothing" in seen.unexpected[0]


async def test_line_that_is_bad_excuses_everything_but_a_5xx() -> None:
    assert (await attacked("bad_line", always(reply(400, {})))).unexpected == []
    assert (await attacked("bad_line", always(reply(500, {})))).unexpected != []


@pytest.mark.parametrize("kind", ["endless_head", "giant_header"])
async def test_head_that_is_taken_without_a_bound_is_seen(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "BOUND_BYTES", 4 * 2**20)
    monkeypatch.setattr(heads, "MANY_BYTES", 12 * 2**20)

    async def takes_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(2**20):
            pass

    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(10_000)
        writer.write(REFUSAL)
        await writer.drain()
        writer.transport.abort()

    assert (await attacked(kind, takes_all, 5.0)).unexpected == ["more than 4 MiB of one head were taken"]
    assert (await attacked(kind, refuses)).unexpected == []


async def test_who_never_reads_sends_until_nothing_more_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "N_PIPELINING", 2)
    monkeypatch.setattr(attacks, "PATIENCE_SECONDS", 0.1)

    async def answers_and_waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await request_from(reader):
            writer.write(GOOD)
            await writer.drain()

    seen = await attacked("never_reading", answers_and_waits)
    assert seen.opened == 2
    assert seen.sent_bytes > 0
    assert seen.answers == {}


async def test_silent_clients_come_again_when_they_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "N_SILENT", 3)

    async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    assert (await attacked("silent", closes, 0.5)).opened > 3


async def test_port_that_refuses_is_counted() -> None:
    attack = Attack("h2c", 1, 0.05, Random(0), ["p"], ["i"])
    await KINDS["h2c"](attack)
    assert attack.seen.refused > 0
    assert attack.seen.opened == 0


def test_every_kind_is_in_a_row() -> None:
    described = {row.name for row in ROWS if row.group == "clients"}
    assert len(described) >= len(KINDS)
