"""The hot path over HTTP: permit → decode → call → reply → work that is left for after the reply."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from random import getrandbits
from typing import ClassVar, Generic, NamedTuple, TypeVar

import msgspec
from starlette.types import Receive, Scope, Send

from service.contract.errors import PROBLEMS, InternalFailure, Overloaded, ServiceError
from service.contract.schemas import MAX_REQUEST_ID_CHARACTERS
from service.edge.endpoints.body import JSON, ClientGone, Limits, read_body
from service.edge.endpoints.decoding import RequestDecoder
from service.edge.endpoints.problems import PROBLEM_MEDIA_TYPE, problem_document
from service.edge.http.delivery import Delivered, delivered_over
from service.limits.deadline import RequestClock
from service.limits.permits import Permits
from service.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

RequestT = TypeVar("RequestT", bound=msgspec.Struct)

CLIENT_GONE = 499
"""The status in metrics if the client left before its reply; nginx counts it so too."""

_OVERLOADED = PROBLEMS[Overloaded].status
_NO_ANSWERS: list[tuple[str, str | None]] = [("none", None)]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,%d}" % MAX_REQUEST_ID_CHARACTERS)


class Reply(NamedTuple):
    """One HTTP reply. headers: those besides type, length and request id."""

    status: int
    media_type: bytes
    body: bytes
    request_id: str
    headers: tuple[tuple[bytes, bytes], ...]

    def on_the_wire(self, usual_headers: bytes) -> bytes:
        """Return the bytes of the whole reply. usual_headers: lines that every reply has."""
        more = b"".join(b"%b: %b\r\n" % header for header in self.headers)
        return _WHOLE % (
            _status_line(self.status),
            usual_headers,
            self.media_type,
            len(self.body),
            self.request_id.encode(),
            more,
            self.body,
        )

    async def send(self, send: Send) -> None:
        """Send the reply as ASGI's two messages."""
        headers = [
            (b"content-type", self.media_type),
            (b"content-length", b"%d" % len(self.body)),
            (b"x-request-id", self.request_id.encode()),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


_WHOLE = b"%b%bcontent-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n%b\r\n%b"


@lru_cache(64)
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()


class Exchange(msgspec.Struct):
    """One request under way: its id, its clock, the permits it holds, and the work left for after the reply.

    after_reply: functions that are told whether the client got a good reply.
    """

    request_id: str
    clock: RequestClock
    n_permits: int = 0
    answers: list[tuple[str, str | None]] = []  # tier, degraded
    after_reply: list[Callable[[bool], None]] = []


class JsonEndpoint(Generic[RequestT]):
    """One POST route. call: turns the validated request into the reply struct. good_status: the status of success.

    It is a raw ASGI endpoint, mounted in the FastAPI app: a plain FastAPI handler costs three times as much. For
    requests that have arrived in full it is called without ASGI (`service.edge.protocol.whole_requests`).
    """

    good_status: ClassVar[int] = 200

    def __init__(
        self,
        route: str,
        request_type: type[RequestT],
        call: Callable[[RequestT, Exchange], Awaitable[msgspec.Struct]],
        *,
        permits: Permits,
        metrics: Metrics,
        limits: Limits,
    ) -> None:
        self._route = route
        self._decode = RequestDecoder(request_type).decode
        self._encoder = msgspec.json.Encoder()
        self._call = call
        self._permits = permits
        self._metrics = metrics
        self._limits = limits

    def takes(self, n_bytes: int) -> bool:
        """Whether a body of this length is accepted."""
        return n_bytes <= self._limits.max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request over ASGI, then do the work that was put off."""
        headers = dict(scope["headers"])
        exchange = Exchange(request_id(headers), RequestClock())
        try:
            self._permits.check()
            with self._limits.bodies.holding() as hold:
                body = await read_body(headers, receive, self._limits, hold)
                exchange.clock.body_is_here()
                exchange.n_permits = self._permits.take()
                reply = await self._reply(body, exchange)
        except ServiceError as error:
            reply = problem_reply(error, exchange.request_id)
        except ClientGone:
            self._settle(exchange, CLIENT_GONE, is_delivered=False)
            return
        try:
            await reply.send(send)
        finally:
            self._permits.give_back(exchange.n_permits)
        await self._settle_when_delivered(exchange, reply, delivered_over(scope))

    def admit(self) -> bool:
        """Take the permit that `answer_whole` requires; return False if there is none."""
        return self._permits.take_one()

    def refusal(self, headers: Mapping[bytes, bytes]) -> Reply:
        """Refuse a request that was not admitted. It is counted, and costs a tenth of an answer."""
        self._metrics.answered(self._route, "none", _OVERLOADED)
        return problem_reply(self._permits.overloaded(), request_id(headers))

    async def answer_whole(
        self,
        headers: Mapping[bytes, bytes],
        body: bytes,
        send: Callable[[Reply], Delivered],
        arrived_at: float,
    ) -> None:
        """Answer a request that has arrived in full: JSON, of a length that this endpoint accepts, and admitted.

        headers: by lower-case name. arrived_at: `perf_counter` seconds.
        """
        exchange = Exchange(request_id(headers), RequestClock(started_at=arrived_at), 1)
        try:
            reply = await self._reply(body, exchange)
            delivered = send(reply)
        finally:
            self._permits.give_back(exchange.n_permits)
        if delivered is True:  # nearly always
            self._settle(exchange, reply.status, is_delivered=True)
        else:
            await self._settle_when_delivered(exchange, reply, delivered)

    async def _reply(self, body: bytes, exchange: Exchange) -> Reply:
        """Make a reply, whatever happens."""
        clock = exchange.clock
        try:
            clock.mark("permit")
            request = self._decode(body)
            clock.mark("parse")
            encoded = self._encoder.encode(await self._call(request, exchange))
        except ServiceError as error:
            return problem_reply(error, exchange.request_id)
        except Exception:
            logger.exception("a request failed", extra={"request_id": exchange.request_id})
            return problem_reply(InternalFailure(), exchange.request_id)
        clock.mark("reply")
        return Reply(
            self.good_status, JSON, encoded, exchange.request_id, ((b"server-timing", _server_timing(clock)),)
        )

    async def _settle_when_delivered(self, exchange: Exchange, reply: Reply, delivered: Delivered) -> None:
        is_delivered = delivered if isinstance(delivered, bool) else await delivered
        self._settle(exchange, reply.status if is_delivered else CLIENT_GONE, is_delivered=is_delivered)

    def _settle(self, exchange: Exchange, status: int, *, is_delivered: bool) -> None:
        """Update metrics and write back, after the reply was sent."""
        is_good = is_delivered and status == self.good_status
        # A batch may fail after some of its answers were made: the client got none of them.
        for tier, degraded in exchange.answers if is_good else _NO_ANSWERS:
            self._metrics.answered(self._route, tier, status)
            if degraded is not None:
                self._metrics.degraded(degraded)
        clock = exchange.clock
        clock.stages["total"] = total = clock.elapsed()
        here = total - clock.elsewhere_seconds
        self._permits.answered(here, clock.started_at + total, exchange.n_permits)
        self._metrics.took(clock.stages)
        for owed in exchange.after_reply:
            owed(is_good)


def request_id(headers: Mapping[bytes, bytes]) -> str:
    """Return the caller's request id if it is valid, else a new one."""
    given = headers.get(b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode("ascii")
    return getrandbits(64).to_bytes(8).hex()  # os.urandom is a system call, up to 200 µs in a sandbox


def problem_reply(error: ServiceError, request_id: str) -> Reply:
    """Turn an error into a reply."""
    status, headers, body = problem_document(error, request_id)
    return Reply(status, PROBLEM_MEDIA_TYPE, body, request_id, headers)


def _server_timing(clock: RequestClock) -> bytes:
    """Format milliseconds by stage. One `%` over bytes cached per set of stages costs 0.8 µs, one by one 2.0."""
    milliseconds = [1000 * seconds for seconds in clock.stages.values()]
    return _timing_format(tuple(clock.stages)) % (*milliseconds, 1000 * clock.elapsed())


@lru_cache(64)
def _timing_format(stages: tuple[str, ...]) -> bytes:
    return ", ".join(f"{stage};dur=%.3f" for stage in (*stages, "total")).encode()
