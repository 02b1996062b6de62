"""The hot path over HTTP: permit → body → decode → call → reply → what is owed after the reply.

A raw ASGI endpoint, mounted in the FastAPI app for every POST route: a plain FastAPI handler costs three
times as much.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import getrandbits
from typing import Any, Generic, TypeVar

import msgspec
from starlette.types import Receive, Scope, Send

from service.deadline import RequestClock
from service.errors import (
    BodyMalformed,
    BodyTooLarge,
    BodyTooSlow,
    InternalFailure,
    MediaTypeUnsupported,
    ServiceError,
)
from service.metrics import Metrics
from service.permits import Permits
from service.problems import PROBLEM_MEDIA_TYPE, explain_invalid, problem_document

logger = logging.getLogger(__name__)

Asked = TypeVar("Asked")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_JSON = b"application/json"


@dataclass(slots=True)
class Exchange:
    """One request under way: its id, its clock, the permits it holds and what is owed after the reply."""

    request_id: str
    clock: RequestClock
    n_permits: int = 0
    answers: list[tuple[str, str | None]] = field(default_factory=list)  # tier, degraded
    after_reply: list[Callable[[], None]] = field(default_factory=list)


class ClientGone(Exception):
    """The client hung up before its body was complete; there is nobody to answer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a body may be."""

    max_body_bytes: int
    body_timeout_seconds: float


class JsonEndpoint(Generic[Asked]):
    """One POST route. call: the validated request to the reply struct."""

    def __init__(
        self,
        route: str,
        asked: type[Asked],
        call: Callable[[Asked, Exchange], Awaitable[msgspec.Struct]],
        *,
        permits: Permits,
        metrics: Metrics,
        limits: Limits,
    ) -> None:
        self._route = route
        self._decoder = msgspec.json.Decoder(asked)
        self._encoder = msgspec.json.Encoder()
        self._call = call
        self._permits = permits
        self._metrics = metrics
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and then do what was put off."""
        headers = dict(scope["headers"])
        exchange = Exchange(request_id(headers), RequestClock())
        try:
            status = await self._exchange(headers, receive, send, exchange)
        except ClientGone:
            return
        finally:
            self._permits.give_back(exchange.n_permits)
        self._settle(exchange, status)

    async def _exchange(
        self, headers: dict[bytes, bytes], receive: Receive, send: Send, exchange: Exchange
    ) -> int:
        try:
            body = await self._answer(headers, receive, exchange)
        except ServiceError as error:
            return await send_problem(error, exchange.request_id, send)
        except ClientGone:
            raise
        except Exception:
            logger.exception("a request failed", extra={"request_id": exchange.request_id})
            return await send_problem(InternalFailure(), exchange.request_id, send)
        exchange.clock.mark("reply")
        timing = (b"server-timing", _server_timing(exchange.clock))
        await _send(send, 200, _JSON, body, exchange.request_id, (timing,))
        return 200

    async def _answer(self, headers: dict[bytes, bytes], receive: Receive, exchange: Exchange) -> bytes:
        self._permits.check()
        body = await self._read_body(headers, receive)
        exchange.n_permits = self._permits.take()
        exchange.clock.mark("permit")
        asked = self._decode(body)
        exchange.clock.mark("parse")
        reply = await self._call(asked, exchange)
        return self._encoder.encode(reply)

    async def _read_body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        _check_media_type(headers.get(b"content-type", b""))
        limit = self._limits.max_body_bytes
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > limit:
            raise BodyTooLarge(f"the body has {declared.decode('latin-1')} bytes, at most {limit:,} are read")
        try:
            async with asyncio.timeout(self._limits.body_timeout_seconds):
                return await _receive_all(receive, limit)
        except TimeoutError as error:
            raise BodyTooSlow(
                f"the body did not arrive within {self._limits.body_timeout_seconds:g} seconds"
            ) from error

    def _decode(self, body: bytes) -> Asked:
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise explain_invalid(error, body) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            what = str(error) if body else "The body is empty"
            raise BodyMalformed(f"{what}; send one JSON object in UTF-8") from error

    def _settle(self, exchange: Exchange, status: int) -> None:
        """Metrics and write-backs, after the reply was sent."""
        for tier, degraded in exchange.answers or [("none", None)]:
            self._metrics.answered(self._route, tier, status)
            if degraded is not None:
                self._metrics.degraded(degraded)
        exchange.clock.stages["total"] = exchange.clock.elapsed()
        self._metrics.took(exchange.clock.stages)
        for owed in exchange.after_reply:
            owed()


def request_id(headers: dict[bytes, bytes]) -> str:
    """The caller's request id if it is a sane one, else a new one."""
    given = headers.get(b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode("ascii")
    return f"{getrandbits(64):016x}"  # os.urandom is a system call, up to 200 µs in a sandbox


async def send_problem(error: ServiceError, request_id: str, send: Send) -> int:
    """Send an error as a problem document; returns its status."""
    document = problem_document(error, request_id)
    await _send(send, document.status, PROBLEM_MEDIA_TYPE, document.body, request_id, document.headers)
    return document.status


async def _send(
    send: Send,
    status: int,
    media_type: bytes,
    body: bytes,
    request_id: str,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> None:
    usual = [
        (b"content-type", media_type),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*usual, *headers]})
    await send({"type": "http.response.body", "body": body})


async def _receive_all(receive: Receive, limit: int) -> bytes:
    """The body, which may come in pieces without a declared length."""
    body = b""
    while True:
        message: Mapping[str, Any] = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece: bytes = message.get("body", b"")
        body = body + piece if body else piece
        if len(body) > limit:
            raise BodyTooLarge(f"the body has more than the {limit:,} bytes that are read")
        if not message.get("more_body", False):
            return body


def _check_media_type(given: bytes) -> None:
    essence = given.split(b";", 1)[0].strip().lower()
    if essence != _JSON:
        shown = given[:60].decode("latin-1") or "nothing"
        raise MediaTypeUnsupported(f"content-type says {shown!r}; send application/json")


def _server_timing(clock: RequestClock) -> bytes:
    stages = {**clock.stages, "total": clock.elapsed()}
    return ", ".join(f"{stage};dur={1000 * seconds:.2f}" for stage, seconds in stages.items()).encode()
