"""The end of a request and of a connection: whether the answer was taken, refusals with their reason, and timeouts.

`bounded` reads requests and builds on this.
"""

from __future__ import annotations

import asyncio
import socket
from abc import abstractmethod
from contextlib import suppress
from enum import IntEnum, auto
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from service.contract.errors import PROBLEMS, HeadTooSlow, ServiceError
from service.edge.endpoints.endpoint import problem_reply, request_id
from service.edge.endpoints.fast_path import FastPathApp
from service.edge.http.bounds import LINGER_SECONDS, MAX_HELD_BACK_BYTES, MAX_LINGER_BYTES, Bounds
from service.edge.http.connections import Connections, address_of, has_unread
from service.edge.http.delivery import Delivered, Delivery, is_taken
from service.edge.http.one_write import OneWriteProtocol

MAX_UNSENT_BYTES = 65_536
"""Bytes of answers that the system may hold unsent. If as many wait here too, no further request is begun."""


class Stage(IntEnum):
    """How far a connection is with its request."""

    IDLE = auto()
    """There is no request, and the last answer has been taken as far as anybody can tell."""
    HEAD = auto()
    """Part of the head has arrived."""
    BODY = auto()
    """The head has arrived but not the body, and the app is at work on the answer."""
    ANSWERING = auto()
    """The request has arrived in full, and the app is at work on the answer."""
    REST = auto()
    """The request has been answered, and part of its body has yet to arrive."""
    UNTAKEN = auto()
    """The request has been answered, and the client has not taken the answer."""
    QUEUED = auto()
    """The next request arrived before the previous answer, and waits for its turn."""
    ENDING = auto()
    """Whatever arrives is dropped."""


