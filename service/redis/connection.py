"""A single connection to Redis: it sends commands together and reads their replies.

redis-py parses the URL, since it knows every form of one. The wire is our own, over hiredis's parser: a trip of one
key costs a server 35 to 40 µs of CPU through redis-py's client and 10 through this. Nothing is retried here: a trip
that fails closes the connection, and the next one connects anew.

All errors are translated here: every failure, and every reply that does not fit its command, is a RedisUnavailable.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import hiredis
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection

from service.contract.errors import RedisTopologyUnsupported, RedisUnavailable
from service.redis.address import read_address, without_arguments
from service.redis.replies import ReplyUnexpected, nothing
from service.redis.wire import Command, Reply, Watcher, Wire

logger = logging.getLogger(__name__)

Read = TypeVar("Read")

MAX_SAID_CHARACTERS = 200

PASSING = ("LOADING", "BUSY", "NOAUTH", "WRONGPASS", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN")
"""Prefixes of refusals that concern the moment. Any other refusal means that this Redis, or a proxy before it, lacks
the command, or denies it to this user.
"""

OWN_FAULT = "WRONGTYPE"
"""Marks a refusal, also of a script, that concerns this command's key only, not Redis or any other command."""


class Server(NamedTuple):
    """The server that answers. run_id: the id of its process, new after each start; "" if not given. mode:
    standalone, cluster or sentinel, as the server says.
    """

    run_id: str
    mode: str


class Refused(NamedTuple):
    """The answer to a command that Redis refused because of its key's value. said: the reason."""

    said: str


class Query(NamedTuple):
    """A command, and the function that reads its reply, made from those of `replies`."""

    command: Command
    read: Callable[[Reply], Any]


