"""Requests that are here before the answer to the one before them let all others go first."""

from __future__ import annotations

import pytest

from service.edge.http.pipelining import PIPELINED_AT_ONCE, Turns
from tests.support.connected import Connected, request

N_CLIENTS = PIPELINED_AT_ONCE + 3


class Waiting:
    """Notes when its turn begins."""

    def __init__(self, begun: list[Waiting]) -> None:
        self.waits_for_turn = True
        self._begun = begun

    def begin_turn(self) -> None:
        self._begun.append(self)


def test_turns_are_given_in_order_and_not_to_who_has_gone() -> None:
    begun: list[Waiting] = []
    turns, (one, two, three, gone, four) = Turns(2), [Waiting(begun) for _ in range(5)]
    assert [turns.take(each) for each in (one, two, three, gone, four)] == [True, True, False, False, False]
    gone.waits_for_turn = False
    turns.give_back()
    assert begun == [three]
    assert not turns.take(two)
    turns.give_back()
    turns.give_back()
    assert begun == [three, four, two]


def test_who_comes_late_does_not_go_before_those_who_wait() -> None:
    begun: list[Waiting] = []
    turns, (one, two, three) = Turns(1), [Waiting(begun) for _ in range(3)]
    for each in (one, two, three):
        turns.take(each)
    turns.give_back()
    assert begun == [two]
    assert not turns.take(one)


async def n_begun(server: Connected) -> int:
    """Requests that were begun so far."""
    await server.settled()
    return len(server.ways)


@pytest.mark.parametrize("headers", [(), ("x-long: " + "a" * 3000,)])
async def test_few_pipelined_requests_are_at_work_at_once_and_all_are_answered(
    headers: tuple[str, ...],
) -> None:
    server = Connected(n_permits=100)
    clients = [server.another() for _ in range(N_CLIENTS)]
    for _, protocol in clients:
        protocol.data_received(request(1, *headers) + request(2, *headers) + request(3, *headers))
    assert await n_begun(server) == N_CLIENTS  # the first of each was behind none
    server.may_answer.set()
    server.may_answer.clear()
    await server.settled()
    assert await n_begun(server) == N_CLIENTS + PIPELINED_AT_ONCE
    wire, plain = server.another()
    plain.data_received(request(9))
    assert await n_begun(server) == N_CLIENTS + PIPELINED_AT_ONCE + 1
    server.may_answer.set()
    for _ in range(3 * N_CLIENTS):
        await server.settled()
    assert [wire.sent.count(b"200 OK") for wire, _ in clients] == [3] * N_CLIENTS
    assert wire.sent.count(b"200 OK") == 1
    for _, protocol in [*clients, (wire, plain)]:
        protocol.connection_lost(None)


async def test_turn_of_a_client_that_goes_is_the_next_ones() -> None:
    server = Connected(n_permits=100)
    clients = [server.another() for _ in range(N_CLIENTS)]
    for _, protocol in clients:
        protocol.data_received(request(1) + request(2))
    await server.settled()
    server.may_answer.set()
    server.may_answer.clear()
    n_before = await n_begun(server)
    assert n_before == N_CLIENTS + PIPELINED_AT_ONCE
    for _, protocol in clients[:PIPELINED_AT_ONCE]:
        protocol.connection_lost(None)
    assert await n_begun(server) == n_before + PIPELINED_AT_ONCE
    server.may_answer.set()
    for _ in range(3 * N_CLIENTS):
        await server.settled()
    assert [wire.sent.count(b"200 OK") for wire, _ in clients[PIPELINED_AT_ONCE:]] == [2] * (
        N_CLIENTS - PIPELINED_AT_ONCE
    )


async def test_half_a_request_keeps_no_turn() -> None:
    server = Connected(n_permits=100)
    server.may_answer.set()
    halves = [server.another() for _ in range(N_CLIENTS)]
    for _, protocol in halves:
        protocol.data_received(request(1) + request(2)[:30])
    for _ in range(N_CLIENTS):
        await server.settled()
    wire, protocol = server.another()
    protocol.data_received(request(1) + request(2))
    for _ in range(N_CLIENTS):
        await server.settled()
    assert wire.sent.count(b"200 OK") == 2
    for _, half in halves:
        half.data_received(request(2)[30:])
    for _ in range(N_CLIENTS):
        await server.settled()
    assert [wire.sent.count(b"200 OK") for wire, _ in halves] == [2] * N_CLIENTS


async def test_who_does_not_read_or_is_to_be_closed_keeps_no_turn() -> None:
    server = Connected(n_permits=100)
    server.may_answer.set()
    last = b"GET /cold HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    closing = [server.another()[1] for _ in range(PIPELINED_AT_ONCE)]
    for protocol in closing:
        protocol.data_received(request(1) + last + b"x")  # stays open a little, to be told why
    server.may_answer.clear()
    unread = [server.another()[1] for _ in range(PIPELINED_AT_ONCE)]
    for protocol in unread:
        protocol.data_received(request(1) + request(2, "x-long: " + "a" * 3000) + request(3))
    for _ in range(N_CLIENTS):
        await server.settled()
    server.may_answer.set()
    server.may_answer.clear()
    await server.settled()
    for protocol in unread:  # each has a turn, and will not take its answer
        protocol.pause_writing()
    wire, protocol = server.another()
    protocol.data_received(request(1) + request(2))
    server.may_answer.set()
    for _ in range(N_CLIENTS):
        await server.settled()
    assert wire.sent.count(b"200 OK") == 2
    for protocol in (*closing, *unread):
        protocol.connection_lost(None)
    await server.settled()
