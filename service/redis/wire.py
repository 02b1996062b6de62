"""The bytes of one connection to Redis: commands out, replies in, over hiredis's parser.

Whatever comes is bounded here before it is parsed, and must be Redis's protocol; what a reply has to look like is the
asker's to say (`replies`). Once anything went wrong the connection is closed for good, so no reply meets another
question.
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
"""As hiredis reads it: bytes, a number, None, a list, a dict, or an error that it holds and does not raise."""

MAX_REPLY_BYTES = 64 * 2**20
"""Of one reply: 256 people of the largest size are 7 MB, a thousand entries of a stream a few."""

MAX_ELEMENTS = 100_000
"""That arrays under way may announce together. hiredis makes room for all of them at once, 8 bytes each, when it has
read no more than their number; a thousand entries of a stream have 5,000.
"""

_ANNOUNCED = re.compile(rb"\r\n[*%~>|](\d+)(?=\r\n)")
"""A line that announces an array, map, set, push or attribute. One in a value counts too, which does no harm."""

_NESTED = re.compile(rb"\r\n[*%~>|]")
"""A line that may be one. That it begins with a line break makes the search ten times as fast as one for the sign."""

_LINE_BYTES = 24
"""No such line is longer: a 64-bit number, two signs, two line breaks."""


class Watcher(Protocol):
    """Who wants to know of writes to Redis. keys of `changed`: None for all of them."""

    def begin(self) -> None: ...
    def changed(self, keys: list[bytes] | None) -> None: ...
    def end(self) -> None: ...


class Wire(asyncio.Protocol):
    """Connected by an event loop; `ask` is called by one at a time."""

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
        """Send commands; their replies in order, refusals among them. Raises OSError, TimeoutError, and
        hiredis.ProtocolError for what is no reply.
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
        """Nothing is sent or read any more."""
        self.is_closed = True
        watcher, self.watcher = self.watcher, None
        if watcher is not None:
            watcher.end()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if self.is_closed:
            return
        try:
            self._read(data)
        except Exception as error:  # to hiredis a map whose key is a list is a TypeError
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
    """What a reply that is not whole yet may have cost so far."""

    def __init__(self) -> None:
        self._line = b"\r\n"
        """The end of what came before, from the last line break on: a line may come in two pieces."""
        self._n_bytes = 0
        self._n_elements = 0

    def check(self, data: bytes) -> None:
        """Raise hiredis.ProtocolError before data is parsed that announces, or is, more than is read."""
        is_new = self._n_bytes == 0 and self._line == b"\r\n"
        self._n_bytes += len(data)
        # What people are read by is one array, whose first line is short: then there is nothing to count. 1 µs less.
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
        """A reply is whole."""
        self._n_bytes = self._n_elements = 0


def _are_bytes(keys: Any) -> bool:
    return type(keys) is list and all(type(key) is bytes for key in keys)


def _protocol_error(error: Exception) -> hiredis.ProtocolError:
    return hiredis.ProtocolError(f"{type(error).__name__}: {error}"[:200])
