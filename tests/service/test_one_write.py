"""A reply's head and body leave in one write, and no head waits for a body that does not come."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from service.one_write import WHOLE_REPLY, JoiningTransport, OneWriteProtocol

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Wire(asyncio.Transport):
    """Keeps what is written to it, a list entry a write; None for the close."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes | None] = []

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.writes.append(None)

    def is_closing(self) -> bool:
        return None in self.writes

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


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


WHOLE_HEAD = b"content-length: 2\r\nx-own: yes\r\n"


class Connected:
    """A connection to an app that answers in one piece where it may, and notes whether it could."""

    def __init__(self) -> None:
        self.wire, self.state, self.sent_whole = Wire(), ServerState(), list[bool]()
        config = Config(self._app, lifespan="off", access_log=False, log_config=None, interface="asgi3")
        self.protocol = OneWriteProtocol(config, self.state, {})
        self.protocol.connection_made(self.wire)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        was_sent = scope["extensions"][WHOLE_REPLY](scope, WHOLE_HEAD, b"{}")
        self.sent_whole.append(was_sent)
        if not was_sent:
            headers = [(b"content-length", b"2")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"{}"})

    async def ask(self, raw: bytes = b"POST / HTTP/1.1\r\nhost: x\r\n\r\n") -> None:
        self.protocol.data_received(raw)
        while self.state.tasks:
            await asyncio.gather(*self.state.tasks)


async def test_whole_reply_is_one_write_and_the_connection_goes_on() -> None:
    connected = Connected()
    await connected.ask()
    await connected.ask()
    assert connected.wire.writes == [b"HTTP/1.1 200 OK\r\n" + WHOLE_HEAD + b"\r\n{}"] * 2
    assert connected.state.total_requests == 2
    connected.protocol.connection_lost(None)


@pytest.mark.parametrize(
    "raw",
    [
        b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"POST / HTTP/1.0\r\nhost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n1",
    ],
)
async def test_reply_that_uvicorn_has_more_to_do_for_is_left_to_it(raw: bytes) -> None:
    connected = Connected()
    await connected.ask(raw)
    assert connected.sent_whole == [False]
    assert b"{}" in b"".join(each for each in connected.wire.writes if each)
    connected.protocol.connection_lost(None)


async def test_pipelined_requests_are_answered_once_each_and_in_order() -> None:
    connected = Connected()
    await connected.ask(b"POST / HTTP/1.1\r\nhost: x\r\n\r\n" * 3)
    assert b"".join(each for each in connected.wire.writes if each).count(b"HTTP/1.1 200 OK") == 3
    assert connected.sent_whole == [False, False, True]
    connected.protocol.connection_lost(None)
