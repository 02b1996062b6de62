"""Whatever a service does to a connection, its client has a reply or knows why not, and goes on."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from loadtest.faults import lane as lanes
from loadtest.faults.lane import CUT, LATE, LOST, REFUSED, Lane
from loadtest.servers import free_port
from tests.loadtest.faults.http_stub import Says, always, reply, request_from, serving

QUESTION = b"POST /recommend HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}"


def once(said: bytes) -> Says:
    """Say it to the first request of a connection and close."""

    async def says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_from(reader)
        writer.write(said)

    return says


async def test_reply_comes_with_its_status_whatever_it_is() -> None:
    async with serving(always(reply(429, {"type": "full"}))) as port:
        lane = Lane(port)
        assert (await lane.ask(QUESTION))[:2] == (429, b'{"type": "full"}')
        lane.close()


async def test_connection_is_used_again_unless_each_request_is_to_have_its_own() -> None:
    for opens_anew, n_expected in ((False, 1), (True, 3)):
        opened: Counter[str] = Counter()

        async def says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            opened["n"] += 1  # noqa: B023
            await always(reply(200, {}))(reader, writer)

        async with serving(says) as port:
            lane = Lane(port, opens_anew=opens_anew)
            for _ in range(3):
                assert (await lane.ask(QUESTION)).status == 200
            lane.close()
        assert opened["n"] == n_expected


async def test_connection_that_ends_without_an_answer_is_lost_and_the_next_request_gets_another() -> None:
    async with serving(once(b"")) as port:
        lane = Lane(port)
        assert [(await lane.ask(QUESTION)).fault for _ in range(2)] == [LOST, LOST]
        lane.close()


async def test_answer_that_breaks_off_is_told_from_one_that_never_began() -> None:
    async with serving(once(reply(200, {"items": []})[:-3])) as port:
        lane = Lane(port)
        assert (await lane.ask(QUESTION)).fault == CUT
        lane.close()


async def test_nobody_listens() -> None:
    assert (await Lane(free_port()).ask(QUESTION)).fault == REFUSED


async def test_answer_that_never_comes_is_given_up_with_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes, "ANSWER_SECONDS", 0.05)

    async def says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await request_from(reader):
            pass

    async with serving(says) as port:
        lane = Lane(port)
        assert (await lane.ask(QUESTION)).fault == LATE
        assert not lane._idle
        lane.close()
