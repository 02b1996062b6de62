"""One connection to Redis that sends commands together and reads their replies, and no more than that.

redis-py reads the URL and knows every form of it; the wire is our own, over hiredis's parser, since a trip of one
key costs a server 35 to 40 µs of CPU through redis-py's client and 10 through this. Nothing is retried here: a trip
that fails closes the connection, and the next one connects anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, cast

import hiredis
from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection, SSLConnection, UnixDomainSocketConnection

logger = logging.getLogger(__name__)

Command: TypeAlias = "tuple[str | bytes | int, ...]"


class Watcher(Protocol):
    """Who wants to know of writes to Redis. keys of `changed`: None for all of them."""

    def begin(self) -> None: ...
    def changed(self, keys: list[bytes] | None) -> None: ...
    def end(self) -> None: ...


class Connection:
    """Connects when it is first asked, and again after it broke. One caller at a time.

    url: any that redis-py takes, with its options for TLS. connect_seconds: for connecting, AUTH and SELECT together.
    read_seconds: from sending commands to their last reply. watched: a prefix of keys, and who is told of each write
    to one of them, in order with the replies; a Redis that cannot tell (before 6.0, or a proxy) is used without, and
    the log says so. Raises ValueError for a URL that is none.
    """

    def __init__(
        self,
        url: str,
        *,
        connect_seconds: float,
        read_seconds: float,
        watched: tuple[str, Watcher] | None = None,
    ) -> None:
        try:
            self._described: AbstractConnection = ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]
        except TypeError as error:  # an option that no connection has
            raise ValueError(f"the Redis URL has an option that is not known: {error}") from error
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._watched = watched
        self._wire: _Wire | None = None

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one write; their replies in order.

        Raises OSError where Redis is away or the connection breaks, TimeoutError where it is slow, and
        hiredis.HiredisError where it refuses a command or what comes is not Redis's protocol.
        """
        if self._wire is None or self._wire.is_closed:
            self._wire = await self._connect()
        return await self._wire.ask(commands, self._read_seconds)

    def close(self) -> None:
        """Disconnect, if it is connected."""
        if self._wire is not None:
            self._wire.close()

    async def _connect(self) -> _Wire:
        async with asyncio.timeout(self._connect_seconds):
            wire = await self._open()
            greeting = self._greeting()
            try:
                if greeting:
                    await wire.ask(greeting, self._connect_seconds)
                if self._watched:
                    await self._watch(wire, *self._watched)
            except BaseException:
                wire.close()
                raise
        return wire

    async def _watch(self, wire: _Wire, prefix: str, watcher: Watcher) -> None:
        tracking: Command = ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", prefix)
        try:
            await wire.ask([("HELLO", 3), tracking], self._connect_seconds)
        except hiredis.ReplyError as error:
            logger.warning("Redis does not tell of changes, so people are read again by the clock: %s", error)
        else:
            wire.watcher = watcher
            watcher.begin()

    async def _open(self) -> _Wire:
        loop, to = asyncio.get_running_loop(), self._described
        if isinstance(to, UnixDomainSocketConnection):
            return (await loop.create_unix_connection(_Wire, to.path))[1]
        tls = to.ssl_context.get() if isinstance(to, SSLConnection) else None
        host, port = getattr(to, "host"), getattr(to, "port")  # noqa: B009 - of a subclass that is not named twice
        return (await loop.create_connection(_Wire, host, port, ssl=tls))[1]

    def _greeting(self) -> list[Command]:
        to = self._described
        commands: list[Command] = []
        if to.password:
            commands.append(("AUTH", to.username, to.password) if to.username else ("AUTH", to.password))
        if to.db:
            commands.append(("SELECT", to.db))
        return commands


class _Wire(asyncio.Protocol):
    """Bytes out, replies in. Once anything went wrong it is closed for good, so no reply meets another question."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._replies: list[Any] = []
        self._n_expected = 0
        self._asked: asyncio.Future[list[Any]] | None = None
        self.watcher: Watcher | None = None
        self.is_closed = False

    async def ask(self, commands: Sequence[Command], seconds: float) -> list[Any]:
        """Send commands; their replies in order."""
        assert self._transport is not None
        packed = [hiredis.pack_command(command) for command in commands]  # type: ignore[arg-type] # its stub takes 1-tuples
        loop = asyncio.get_running_loop()
        self._asked = loop.create_future()
        self._replies, self._n_expected = [], len(commands)
        timer = loop.call_later(seconds, self._fail, TimeoutError(f"no reply in {seconds} s"))
        self._transport.write(b"".join(packed))
        try:
            replies = await self._asked
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            timer.cancel()
            self._asked = None
        for reply in replies:
            if isinstance(reply, hiredis.HiredisError):
                raise reply
        return replies

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
        n_before = len(self._replies)
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                if type(reply) is hiredis.PushNotification:
                    self._told(reply)
                else:
                    self._replies.append(reply)
        except hiredis.ProtocolError as error:
            self._fail(error)
            return
        if len(self._replies) > n_before and len(self._replies) >= self._n_expected:
            if self._asked is None or len(self._replies) > self._n_expected:
                self._fail(hiredis.ProtocolError("a reply that nobody asked for"))
            elif not self._asked.done():
                self._asked.set_result(self._replies)

    def _told(self, push: list[Any]) -> None:
        if push[0] == b"invalidate" and self.watcher is not None:
            self.watcher.changed(push[1])

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._fail(exc or ConnectionResetError("Redis closed the connection"))

    def _fail(self, error: Exception) -> None:
        if self._asked is not None and not self._asked.done():
            self._asked.set_exception(error)
        self.close()
