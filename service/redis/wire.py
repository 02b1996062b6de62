"""The bytes of one connection to Redis: commands out, replies in, over hiredis's parser.

Incoming data is bounded before it is parsed and must be Redis's protocol; what shape a reply must have is for the
caller to say (`replies`). After any error the connection is closed for good, so no reply meets another question.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, cast

import hiredis

logger = logging.getLogger(__name__)

Command: TypeAlias = "tuple[str | bytes | int, ...]"
Reply: TypeAlias = Any
"""A reply as hiredis reads it: bytes, a number, None, a list, a dict, or an error that it returns without raising."""

MAX_REPLY_BYTES = 64 * 2**20
"""The bound on one reply: 256 people of the largest size take 7 MB, a thousand entries of a stream a few."""

MAX_ELEMENTS = 100_000
"""The bound on the elements that arrays under way announce together. hiredis allocates all of them, 8 bytes each, as
soon as it has read their number; a thousand entries of a stream have 5,000.
"""

_ANNOUNCED = re.compile(rb"\r\n[*%~>|](\d+)(?=\r\n)")
"""A line that announces an array, map, set, push or attribute. One inside a value counts too, which does no harm."""

_NESTED = re.compile(rb"\r\n[*%~>|]")
"""The start of such a line. Searching with the line break is ten times as fast as searching for the sign alone."""

_LINE_BYTES = 24
"""The most bytes such a line can have: a 64-bit number, two signs, two line breaks."""


class Watcher(Protocol):
    """Learns of writes to Redis. keys of `changed`: None stands for all keys."""

    def begin(self) -> None: ...
    def changed(self, keys: list[bytes] | None) -> None: ...
    def end(self) -> None: ...


class Wire(asyncio.Protocol):
    """The protocol of one connection, used by an event loop; only one caller at a time may `ask`."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._bounds = _Bounds()
        self._transport: asyncio.Transport | None = None
        self._replies: list[Reply] = []
        self._n_expected = 0
        self._asked: asyncio.Future[list[Reply]] | None = None
        self.watcher: Watcher | None = None
        self.is_closed = False

    async def ask(self, commands: Sequence[Command], seconds: float) -> list[Reply]:
        """Send commands; return their replies in order, refusals included. Raises OSError, TimeoutError, and
        hiredis.ProtocolError for bytes that are no reply.
        """
        assert self._transport is not None
        packed = [hiredis.pack_command(command) for command in commands]  # type: ignore[arg-type] # its stub takes 1-tuples
        loop = asyncio.get_running_loop()
        self._asked = loop.create_future()
        self._replies, self._n_expected = [], len(commands)
        timer = loop.call_later(seconds, self._fail, TimeoutError(f"no reply in {seconds} s"))
        self._transport.write(b"".join(packed))
        try:
            return await self._asked
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            timer.cancel()
            self._asked = None

    def close(self) -> None:
        """Abort the connection: nothing is sent or read any more."""
        self.is_closed = True
        watcher, self.watcher = self.watcher, None
        if watcher is not None:
            watcher.end()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport does not inherit from it

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if self.is_closed:
            return
        try:
            self._read(data)
        except Exception as error:  # for hiredis a map whose key is a list is a TypeError
            said = error if isinstance(error, hiredis.ProtocolError) else _protocol_error(error)
            if self._asked is None:
                logger.warning("Redis said what it cannot say: %s", said)
            self._fail(said)

    def _read(self, data: bytes) -> None:
        n_before = len(self._replies)
        self._bounds.check(data)
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            self._bounds.begin_anew()
            if type(reply) is hiredis.PushNotification:
                self._told(reply)
            else:
                self._replies.append(reply)
        if len(self._replies) > n_before and len(self._replies) >= self._n_expected:
            if self._asked is None or len(self._replies) > self._n_expected:
                raise hiredis.ProtocolError("a reply that nobody asked for")
            if not self._asked.done():
                self._asked.set_result(self._replies)

    def _told(self, push: list[Any]) -> None:
        if not push or type(push[0]) is not bytes:
            raise hiredis.ProtocolError("a push frame without a name")
        if push[0] != b"invalidate" or self.watcher is None:
            return
        if len(push) != 2 or not (push[1] is None or _are_bytes(push[1])):
            raise hiredis.ProtocolError("a push frame that names no keys")
        self.watcher.changed(push[1])

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._fail(exc or ConnectionResetError("Redis closed the connection"))

    def _fail(self, error: Exception) -> None:
        if self._asked is not None and not self._asked.done():
            self._asked.set_exception(error)
        self.close()


class _Bounds:
    """Counts what a reply that is still incomplete has cost so far."""

    def __init__(self) -> None:
        self._line = b"\r\n"
        """The end of earlier data, from the last line break on, since a line may arrive in two pieces."""
        self._n_bytes = 0
        self._n_elements = 0

    def check(self, data: bytes) -> None:
        """Raise hiredis.ProtocolError for data over the bounds before it is parsed."""
        is_new = self._n_bytes == 0 and self._line == b"\r\n"
        self._n_bytes += len(data)
        # Reads of people are one array with a short first line, which needs no counting. This saves 1 µs.
        if is_new and b"\r" in data[:6] and data.endswith(b"\r\n") and _NESTED.search(data) is None:
            return
        seen = self._line + data
        for announced in _ANNOUNCED.findall(seen):
            self._n_elements += int(announced[:20])
        if self._n_bytes > MAX_REPLY_BYTES:
            raise hiredis.ProtocolError(f"a reply of more than {MAX_REPLY_BYTES:,} bytes")
        if self._n_elements > MAX_ELEMENTS:
            raise hiredis.ProtocolError(f"a reply of more than {MAX_ELEMENTS:,} elements")
        if seen.endswith(b"\r\n"):
            self._line = b"\r\n"
        else:
            begin = seen.rfind(b"\r\n", -_LINE_BYTES)
            self._line = seen[begin:] if begin >= 0 else seen[-1:]

    def begin_anew(self) -> None:
        """Start counting anew, as a reply is complete."""
        self._n_bytes = self._n_elements = 0


def _are_bytes(keys: Any) -> bool:
    return type(keys) is list and all(type(key) is bytes for key in keys)


def _protocol_error(error: Exception) -> hiredis.ProtocolError:
    return hiredis.ProtocolError(f"{type(error).__name__}: {error}"[:200])
