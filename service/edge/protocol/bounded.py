"""uvicorn's HTTP protocol, with one request at a time and a bound on everything.

uvicorn parses whatever arrives: an endless head, a thousand requests of a client that never reads. Here a request is
parsed once the previous one is answered and its answer taken. What arrives meanwhile waits up to a bound; beyond it
the connection is not read. Each fault is answered by a problem document, in its turn.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

from service.contract.errors import (
    EncodingUnsupported,
    HeadTooLarge,
    MethodNotAllowed,
    ProtocolInvalid,
    ServiceError,
)
from service.edge.http.bounds import MAX_HELD_BACK_BYTES
from service.edge.http.delivery import EXTENSION, Delivery
from service.edge.http.framing import CHUNKED, EmptyLine, body_bytes, head_without_upgrade
from service.edge.protocol.ending import EndingProtocol, Stage

PIECE_BYTES = 16_384
"""The piece of a chunked body that the parser gets at once, since it concatenates the pieces of a trailer."""


class BoundedProtocol(EndingProtocol):
    """The protocol that uvicorn uses for each connection, within the app's bounds."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._empty_line = EmptyLine()
        self._n_head_bytes = self._n_body_bytes_left = self._n_bytes_beside_body = 0
        self._refusal: ServiceError | None = None

    def data_received(self, data: bytes) -> None:
        """Continue the request under way, or keep the data until its turn comes."""
        if self._stage is Stage.ENDING:
            self._drop(len(data))
            return
        self._pending += data
        self._go_on()
        if len(self._pending) > MAX_HELD_BACK_BYTES:
            self.flow.pause_reading()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection while answers are due, as a half-closed client still gets them; else end it."""
        self._is_half_closed = True
        return self._stage in (Stage.ANSWERING, Stage.UNTAKEN, Stage.QUEUED)

    def on_message_begin(self) -> None:
        """Begin a request. One is parsed only after the previous one is done, so they cannot overlap."""
        if self._stage is not Stage.HEAD:
            raise ProtocolInvalid("a request began before the one before it ended")
        super().on_message_begin()
        self._delivery = Delivery()
        self.scope["extensions"] = {EXTENSION: {"delivery": self._delivery}}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header without the white space around its value. Trailers are ignored."""
        if self._stage is not Stage.HEAD:
            return
        if len(self.headers) >= self._bounds.max_headers:
            self._refusal = HeadTooLarge(
                f"the head has more than the {self._bounds.max_headers:,} headers that are read"
            )
            raise self._refusal
        super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the head has to be parsed again without an offer to upgrade."""
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                self._refusal = MethodNotAllowed("CONNECT is not allowed here; this is no proxy")
                raise self._refusal
            return
        for name, value in self.headers:
            if name == b"transfer-encoding" and value.lower() != b"chunked":
                self._refusal = EncodingUnsupported(
                    "the transfer coding is not chunked alone; send the body as it is, chunked or with its length"
                )
                raise self._refusal
        super().on_headers_complete()
        self._n_body_bytes_left = body_bytes(self.headers)
        self._stage = Stage.BODY

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body to the app."""
        self._n_bytes_beside_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        if self._stage is Stage.BODY:
            super().on_message_complete()
            self._stage = Stage.ANSWERING
        elif self._stage is Stage.REST:
            self._stage = Stage.IDLE if self._untaken is None else Stage.UNTAKEN
            self.since = self._connections.now

    def on_response_complete(self) -> None:
        """Begin the next request, if this one has arrived in full."""
        self._joining.flush()
        self.server_state.total_requests += 1
        if self._stage is Stage.ENDING:
            return
        self._delivery.delivered = self._deliver()
        if self._stage is Stage.BODY:
            self._stage = Stage.REST
            self.since = self._connections.now
            self.flow.resume_reading()
        elif self._stage is Stage.ANSWERING:
            self._after_answer()

    def _go_on(self) -> None:
        """Parse as far as waiting requests can be begun."""
        while self._pending:
            if self._stage in (Stage.IDLE, Stage.HEAD):
                self._read_head()
            elif self._stage in (Stage.BODY, Stage.REST):
                self._read_body()
            else:
                return

    def _read_head(self) -> None:
        if self._stage is Stage.IDLE:
            self._stage, self.since = Stage.HEAD, self._connections.now
            self._n_head_bytes, self._empty_line, self.headers = 0, EmptyLine(), []
        room = self._bounds.max_head_bytes - self._n_head_bytes
        n_bytes = self._empty_line.pieces_end(self._pending, room)
        self._n_head_bytes += n_bytes
        self._feed(self._take(n_bytes))
        if self._stage is Stage.HEAD and self._n_head_bytes >= self._bounds.max_head_bytes:
            self._refuse(
                HeadTooLarge(
                    f"the head has more than the {self._bounds.max_head_bytes:,} bytes that are read; send fewer or "
                    "shorter headers"
                )
            )

    def _read_body(self) -> None:
        if self._n_body_bytes_left != CHUNKED:
            n_bytes = min(self._n_body_bytes_left, len(self._pending))
            self._n_body_bytes_left -= n_bytes
        else:
            n_bytes = self._empty_line.pieces_end(self._pending, PIECE_BYTES)
            self._n_bytes_beside_body += n_bytes
        self._feed(self._take(n_bytes))
        is_within = self._stage in (Stage.BODY, Stage.REST)
        if is_within and self._n_bytes_beside_body > self._bounds.max_head_bytes + PIECE_BYTES:
            self._refuse(
                HeadTooLarge("the trailers after the body are longer than a head may be; leave them out")
            )
        elif is_within and not self._n_body_bytes_left:
            self._refuse(ProtocolInvalid("the length of the body cannot be told"))

    def _take(self, n_bytes: int) -> bytes:
        taken = bytes(self._pending[:n_bytes])
        del self._pending[:n_bytes]
        return taken

    def _feed(self, piece: bytes) -> None:
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._read_without_upgrade()
        except httptools.HttpParserError as error:
            self._refuse(self._refusal or ProtocolInvalid(_said_by(error)))

    def _read_without_upgrade(self) -> None:
        """Parse the head once more, without the offer to upgrade that stopped the parser."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        head = head_without_upgrade(method, self.url, version, self.headers)
        self.parser = self._new_parser()
        self._feed(head)

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        return parser


def _said_by(error: httptools.HttpParserError) -> str:
    """Return llhttp's reason, which is one of a few constant sentences."""
    reason = (
        str(error) if not isinstance(error, httptools.HttpParserCallbackError) else "the target is no URL"
    )
    return f"{reason[:1].lower()}{reason[1:]}; send a request of HTTP/1.1"
