"""Who is let in, who makes room, who has taken too long; on a clock that the test moves."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from service.contract.errors import AddressBusy, ConnectionsExhausted
from service.edge.http.bounds import MAX_LINGERING, Bounds
from service.edge.http.connections import (
    MAX_LISTED,
    SLICE,
    SLOW_SECONDS,
    Connections,
    address_of,
    has_unread,
)
from tests.support.wire import Wire


class Peer:
    """One end of a connection: idle and reading as the test says. ended: why it was ended."""

    def __init__(self, connections: Connections, address: str = "192.0.2.1", *, is_idle: bool = True) -> None:
        self.address = address
        self.is_idle = is_idle
        self.is_unfinished = self.has_unread_request = False
        self.n_unread_bytes = 0
        self.since = connections.now
        self.ended: str | None = None
        self.n_looks = 0

    def look(self, now: float) -> None:
        self.n_looks += 1

    def end(self, reason: str) -> None:
        self.ended = reason


class Registry(Connections):
    """With a clock of its own."""

    def __init__(self, **bounds: Any) -> None:
        self.moment = 100.0
        super().__init__(Bounds(**bounds), clock=lambda: self.moment)

    def admitted(self, address: str = "192.0.2.1", *, is_idle: bool = True) -> Peer:
        peer = Peer(self, address, is_idle=is_idle)
        assert self.admit(peer) is None
        return peer

    def pass_time(self, seconds: float) -> None:
        self.moment += seconds
        self.tick()


async def test_longest_idle_connection_makes_room() -> None:
    registry = Registry(max_connections=3, max_connections_per_address=3)
    peers = []
    for _ in range(3):
        peers.append(registry.admitted())
        registry.pass_time(1)
    peers[0].is_idle = False
    registry.admitted()
    assert [peer.ended for peer in peers] == [None, "made_room", None]
    assert len(registry) == 3


async def test_longest_idle_connection_of_any_address_makes_room_for_another_address() -> None:
    registry = Registry(max_connections=2, max_connections_per_address=2)
    peers = [registry.admitted("192.0.2.2")]
    registry.pass_time(1)
    peers.append(registry.admitted("192.0.2.3"))
    registry.admitted("192.0.2.9")
    assert [peer.ended for peer in peers] == ["made_room", None]


async def test_of_connections_idle_for_as_long_the_first_makes_room() -> None:
    registry = Registry(max_connections=2, max_connections_per_address=2)
    first, second = registry.admitted(), registry.admitted()
    registry.admitted()
    assert (first.ended, second.ended) == ("made_room", None)


async def test_one_that_was_asked_since_they_were_listed_is_not_the_longest_idle() -> None:
    registry = Registry(max_connections=3, max_connections_per_address=3)
    peers = []
    for _ in range(3):
        peers.append(registry.admitted())
        registry.pass_time(1)
    registry.admitted(is_idle=False)  # lists who is idle, and ends the first
    peers[1].since = registry.now
    registry.admitted(is_idle=False)
    assert [peer.ended for peer in peers] == ["made_room", None, "made_room"]


async def test_one_whose_next_request_has_arrived_makes_no_room() -> None:
    registry = Registry(max_connections=2, max_connections_per_address=2)
    asking, idle = registry.admitted(), registry.admitted()
    asking.has_unread_request = True
    registry.pass_time(1)
    registry.admitted()
    assert (asking.ended, idle.ended) == (None, "made_room")


async def test_new_connection_is_refused_where_the_requests_of_all_have_arrived() -> None:
    registry = Registry(max_connections=2, max_connections_per_address=2)
    for _ in range(2):
        registry.admitted().has_unread_request = True
    assert isinstance(registry.admit(Peer(registry)), AddressBusy)


async def test_who_sends_slowly_makes_room_whatever_has_arrived() -> None:
    registry = Registry(max_connections=1, max_connections_per_address=1)
    slow = registry.admitted(is_idle=False)
    slow.is_unfinished = slow.has_unread_request = True
    registry.pass_time(SLOW_SECONDS + 1)
    registry.admitted()
    assert slow.ended == "made_room"


async def test_what_has_arrived_and_nobody_has_read_is_seen() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        transport, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, ours)
        transport.pause_reading()
        assert not has_unread(transport)
        theirs.send(b"G")
        assert has_unread(transport)
        transport.abort()
        await asyncio.sleep(0)
        assert not has_unread(transport)


async def test_who_takes_long_goes_before_the_idle_and_who_has_just_begun_after_them() -> None:
    registry = Registry(max_connections=4, max_connections_per_address=4)
    idle = registry.admitted()
    registry.pass_time(1)
    slow, at_work = registry.admitted(is_idle=False), registry.admitted(is_idle=False)
    slow.is_unfinished = True
    registry.pass_time(SLOW_SECONDS + 1)
    begun = registry.admitted(is_idle=False)
    begun.is_unfinished = True
    ended = []
    for _ in range(3):
        registry.admitted(is_idle=False)
        ended.append([peer.ended for peer in (slow, idle, begun, at_work)].count("made_room"))
        if len(ended) == 1:
            assert (slow.ended, idle.ended) == ("made_room", None)
    assert ended == [1, 2, 3]
    assert at_work.ended is None


async def test_who_has_just_come_goes_after_who_began_before() -> None:
    registry = Registry(max_connections=3, max_connections_per_address=3)
    begun = registry.admitted(is_idle=False)
    begun.is_unfinished = True
    registry.pass_time(SLOW_SECONDS / 2)
    came, at_work = registry.admitted(), registry.admitted(is_idle=False)
    registry.admitted(is_idle=False)
    assert (begun.ended, came.ended, at_work.ended) == ("made_room", None, None)


async def test_of_many_who_have_just_begun_the_first_makes_room() -> None:
    registry = Registry(max_connections=4, max_connections_per_address=4)
    peers = [registry.admitted(is_idle=False) for _ in range(4)]
    for peer in peers:
        peer.is_unfinished = True
    for number in range(3):
        registry.admitted(is_idle=False)
        assert [peer.ended for peer in peers] == ["made_room"] * (number + 1) + [None] * (3 - number)


async def test_new_connection_is_refused_where_all_are_at_work() -> None:
    registry = Registry(max_connections=2, max_connections_per_address=2)
    peers = [registry.admitted(f"192.0.2.{number}", is_idle=False) for number in range(2)]
    refusal = registry.admit(Peer(registry, "192.0.2.9"))
    assert isinstance(refusal, ConnectionsExhausted)
    assert "2 connections are open" in str(refusal)
    assert [peer.ended for peer in peers] == [None, None]
    assert len(registry) == 2


async def test_one_address_does_not_take_the_place_of_others() -> None:
    registry = Registry(max_connections=10, max_connections_per_address=2)
    other = registry.admitted("192.0.2.2")
    registry.pass_time(1)
    for _ in range(2):
        registry.admitted(is_idle=False)
    assert isinstance(registry.admit(Peer(registry)), AddressBusy)
    assert other.ended is None
    assert len(registry) == 3


async def test_place_of_a_connection_that_ended_is_free() -> None:
    registry = Registry(max_connections=1, max_connections_per_address=1)
    peer = registry.admitted(is_idle=False)
    registry.leave(peer)
    registry.leave(peer)
    assert len(registry) == 0
    registry.admitted(is_idle=False)


async def test_a_flood_of_new_connections_is_refused_without_looking_through_all_for_each() -> None:
    registry = Registry(max_connections=100, max_connections_per_address=100)
    looked_at = 0

    class Busy(Peer):
        @property
        def is_idle(self) -> bool:
            nonlocal looked_at
            looked_at += 1
            return False

        @is_idle.setter
        def is_idle(self, value: bool) -> None: ...

    for _ in range(100):
        registry.admit(Busy(registry))
    for _ in range(1000):
        assert registry.admit(Peer(registry)) is not None
    assert MAX_LISTED <= looked_at < MAX_LISTED + 100


async def test_newest_make_room_for_each_other_when_nobody_else_is_left() -> None:
    registry = Registry(max_connections=3, max_connections_per_address=3)
    peers = [registry.admitted() for _ in range(20)]
    assert [peer.ended for peer in peers] == ["made_room"] * 17 + [None] * 3


async def test_connection_that_has_just_become_idle_makes_room() -> None:
    registry = Registry(max_connections=1, max_connections_per_address=1)
    peer = registry.admitted(is_idle=False)
    assert registry.admit(Peer(registry)) is not None
    peer.is_idle = True
    assert registry.admit(Peer(registry)) is None


async def test_every_connection_is_looked_at_each_tick_some_at_a_time() -> None:
    registry = Registry()
    peers = [registry.admitted() for _ in range(SLICE + 1)]
    registry.tick()
    assert sum(peer.n_looks for peer in peers) == SLICE
    await asyncio.sleep(0)
    assert [peer.n_looks for peer in peers] == [1] * (SLICE + 1)


async def test_slowest_is_dropped_while_clients_leave_too_much_unread() -> None:
    registry = Registry(max_unread_bytes=100)
    peers = [registry.admitted() for _ in range(3)]
    for peer in peers:
        peer.n_unread_bytes = 50
        registry.stopped_reading(peer)
    assert [peer.ended for peer in peers] == ["unread_bytes", None, None]


async def test_who_reads_again_is_no_longer_slow() -> None:
    registry = Registry(max_unread_bytes=100)
    first, second, third = (registry.admitted() for _ in range(3))
    for peer in (first, second):
        peer.n_unread_bytes = 50
        registry.stopped_reading(peer)
    registry.reads_again(first)
    third.n_unread_bytes = 50
    registry.stopped_reading(third)
    assert (first.ended, second.ended, third.ended) == (None, None, None)


async def test_few_may_linger_and_are_looked_at_until_they_leave() -> None:
    registry = Registry(max_connections=1, max_connections_per_address=1)
    peers = [Peer(registry) for _ in range(MAX_LINGERING + 1)]
    assert [registry.may_linger(peer) for peer in peers] == [True] * MAX_LINGERING + [False]
    registry.tick()
    assert peers[0].n_looks == 1
    registry.leave(peers[0])
    assert registry.may_linger(peers[-1])


async def test_number_of_open_connections_is_told() -> None:
    told: list[int] = []
    registry = Connections(Bounds(), on_change=told.append)
    peer = Peer(registry)
    registry.admit(peer)
    registry.leave(peer)
    assert told == [1, 0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"),
        ("fe80::1%eth0", "fe80::2%eth0"),
    ],
)
def test_addresses_of_one_customer_count_as_one(one: str, other: str) -> None:
    assert address_of(Wire(one)) == address_of(Wire(other))


@pytest.mark.parametrize(
    ("one", "other"), [("192.0.2.1", "192.0.2.2"), ("2001:db8:1:2::1", "2001:db8:1:3::1")]
)
def test_addresses_of_different_customers_count_apart(one: str, other: str) -> None:
    assert address_of(Wire(one)) != address_of(Wire(other))
