"""Over real sockets: who waits for an answer gets it, and who is gone did not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
import uvloop

from service.edge.http.bounds import MAX_HELD_BACK_BYTES
from service.edge.protocol.ending import MAX_UNSENT_BYTES, Stage
from service.edge.protocol.whole_requests import WholeRequestProtocol
from tests.support.connected import Connected, request
from tests.support.waiting import eventually

SLOW = request(1, "expect: nothing")
"""Through ASGI."""


@dataclass
class Server:
    """A real server around the app of `Connected`."""

    app: Connected
    port: int
    protocols: list[WholeRequestProtocol] = field(default_factory=list)

    async def connect(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port))
        client.setblocking(False)
        n_before = len(self.protocols)

        async def is_there() -> bool:
            return len(self.protocols) > n_before

        await eventually(is_there)
        return client

    async def answered(self, client: socket.socket) -> bytes:
        """All that the server sends until it closes."""
        received, loop = b"", asyncio.get_running_loop()
        async with asyncio.timeout(30):
            while piece := await loop.sock_recv(client, 65_536):
                received += piece
        return received


@asynccontextmanager
async def server() -> AsyncIterator[Server]:
    app = Connected()
    made = Server(app, 0)

    def protocol() -> WholeRequestProtocol:
        made.protocols.append(app.new_protocol())
        return made.protocols[-1]

    listening = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        app.may_answer.set()
        listening.close()


async def heard_the_end(made: Server) -> None:
    """Wait until the server knows that its last client sends nothing more."""

    async def knows() -> bool:
        return made.protocols[-1].is_half_closed

    await eventually(knows)


@pytest.mark.parametrize("sent", [request(1), SLOW])
def test_client_that_shut_down_its_side_gets_its_answer_and_has_got_it(sent: bytes) -> None:
    async def scenario() -> tuple[bytes, list[bool]]:
        async with server() as made:
            client = await made.connect()
            await asyncio.get_running_loop().sock_sendall(client, sent)
            client.shutdown(socket.SHUT_WR)
            await heard_the_end(made)
            made.app.may_answer.set()
            received = await made.answered(client)
            client.close()
            await made.app.settled()
            return received, made.app.settled_as

    received, settled_as = uvloop.run(scenario())
    assert received.endswith(b'{"number":1}')
    assert settled_as == [True]


@pytest.mark.parametrize("sent", [request(1), SLOW])
def test_client_that_closed_its_socket_did_not_get_the_answer(sent: bytes) -> None:
    async def scenario() -> list[bool]:
        async with server() as made:
            client = await made.connect()
            await asyncio.get_running_loop().sock_sendall(client, sent)
            client.close()
            await heard_the_end(made)
            made.app.may_answer.set()

            async def is_settled() -> bool:
                return bool(made.app.settled_as)

            await eventually(is_settled)
            return made.app.settled_as

    assert uvloop.run(scenario()) == [False]


def test_client_that_reads_nothing_is_held_up_and_then_dropped() -> None:
    async def scenario() -> int:
        async with server() as made:
            client = await made.connect()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            made.app.may_answer.set()
            asked = b"HEAD /cold HTTP/1.1\r\n\r\n" * 3000

            async def ask_on() -> None:
                while True:
                    await asyncio.get_running_loop().sock_sendall(client, asked)

            asking, protocol = asyncio.create_task(ask_on()), made.protocols[-1]
            most_bytes = 0

            async def is_dropped() -> bool:
                nonlocal most_bytes
                most_bytes = max(most_bytes, protocol.n_bytes_waiting + protocol.n_unread_bytes)
                if protocol.stage is Stage.UNTAKEN:
                    made.app.moment += 11
                    made.app.connections.tick()
                return made.app.ended == ["unread"] and protocol.stage is Stage.ENDING

            await eventually(is_dropped)
            asking.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await asking
            client.close()
            return most_bytes

    assert 0 < uvloop.run(scenario()) < MAX_HELD_BACK_BYTES + 256_000 + 2 * MAX_UNSENT_BYTES
