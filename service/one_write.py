"""uvicorn's HTTP protocol, with the head and the body of a reply in one write, and one idle timer a connection.

uvicorn writes them one after the other and uvloop sends each at once, so a reply takes two system calls, two segments
and, at the other end, two reads. One write instead saves 5 of a bare echo's 29 µs. An endpoint that has its reply in
one piece may hand it over so, through an ASGI extension: uvicorn's two messages, each header of which it searches for
illegal characters, take another 6. And uvicorn arms a timer after each reply and cancels it with the next request,
which is 1.5; here one timer a connection looks when it was last used.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

WHOLE_REPLY = "stillroom.whole_reply"
"""The extension: a call with the scope, the head's own lines and the body, that says whether it has sent them."""

_OK = b"HTTP/1.1 200 OK\r\n"


class OneWriteProtocol(HttpToolsProtocol):
    """What uvicorn is to speak on each connection."""

    _idle_timer: asyncio.TimerHandle | None = None
    _last_reply_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the joining of writes between uvicorn and the socket."""
        self._joining = JoiningTransport(transport)
        super().connection_made(self._joining)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits for this connection any more."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Offer the extension with each request."""
        super().on_message_begin()
        self.scope["extensions"] = {WHOLE_REPLY: self.send_whole}  # type: ignore[dict-item]

    def send_whole(self, scope: Any, head: bytes, body: bytes) -> bool:
        """Send a reply with status 200 in one piece. head: the lines of its headers, content-length among them.

        False, and nothing is sent, where uvicorn's own way has more to do: a pipelined request, a connection that is
        to be closed or takes no more at the moment, a client that is gone.
        """
        cycle = self.cycle
        if (
            cycle.scope is not scope
            or cycle.response_started
            or cycle.disconnected
            or not cycle.keep_alive
            or cycle.waiting_for_100_continue
            or self.flow.write_paused
        ):
            return False
        cycle.response_started = cycle.response_complete = True
        usual = [b"%b: %b\r\n" % header for header in cycle.default_headers]
        self._joining.write(b"".join((_OK, *usual, head, b"\r\n", body)))
        cycle.message_event.set()
        cycle.on_response()
        return True

    def on_response_complete(self) -> None:
        """A reply without a body, as to HEAD, has nothing that its head could wait for."""
        self._joining.flush()
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._last_reply_at = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._close_if_idle)

    def _close_if_idle(self) -> None:
        """Close a connection without a request for uvicorn's keep-alive time, or look again when that may be over."""
        is_busy = not self.cycle.response_complete
        left = self.timeout_keep_alive - (self.loop.time() - self._last_reply_at)
        if is_busy or left > 0:
            wait = self.timeout_keep_alive if is_busy else left
            self._idle_timer = self.loop.call_later(wait, self._close_if_idle)
        else:
            self.timeout_keep_alive_handler()


class JoiningTransport(asyncio.Transport):
    """Holds a reply's head back until the next write, which is its body, or until it is closed or flushed.

    Only a head that declares a length waits. A chunked reply may be a stream, whose client wants the head now.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    def write(self, data: Any) -> None:
        """Send, together with the head that waits."""
        if self._head:
            data = self._head + data
            self._head = b""
        elif data.startswith(b"HTTP/") and b"\r\ncontent-length: " in data and data.endswith(b"\r\n\r\n"):
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send the head that waits, if there is one."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """Send what waits and close."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """As the socket's transport has it."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the socket's transport has it."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """As the socket's transport has it."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """As the socket's transport has it."""
        self._transport.resume_reading()
