"""uvicorn's HTTP protocol, with a short way for a plain request to a hot route that arrives whole.

Nearly every request of a shop's backend is one: keep-alive, a declared length, head and body in one segment. uvicorn
takes it through a call for each header, a scope, a cycle and two messages each way; here its head is read once (a
client's heads hardly differ, so the last ones are kept) and the endpoint is called. An answer takes 58 µs instead of
67. Everything else, anything unusual in a head included, goes to uvicorn untouched and on to FastAPI.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from functools import lru_cache
from time import monotonic
from typing import Any, NamedTuple

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from service.endpoint import JsonEndpoint, Reply
from service.fast_path import FastPathApp
from service.one_write import OneWriteProtocol

MAX_HEAD_BYTES = 2048
MAX_HELD_BACK_BYTES = 65_536
"""Of requests that came before the answer to the one before them, after which the client has to wait with more."""

N_HEADS = 1024

_REQUEST_LINE = re.compile(rb"POST (/[a-z/]*) HTTP/1\.1")
_HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\x80-\xff]*?)[ \t]*")
_MORE_TO_DO_FOR = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"connection", b"content-encoding"})


class Head(NamedTuple):
    """The head of a request that is as plain as can be. headers: by lower-case name, no name twice."""

    path: str
    headers: Mapping[bytes, bytes]
    n_body_bytes: int


@lru_cache(N_HEADS)
def read_head(raw: bytes) -> Head | None:
    """raw: up to the empty line. None where it is anything that uvicorn should look at."""
    first, *lines = raw.split(b"\r\n")
    request_line = _REQUEST_LINE.fullmatch(first)
    if request_line is None:
        return None
    headers: dict[bytes, bytes] = {}
    for line in lines:
        header = _HEADER_LINE.fullmatch(line)
        if header is None:
            return None
        name = header[1].lower()
        if name in headers or (name in _MORE_TO_DO_FOR and (name, header[2].lower()) != _KEEP_ALIVE):
            return None
        headers[name] = header[2]
    length = headers.get(b"content-length", b"")
    if not (length.isdigit() and len(length) < 10 and headers.get(b"content-type") == b"application/json"):
        return None
    return Head(request_line[1].decode("ascii"), headers, int(length))


_KEEP_ALIVE = (b"connection", b"keep-alive")


class WholeRequestProtocol(OneWriteProtocol):
    """What uvicorn is to speak on each connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._hot_endpoint = self.app.hot_endpoint if isinstance(self.app, FastPathApp) else _nothing_is_hot
        self._answering: asyncio.Task[None] | None = None
        self._answered_at = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None
        self._held_back = b""
        self._is_within_message = False
        self._is_to_close = False
        self._usual: tuple[list[tuple[bytes, bytes]], bytes] = ([], b"")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the socket itself at hand."""
        self._socket = transport
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Answer, or hand over to uvicorn; what comes during an answer waits for it."""
        if self._answering is not None:
            self._hold_back(data)
        elif not self._begin(data):
            super().data_received(data)

    def on_message_begin(self) -> None:
        """From here on the parser waits for the rest of a message."""
        self._is_within_message = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """What comes next is another message."""
        self._is_within_message = False
        super().on_message_complete()

    def shutdown(self) -> None:
        """An answer under way is still sent."""
        if self._answering is not None:
            self._is_to_close = True
        else:
            super().shutdown()

    def _begin(self, data: bytes) -> bool:
        """Begin to answer, if data is one whole plain request and nothing else is going on here."""
        if self._is_within_message or self.flow.write_paused or self.transport.is_closing():
            return False
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            return False
        end = data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
        head = read_head(data[:end]) if end > 0 else None
        if head is None or len(data) != end + 4 + head.n_body_bytes:
            return False
        endpoint = self._hot_endpoint(head.path)
        if endpoint is None or not endpoint.takes(head.n_body_bytes):
            return False
        if self.timeout_keep_alive_task is not self._idle_timer:  # uvicorn's own would close at once
            self._unset_keepalive_if_required()
        self._answering = self.loop.create_task(
            endpoint.answer_whole(head.headers, data[end + 4 :], self._send)
        )
        return True

    def _send(self, reply: Reply) -> None:
        self._answering = None
        self.server_state.total_requests += 1
        if self._socket.is_closing():  # the client is gone
            return
        self._socket.write(reply.on_the_wire(self._usual_headers()))
        if self._is_to_close:
            self._socket.close()
            return
        self._answered_at = monotonic()
        if self.timeout_keep_alive_task is None:
            self._close_when_idle_for(self.timeout_keep_alive)
        if self._held_back:
            self._go_on()

    def _close_when_idle_for(self, seconds: float) -> None:
        """One timer for many requests: to set one and cancel one for each costs 1 µs."""
        self._idle_timer = self.timeout_keep_alive_task = self.loop.call_later(seconds, self._look_if_idle)

    def _look_if_idle(self) -> None:
        self._idle_timer = self.timeout_keep_alive_task = None
        if self._answering is not None:
            return  # its reply sets the timer
        left = self._answered_at + self.timeout_keep_alive - monotonic()
        if left > 0:
            self._close_when_idle_for(left)
        else:
            self.timeout_keep_alive_handler()

    def _usual_headers(self) -> bytes:
        """The lines that uvicorn puts into every reply; it makes a new list of them each second."""
        if self._usual[0] is not self.server_state.default_headers:
            headers = self.server_state.default_headers
            self._usual = (headers, b"".join(b"%b: %b\r\n" % header for header in headers))
        return self._usual[1]

    def _hold_back(self, data: bytes) -> None:
        self._held_back += data
        if len(self._held_back) > MAX_HELD_BACK_BYTES:
            self.flow.pause_reading()

    def _go_on(self) -> None:
        data, self._held_back = self._held_back, b""
        self.flow.resume_reading()
        self.data_received(data)


def _nothing_is_hot(path: str) -> JsonEndpoint[Any] | None:
    return None
