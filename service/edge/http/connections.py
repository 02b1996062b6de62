"""The connections of a process: which are admitted, which are closed to make room, and which have timed out."""

from __future__ import annotations

import asyncio
import fcntl
import ipaddress
import termios
from collections import defaultdict
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Protocol

from service.contract.errors import AddressBusy, ConnectionsExhausted, ServiceError
from service.edge.http.bounds import MAX_LINGERING, Bounds
from service.edge.http.pipelining import Turns

TICK_SECONDS = 0.5
"""How often one clock visits all connections; every timeout is exact to this. Setting and cancelling a timer for each
request would cost 1 µs.
"""

SLICE = 256
"""How many connections are looked at before requests get their turn: this takes 0.1 ms."""

MAX_LISTED = 65_536
"""How many connections a tick may search for one to close: 4,096 take 0.5 ms."""

SLOW_SECONDS = 2.0
"""After this time a client that is still sending its request is closed before idle ones."""

_AT_WORK = 3
"""The rank of a connection whose request is at work: it is never closed to make room."""

EVERYBODY = ""
"""Stands for all addresses together."""


class Connection(Protocol):
    """The interface of a connection. address: see `address_of`. since: `Connections.now` when its stage began."""

    address: str
    since: float

    @property
    def is_idle(self) -> bool:
        """Whether every request has been answered and every answer read."""

    @property
    def is_unfinished(self) -> bool:
        """Whether a request has begun to arrive, is incomplete, and has no answer yet."""

    @property
    def has_unread_request(self) -> bool:
        """Whether something has arrived that the event loop has not read yet."""

    @property
    def n_unread_bytes(self) -> int:
        """The number of bytes of answers that wait for the client to read them."""

    def look(self, now: float) -> None:
        """Close or refuse the connection if it has timed out."""

    def end(self, reason: str) -> None:
        """Close the connection now. reason: the label under which it is counted."""