class EndingProtocol(OneWriteProtocol):
    """A connection in the app's registry that keeps to its bounds. since: see `Connection`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        app = self.app
        self._connections = app.connections if isinstance(app, FastPathApp) else Connections(Bounds())
        self._turns = self._connections.turns
        self._bounds = self._connections.bounds
        self._stage = Stage.IDLE
        self.since = self._connections.now
        self.address = ""
        self._pending = bytearray()
        self._n_dropped_bytes = 0
        self._is_half_closed = self._is_to_close = self._has_turn = False
        self._delivery = Delivery()
        self._untaken: asyncio.Future[bool] | None = None
        self._usual: tuple[list[tuple[bytes, bytes]], bytes] = ([], b"")

    @abstractmethod
    def _go_on(self) -> None:
        """Parse as far as waiting requests can be begun."""

    @property
    def is_idle(self) -> bool:
        """See `Connection`."""
        return self._stage is Stage.IDLE

    @property
    def is_unfinished(self) -> bool:
        """See `Connection`."""
        return self._stage is Stage.HEAD or (self._stage is Stage.BODY and not self.cycle.response_started)

    @property
    def has_unread_request(self) -> bool:
        """See `Connection`."""
        return has_unread(self._socket)

    @property
    def n_unread_bytes(self) -> int:
        """See `Connection`."""
        return self._socket.get_write_buffer_size()

    @property
    def stage(self) -> Stage:
        """How far the connection is with its request."""
        return self._stage

    @property
    def is_half_closed(self) -> bool:
        """Whether the client has shut down its side."""
        return self._is_half_closed

    @property
    def n_bytes_waiting(self) -> int:
        """The number of bytes that have arrived and are not parsed yet."""
        return len(self._pending)

    def look(self, now: float) -> None:
        """End the connection if it has timed out."""
        if self._stage is Stage.UNTAKEN or self._untaken is not None:
            self._look_if_taken()
        seconds, stage, bounds = now - self.since, self._stage, self._bounds
        if stage is Stage.UNTAKEN or self._untaken is not None or self.flow.write_paused:
            if seconds > bounds.unread_seconds:
                self.end("unread")
        elif stage is Stage.IDLE and seconds > bounds.idle_seconds and not self.has_unread_request:
            self.end("idle")
        elif stage is Stage.HEAD and seconds > bounds.head_seconds:
            self._refuse(HeadTooSlow(f"the head did not arrive within {bounds.head_seconds:g} seconds"))
        elif stage is Stage.REST and seconds > bounds.rest_seconds:
            self.end("rest_slow")
        elif stage is Stage.ENDING and seconds > LINGER_SECONDS:
            self._socket.abort()

    def end(self, reason: str) -> None:
        """Close the connection at once; what the client has not taken by now is lost."""
        self._connections.on_end(reason)
        self._connections.leave(self)
        self._give_back_turn()
        self._stage, self.since = Stage.ENDING, self._connections.now
        if self.n_unread_bytes:
            self._socket.abort()
        else:
            self._socket.close()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admit the connection if there is room, else refuse it."""
        self._socket = transport
        self.address = address_of(transport)
        _hold_little(transport)
        super().connection_made(transport)
        refusal = self._connections.admit(self)
        self.since = self._connections.now
        if refusal is not None:
            self._answer_and_end(refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release what the connection held."""
        self._connections.leave(self)
        self._stage = Stage.ENDING
        self._give_back_turn()
        self._pending.clear()
        self._settle_untaken(taken=False)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin no further request while the client does not read."""
        super().pause_writing()
        self._give_back_turn()  # its answer waits for the client
        self.since = self._connections.now
        if self._stage is Stage.IDLE:
            self._stage = Stage.UNTAKEN
        self._connections.stopped_reading(self)

    def resume_writing(self) -> None:
        """Go on after the client has caught up."""
        super().resume_writing()
        self.since = self._connections.now
        self._connections.reads_again(self)
        if self._stage is Stage.UNTAKEN or self._untaken is not None:
            self._look_if_taken()

    def shutdown(self) -> None:
        """Close the connection, after an answer under way has been sent."""
        if self._stage in (Stage.BODY, Stage.ANSWERING):
            self._is_to_close = True
            if self.cycle is not None:
                self.cycle.keep_alive = False
        elif self._stage is not Stage.ENDING:
            self._socket.close()

    def _after_answer(self) -> None:
        """Wait until the answer is taken, if that can be observed; then go on."""
        self._give_back_turn()
        if self._socket.is_closing() or self._stage is Stage.ENDING:
            return
        self.since = self._connections.now
        if self._untaken is not None:
            self._stage = Stage.UNTAKEN
        else:
            self._be_ready()

    @property
    def waits_for_turn(self) -> bool:
        """See `pipelining.Waiter`."""
        return self._stage is Stage.QUEUED

    def begin_turn(self) -> None:
        """See `pipelining.Waiter`."""
        self._has_turn = True
        self.loop.call_soon(self._begin_next)

    def _be_ready(self) -> None:
        """Begin the next request, if it has arrived and has its turn."""
        if self._pending:
            self._stage = Stage.QUEUED
            self._has_turn = self._turns.take(self)
            if not self._has_turn:
                return
        self._begin_next()

    def _begin_next(self) -> None:
        if self._stage is Stage.ENDING:
            self._give_back_turn()
            return
        self._stage, self.since = Stage.IDLE, self._connections.now
        self._go_on()
        if self._stage is not Stage.ANSWERING:
            self._give_back_turn()
        if self._is_half_closed and self._stage in (Stage.IDLE, Stage.HEAD, Stage.BODY):
            self._drop_request()
            self._end_gently()
        elif len(self._pending) <= MAX_HELD_BACK_BYTES:
            self.flow.resume_reading()

    def _give_back_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._turns.give_back()

    def _deliver(self) -> Delivered:
        """Whether the reply just written was handed to an open connection."""
        if self._socket.is_closing():
            return False
        taken = self._is_taken()
        if taken is None:
            self._untaken = self.loop.create_future()
            return self._untaken
        return taken

    def _is_taken(self) -> bool | None:
        if self.flow.write_paused:
            return None
        return is_taken(self._socket.get_extra_info("socket")) if self._is_half_closed else True

    def _look_if_taken(self) -> None:
        """Go on once it is known whether the answer was taken."""
        taken = self._is_taken()
        if taken is None:
            return
        self._settle_untaken(taken=taken)
        if self._stage is Stage.UNTAKEN:
            self._be_ready()
        else:
            self._socket.close()

    def _settle_untaken(self, *, taken: bool) -> None:
        if self._untaken is not None and not self._untaken.done():
            self._untaken.set_result(taken)
        self._untaken = None

    def _refuse(self, error: ServiceError) -> None:
        """Report what is wrong with a request, then end the connection."""
        is_answered = self._stage is Stage.REST or (self._stage is Stage.BODY and self.cycle.response_started)
        self._drop_request()
        if is_answered:
            self._end_gently()
        else:
            self._answer_and_end(error)

    def _drop_request(self) -> None:
        """Tell the app that the client is gone."""
        if self._stage is Stage.BODY:
            self.cycle.disconnected = True
            self.cycle.waiting_for_100_continue = False  # else "100 Continue" would follow the final reply
            self.cycle.message_event.set()

    def _answer_and_end(self, error: ServiceError) -> None:
        self._connections.on_end(PROBLEMS[type(error)].kind)
        reply = problem_reply(error, request_id(dict(self.headers or ())))
        self._socket.write(reply.on_the_wire(self._usual_headers()))
        self._end_gently()

    def _end_gently(self) -> None:
        """Shut down our side and read on for a moment, so that the client sees the last reply."""
        self._stage, self.since = Stage.ENDING, self._connections.now
        self._pending.clear()
        if self._socket.is_closing():
            return
        if self._is_half_closed or not self._connections.may_linger(self):
            self._socket.close()
            return
        self._socket.write_eof()
        self.flow.resume_reading()

    def _drop(self, n_bytes: int) -> None:
        """Drop bytes that arrive after the connection's end."""
        self._n_dropped_bytes += n_bytes
        if self._n_dropped_bytes > MAX_LINGER_BYTES:
            self._socket.abort()

    def _close(self) -> None:
        """Close the connection after uvicorn has written the last reply."""
        self._give_back_turn()
        if self._stage is Stage.ENDING:
            return
        self._delivery.delivered = self._deliver()
        if self._stage in (Stage.BODY, Stage.REST) or self._pending:
            self._end_gently()
            return
        self._stage, self.since = Stage.ENDING, self._connections.now
        if self._untaken is None:
            self._socket.close()
        elif not self._socket.is_closing():
            self._socket.write_eof()

    def _usual_headers(self) -> bytes:
        """Return the lines that uvicorn adds to every reply; it makes a new list of them each second."""
        if self._usual[0] is not self.server_state.default_headers:
            headers = self.server_state.default_headers
            self._usual = (headers, b"".join(b"%b: %b\r\n" % header for header in headers))
        return self._usual[1]


def _hold_little(transport: asyncio.BaseTransport) -> None:
    """Limit the system's unsent bytes to our own bound: by default it holds 4 MB for a client that does not read."""
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT_BYTES)