class Connection:
    """Connects when it is first asked, and again after it broke. Only one caller at a time may ask.

    url: any that redis-py accepts, with its options for TLS. connect_seconds: the timeout of connecting, AUTH and
    SELECT together. read_seconds: the time from sending commands to their last reply. watched: prefixes of keys, and
    the watcher that learns of each write to them, in order with the replies. A Redis that cannot report writes
    (before 6.0, or a proxy) is used without, and the log says so. Raises ValueError for an invalid URL.
    """

    def __init__(
        self,
        url: str,
        *,
        connect_seconds: float,
        read_seconds: float,
        watched: tuple[Sequence[str], Watcher] | None = None,
    ) -> None:
        try:
            self._described = read_address(url)
        except ValueError as error:
            raise ValueError(f"the Redis URL cannot be used: {error}") from None
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._watched = watched
        self._wire: Wire | None = None
        self.server = Server("", "")
        """The server that answered last."""

    async def ask(self, commands: Sequence[Command], read: Callable[[list[Reply]], Read]) -> Read:
        """Send commands in one write; return what `read` makes of their replies, which come in order.

        read: made from the functions of `replies`. Raises RedisUnavailable if Redis is away, slow, refuses a command,
        or sends a reply that does not fit.
        """
        replies = await self._ask(commands)
        self._check(replies)
        return self._read(replies, read)

    async def ask_one(self, command: Command, read: Callable[[Reply], Read]) -> Read:
        """Do the same for one command. read: takes its reply."""
        (reply,) = await self._ask((command,))
        if isinstance(reply, hiredis.ReplyError):
            raise RedisUnavailable(self._said(reply))
        return self._read(reply, read)

    async def ask_each(self, queries: Sequence[Query]) -> list[Any]:
        """Do the same for independent commands: one that is refused because of its key's value has a `Refused` for
        its answer and leaves the others alone.
        """
        replies = await self._ask([query.command for query in queries])
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError) and OWN_FAULT not in str(reply):
                raise RedisUnavailable(self._said(reply))
        return self._read(replies, lambda all_of_them: list(map(self._answer, queries, all_of_them)))

    def _answer(self, query: Query, reply: Reply) -> Any:
        return Refused(self._said(reply)) if isinstance(reply, hiredis.ReplyError) else query.read(reply)

    def close(self) -> None:
        """Disconnect, if connected."""
        if self._wire is not None:
            self._wire.close()

    async def _ask(self, commands: Sequence[Command]) -> list[Reply]:
        try:
            if self._wire is None or self._wire.is_closed:
                self._wire = await self._connect()
            return await self._wire.ask(commands, self._read_seconds)
        except (OSError, TimeoutError, hiredis.HiredisError) as error:
            raise RedisUnavailable(self._said(error)) from error

    def _read(self, reply: Reply, read: Callable[[Any], Read]) -> Read:
        try:
            return read(reply)
        except ReplyUnexpected as error:
            self.close()
            raise RedisUnavailable(f"an answer that cannot be one: {error}") from error

    async def _connect(self) -> Wire:
        async with asyncio.timeout(self._connect_seconds):
            wire = await self._open()
            try:
                await self._greet(wire)
                if self._watched:
                    await self._watch(wire, *self._watched)
            except BaseException:
                wire.close()
                raise
        return wire

    async def _greet(self, wire: Wire) -> None:
        """Log in, identify the server, and select the database. Raises RedisTopologyUnsupported."""
        to = self._described
        if to.password:
            login: Command = ("AUTH", to.username, to.password) if to.username else ("AUTH", to.password)
            self._check(await wire.ask([login], self._connect_seconds))
        (info,) = await wire.ask([("INFO", "server")], self._connect_seconds)
        self._check([info] if _is_passing(info) else [])
        self.server = read_server(info)
        if self.server.mode in ("cluster", "sentinel"):
            message = (
                f"at the address of Redis is a {self.server.mode.capitalize()}, which is not served yet; name a "
                "server that stands alone"
            )
            _tell_once(message)
            raise RedisTopologyUnsupported(message)
        if to.db:
            self._check(await wire.ask([("SELECT", to.db)], self._connect_seconds))

    async def _watch(self, wire: Wire, prefixes: Sequence[str], watcher: Watcher) -> None:
        named = (word for prefix in prefixes for word in ("PREFIX", prefix))
        tracking: Command = ("CLIENT", "TRACKING", "ON", "BCAST", *named)
        replies = await wire.ask([("HELLO", 3), tracking], self._connect_seconds)
        refusals = [reply for reply in replies if isinstance(reply, hiredis.ReplyError)]
        if not refusals:
            wire.watcher = watcher
            watcher.begin()
        elif not any(map(_is_passing, refusals)):
            logger.warning(
                "Redis does not tell of changes, so people are read again by the clock: %s",
                self._said(refusals[0]),
            )
        else:
            self._check(refusals)

    async def _open(self) -> Wire:
        loop, to = asyncio.get_running_loop(), self._described
        if isinstance(to, UnixDomainSocketConnection):
            return (await loop.create_unix_connection(Wire, to.path))[1]
        tls = to.ssl_context.get() if isinstance(to, SSLConnection) else None
        host, port = getattr(to, "host"), getattr(to, "port")  # noqa: B009 - of a subclass that is not named twice
        return (await loop.create_connection(Wire, host, port, ssl=tls))[1]

    def _check(self, replies: Sequence[Reply]) -> None:
        """Raise RedisUnavailable for the first refusal, but not from it, since it may repeat a password."""
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise RedisUnavailable(self._said(reply))

    def _said(self, error: BaseException) -> str:
        """Shorten what Redis says, without what it repeats of a command, which may be a password."""
        text = without_arguments(str(error))[:MAX_SAID_CHARACTERS]
        if self._described.password:
            text = text.replace(self._described.password, "***")
        return f"{type(error).__name__}: {text}"


def _is_passing(reply: Reply) -> bool:
    return isinstance(reply, hiredis.ReplyError) and str(reply).startswith(PASSING)


def check_topology(url: str, seconds: float) -> None:
    """Raise RedisTopologyUnsupported if a Cluster node or a Sentinel answers; a server that is away may come later.

    This is for programs that start: it runs an event loop of its own.
    """
    asyncio.run(_check_topology(url, seconds))


async def _check_topology(url: str, seconds: float) -> None:
    connection = Connection(url, connect_seconds=seconds, read_seconds=seconds)
    try:
        await connection.ask_one(("PING",), nothing)
    except RedisTopologyUnsupported:
        raise
    except RedisUnavailable as error:
        logger.warning("Redis is not there yet: %s", error)
    finally:
        connection.close()


def read_server(info: Reply) -> Server:
    """Read INFO's reply; a server or proxy that gives none remains unknown."""
    if type(info) is not bytes:
        return Server("", "")
    lines = info.decode("utf-8", "replace").splitlines()
    said = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Server(said.get("run_id", "")[:64], said.get("redis_mode", "")[:64])


@lru_cache(16)
def _tell_once(message: str) -> None:
    """Log a message once, since all connections of a process meet the same server."""
    logger.error("Redis is not used: %s", message)