class Connections:
    """on_change: gets the number of open connections. on_end: gets the reason when one is ended or refused.

    now: seconds on a coarse clock; it stands still while nothing is open.
    """

    def __init__(
        self,
        bounds: Bounds,
        *,
        on_change: Callable[[int], object] = lambda n_open: None,
        on_end: Callable[[str], object] = lambda reason: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.bounds = bounds
        self.turns = Turns()
        self.on_end = on_end
        self.now = clock()
        self._on_change = on_change
        self._clock = clock
        self._open: dict[Connection, None] = {}
        self._of_address: defaultdict[str, dict[Connection, None]] = defaultdict(dict)
        self._lingering: dict[Connection, None] = {}
        self._unread: dict[Connection, None] = {}
        """Connections whose client does not read, the longest first."""
        self._able: dict[str, list[tuple[float, Connection]]] = {}
        """Candidates to close by address; the last of each list goes first."""
        self._n_listed = 0
        self._ticking: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: Connection) -> ServiceError | None:
        """Admit a new connection; if there is no room and none can be made, return the error that refuses it."""
        if self._ticking is None:
            self.now = self._clock()
            self._wind()
        bounds, of_address = self.bounds, self._of_address.get(connection.address, {})
        if len(of_address) >= bounds.max_connections_per_address and not self._make_room(
            connection.address, of_address
        ):
            return AddressBusy(
                f"{len(of_address):,} connections are open from your address, which is the limit, and none of them "
                "waits for you; use those that are open, or close some"
            )
        if len(self._open) >= bounds.max_connections and not self._make_room(EVERYBODY, self._open):
            return ConnectionsExhausted(
                f"{len(self._open):,} connections are open, which is the limit, and all of them are at work; try "
                "again in a second"
            )
        self._open[connection] = None
        self._of_address[connection.address][connection] = None
        self._on_change(len(self._open))
        return None

    def leave(self, connection: Connection) -> None:
        """Forget a connection that is closed or about to be."""
        self._lingering.pop(connection, None)
        self._unread.pop(connection, None)
        if connection not in self._open:
            return
        del self._open[connection]
        of_address = self._of_address[connection.address]
        del of_address[connection]
        if not of_address:
            del self._of_address[connection.address]
            self._able.pop(connection.address, None)
        self._on_change(len(self._open))

    def may_linger(self, connection: Connection) -> bool:
        """Whether a refused connection may linger; if so, it is looked at until it leaves."""
        if len(self._lingering) >= MAX_LINGERING:
            return False
        self._lingering[connection] = None
        return True

    def stopped_reading(self, connection: Connection) -> None:
        """Note a client that leaves answers unread. While all together leave too much, the slowest are dropped."""
        self._unread[connection] = None
        n_bytes = sum(each.n_unread_bytes for each in self._unread)
        for slowest in list(self._unread):
            if n_bytes <= self.bounds.max_unread_bytes:
                break
            n_bytes -= slowest.n_unread_bytes
            slowest.end("unread_bytes")

    def reads_again(self, connection: Connection) -> None:
        """Note that the client has read everything."""
        self._unread.pop(connection, None)

    def tick(self) -> None:
        """Advance the clock and look at every connection, in slices."""
        self.now = self._clock()
        self._able.clear()
        self._n_listed = 0
        self._ticking = None
        if self._open or self._lingering:
            self._wind()
        self._look_at([*self._open, *(each for each in self._lingering if each not in self._open)])

    def _wind(self) -> None:
        self._ticking = asyncio.get_running_loop().call_later(TICK_SECONDS, self.tick)

    def _look_at(self, connections: list[Connection], start: int = 0) -> None:
        for connection in connections[start : start + SLICE]:
            connection.look(self.now)
        if start + SLICE < len(connections):
            asyncio.get_running_loop().call_soon(self._look_at, connections, start + SLICE)

    def _make_room(self, address: str, among: Iterable[Connection]) -> bool:
        """Close the connection that can best be spared; return False if all of them are at work.

        Slow senders of a request go first, then the longest idle, then connections whose request is just arriving: a
        request that is sent at full speed is here before as many others have come.
        """
        least = self._least(address)
        if least is None and self._n_listed < MAX_LISTED:
            ranked = [(self._rank(each), each.since, each) for each in among]
            self._n_listed += len(ranked)
            able = [each for each in ranked if each[0] < _AT_WORK]
            self._able[address] = [each[1:] for each in sorted(able, key=lambda one: one[:2])[::-1]]
            least = self._least(address)
        if least is None:
            return False
        self.leave(least)
        least.end("made_room")
        return True

    def _least(self, address: str) -> Connection | None:
        """Return the next candidate whose stage has not changed since it was listed, nor is about to.

        While the loop admits a crowd, an idle client's next request may lie in the socket: closing it loses that.
        """
        listed = self._able.get(address, [])
        while listed:
            since, connection = listed.pop()
            is_as_listed = connection in self._open and connection.since == since
            is_about_to_ask = connection.is_idle and connection.has_unread_request
            if is_as_listed and not is_about_to_ask and self._rank(connection) < _AT_WORK:
                return connection
        return None

    def _rank(self, connection: Connection) -> int:
        if connection.is_idle:
            return 1 if connection.since < self.now else 2  # one that has just come may be about to ask
        if connection.is_unfinished:
            return 0 if self.now - connection.since > SLOW_SECONDS else 2
        return _AT_WORK


def has_unread(transport: asyncio.BaseTransport) -> bool:
    """Whether bytes have arrived that nobody has read yet; False if the system does not tell."""
    try:
        n_bytes = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.FIONREAD, bytes(4))
    except (OSError, AttributeError, ValueError):
        return False
    return n_bytes != bytes(4)


def address_of(transport: asyncio.BaseTransport) -> str:
    """Return what a connection is counted under: an IPv4 address, or the /64 that a customer has at least with IPv6.
    Sockets of the file system have no address and count as one.
    """
    peer = transport.get_extra_info("peername")
    if not isinstance(peer, tuple) or ":" not in peer[0]:
        return str(peer[0]) if isinstance(peer, tuple) else "local"
    address = ipaddress.IPv6Address(peer[0].partition("%")[0])
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return address.packed[:8].hex()
