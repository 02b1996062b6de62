"""A reply's head and body leave in one write, and no head waits for a body that does not come."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from service.edge.http.one_write import JoiningTransport, OneWriteProtocol
from tests.support.wire import Wire

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


def test_head_waits_for_the_body_and_both_are_written_at_once() -> None:
    wire = Wire()
    transport = JoiningTransport(wire)
    transport.write(HEAD)
    assert wire.writes == []
    transport.write(b"{}")
    transport.write(b"more")
    assert wire.writes == [HEAD + b"{}", b"more"]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        b"body\r\ncontent-length: 2\r\n\r\n",
    ],
)
def test_what_no_body_need_follow_is_written_at_once(data: bytes) -> None:
    wire = Wire()
    JoiningTransport(wire).write(data)
    assert wire.writes == [data]


def test_head_that_waits_is_written_before_the_close() -> None:
    wire = Wire()
    transport = JoiningTransport(wire)
    transport.write(HEAD)
    transport.close()
    assert wire.writes == [HEAD, None]


async def exchanged(method: bytes) -> list[bytes | None]:
    """What uvicorn writes for one request of an app that answers with two bytes."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    wire, state = Wire(), ServerState()
    protocol = OneWriteProtocol(Config(app, lifespan="off", access_log=False, log_config=None), state, {})
    protocol.connection_made(wire)
    protocol.data_received(method + b" / HTTP/1.1\r\nhost: x\r\n\r\n")
    await asyncio.gather(*state.tasks)
    writes = list(wire.writes)
    protocol.connection_lost(None)
    return writes


async def test_uvicorns_reply_is_one_write() -> None:
    assert await exchanged(b"POST") == [HEAD + b"{}"]


async def test_reply_to_head_does_not_wait_for_a_body() -> None:
    assert await exchanged(b"HEAD") == [HEAD]
