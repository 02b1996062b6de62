"""A connection to an app with one hot route and without a socket; what comes and when time passes, the test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from uvicorn import Config
from uvicorn.server import ServerState

from service.edge.endpoints.body import Limits
from service.edge.endpoints.endpoint import Exchange, JsonEndpoint
from service.edge.endpoints.fast_path import FastPathApp
from service.edge.http.bounds import Bounds
from service.edge.http.connections import Connections
from service.edge.protocol.whole_requests import WholeRequestProtocol
from service.limits.permits import Permits
from service.telemetry.metrics import Metrics
from tests.support.wire import Wire


class HotRequest(msgspec.Struct):
    """The number comes back."""

    number: int


class HotReply(msgspec.Struct):
    """The number of the request."""

    number: int


class Connected:
    """Answers of /hot wait until they are let go; GET /cold is answered at once, with "cold".

    ways: for each request, "whole" or "asgi". settled: for each reply, whether it was a good one that arrived.
    """

    def __init__(
        self, bounds: Bounds | None = None, *, max_body_bytes: int = 100, n_permits: int = 2
    ) -> None:
        self.state, self.ways, self.settled_as = ServerState(), list[str](), list[bool]()
        self.may_answer = asyncio.Event()
        self.permits, self.metrics = Permits(n_permits), Metrics()
        self.moment, self.ended = 100.0, list[str]()
        self.connections = Connections(
            bounds or Bounds(), on_end=self.ended.append, clock=lambda: self.moment
        )
        app = FastPathApp(connections=self.connections)
        app.add_hot_route("/hot", self._endpoint(Limits(max_body_bytes, 5.0)))
        app.add_api_route("/cold", cold)
        self._config = Config(
            app, lifespan="off", access_log=False, log_config=None, proxy_headers=False, ws="none"
        )
        self.wire, self.protocol = self.another()

    def another(self, address: str = "192.0.2.1") -> tuple[Wire, WholeRequestProtocol]:
        """A further connection."""
        wire, protocol = Wire(address), self.new_protocol()
        protocol.connection_made(wire)
        return wire, protocol

    def new_protocol(self) -> WholeRequestProtocol:
        """Of a connection that is about to be made."""
        return WholeRequestProtocol(self._config, self.state, {})

    def _endpoint(self, limits: Limits) -> JsonEndpoint[HotRequest]:
        async def call(body: HotRequest, exchange: Exchange) -> HotReply:
            exchange.after_reply.append(self.settled_as.append)
            await self.may_answer.wait()
            return HotReply(body.number)

        ways = self.ways

        class Noting(JsonEndpoint[HotRequest]):
            async def __call__(self, *asgi: Any) -> None:
                ways.append("asgi")
                await super().__call__(*asgi)

            async def answer_whole(self, *whole: Any) -> None:
                ways.append("whole")
                await super().answer_whole(*whole)

        return Noting("hot", HotRequest, call, permits=self.permits, metrics=self.metrics, limits=limits)

    async def receive(self, *pieces: bytes) -> None:
        """Bytes of the client, and what they bring about."""
        for piece in pieces:
            self.protocol.data_received(piece)
            await self.settled()

    async def settled(self) -> None:
        """Let everything go on that can."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float) -> None:
        """Let time go by, and what is due then happen."""
        self.moment += seconds
        self.connections.tick()
        await self.settled()

    @property
    def replies(self) -> list[bytes]:
        """Bodies of the good answers that were sent so far."""
        return [part.split(b"\r\n\r\n", 1)[1] for part in self.wire.sent.split(b"HTTP/1.1 200 OK")[1:]]

    @property
    def statuses(self) -> list[int]:
        """Of all that was sent so far."""
        return [int(part[:3]) for part in self.wire.sent.split(b"HTTP/1.1 ")[1:]]

    def problem(self) -> dict[str, Any]:
        """The last reply, which must be a problem document."""
        head, _, body = self.wire.sent.rpartition(b"HTTP/1.1 ")[2].partition(b"\r\n\r\n")
        assert b"\r\ncontent-type: application/problem+json\r\n" in head
        document: dict[str, Any] = json.loads(body)
        assert b"\r\nx-request-id: %b\r\n" % document["request_id"].encode() in head + b"\r\n"
        return document


async def cold() -> str:
    """Of a route without a short way."""
    return "cold"


def request(number: int, *headers: str, path: str = "/hot", version: str = "1.1") -> bytes:
    """A plain one, unless something says otherwise."""
    body = json.dumps({"number": number})
    lines = [
        f"POST {path} HTTP/{version}",
        "host: x",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


CHUNKED_HEAD = b"POST /hot HTTP/1.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"


@asynccontextmanager
async def bounded(*, answers: bool = True, **bounds: Any) -> AsyncIterator[Connected]:
    """A connection with these bounds, which is gone after the block with all that it held."""
    connection = Connected(Bounds(**bounds))
    if answers:
        connection.may_answer.set()
    try:
        yield connection
    finally:
        connection.may_answer.set()
        await connection.settled()
        connection.protocol.connection_lost(None)
        await connection.settled()
    assert connection.permits.n_taken == 0
