"""What a connection does with bodies, answers and clients that are slow or gone, and in which order."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref

import pytest

from service.edge.http.bounds import LINGER_SECONDS, MAX_HELD_BACK_BYTES
from tests.support.connected import CHUNKED_HEAD, Connected, bounded, request


async def test_connection_that_stays_silent_is_closed_after_its_idle_life() -> None:
    async with bounded(idle_seconds=75) as client:
        await client.pass_time(75)
        assert not client.wire.is_closing()
        await client.pass_time(1)
        assert client.wire.writes == [None]


@pytest.mark.parametrize("headers", [(), ("x-long: " + "a" * 3000,)])
async def test_idle_life_begins_anew_with_each_answer(headers: tuple[str, ...]) -> None:
    async with bounded(idle_seconds=75) as client:
        for number in range(3):
            await client.pass_time(70)
            await client.receive(request(number, *headers))
        assert client.ways == ["asgi" if headers else "whole"] * 3
        await client.pass_time(70)
        assert not client.wire.is_closing()
        await client.pass_time(6)
        assert client.wire.is_closing()


async def test_connection_is_not_closed_while_an_answer_is_made() -> None:
    async with bounded(answers=False) as client:
        await client.receive(request(1))
        await client.pass_time(500)
        client.may_answer.set()
        await client.settled()
        assert client.replies == [b'{"number":1}']


@pytest.mark.parametrize(
    "endless",
    [
        b"1\r\na\r\n0\r\nx-trailer: " + b"a" * 60_000,
        b"0\r\nx: y\r\n" + b"a: b\r\n" * 10_000,
        b"5;" + b"a" * 60_000,
    ],
)
async def test_trailers_and_extensions_of_chunks_are_bounded(endless: bytes) -> None:
    async with bounded() as client:
        await client.receive(CHUNKED_HEAD)
        for at in range(0, len(endless), 5000):
            await client.receive(endless[at : at + 5000])
        assert client.problem()["status"] == 431
        assert (
            client.metrics.registry.get_sample_value(
                "stillroom_requests_total", {"route": "hot", "tier": "none", "status": "499"}
            )
            == 1
        )


async def test_trailers_are_no_headers_of_the_request() -> None:
    async with bounded() as client:
        body = b'd\r\n{"number": 7}\r\n0\r\nx-request-id: of-a-trailer\r\n\r\n'
        await client.receive(CHUNKED_HEAD + body)
        assert client.replies == [b'{"number":7}']
        assert b"of-a-trailer" not in client.wire.sent


async def test_chunked_body_may_hold_empty_lines() -> None:
    async with bounded(answers=True) as client:
        body = b'4\r\n\r\n\r\n\r\nd\r\n{"number": 7}\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n'
        for pieces in (
            [CHUNKED_HEAD + body + request(8)],
            [bytes([byte]) for byte in CHUNKED_HEAD + body + request(8)],
        ):
            await client.receive(*pieces)
        assert client.replies == [b'{"number":7}', b'{"number":8}'] * 2


async def test_requests_of_both_ways_are_answered_in_order() -> None:
    async with bounded(answers=False) as client:
        slow = request(2, "x-long: " + "a" * 3000)
        await client.receive(request(1) + slow + request(3) + b"GET /cold HTTP/1.1\r\n\r\n" + slow)
        client.may_answer.set()
        await client.settled()
        await client.settled()
        assert client.replies == [
            b'{"number":1}',
            b'{"number":2}',
            b'{"number":3}',
            b'"cold"',
            b'{"number":2}',
        ]


async def test_requests_ahead_are_not_parsed_and_their_bytes_are_bounded() -> None:
    async with bounded(answers=False) as client:
        await client.receive(request(1))
        await client.receive(b"GET /cold HTTP/1.1\r\n\r\n" * (MAX_HELD_BACK_BYTES // 20))
        assert client.wire.is_paused
        assert len(client.protocol.pipeline) == 0
        client.may_answer.set()
        for _ in range(400):
            await client.settled()
        assert client.replies.count(b'"cold"') == MAX_HELD_BACK_BYTES // 20
        assert not client.wire.is_paused


async def test_client_that_does_not_read_gets_no_further_answer_until_it_does() -> None:
    async with bounded() as client:
        client.protocol.pause_writing()
        await client.receive(request(1), request(2))
        assert client.wire.writes == []
        client.protocol.resume_writing()
        await client.settled()
        assert client.replies == [b'{"number":1}', b'{"number":2}']


@pytest.mark.parametrize("headers", [(), ("x-long: " + "a" * 3000,)])
async def test_client_that_does_not_read_in_time_is_dropped_and_did_not_get_the_answer(
    headers: tuple[str, ...],
) -> None:
    async with bounded(answers=False, unread_seconds=10) as client:
        await client.receive(request(1, *headers))
        client.protocol.pause_writing()
        client.wire.n_unread = 100_000
        client.may_answer.set()
        await client.settled()
        await client.pass_time(9)
        assert not client.wire.is_closing()
        await client.pass_time(2)
        assert client.wire.is_aborted
        client.protocol.connection_lost(None)
        await client.settled()
        assert client.settled_as == [False]


async def test_answer_that_a_slow_client_takes_after_all_was_delivered() -> None:
    async with bounded(answers=False) as client:
        await client.receive(request(1))
        client.protocol.pause_writing()
        client.may_answer.set()
        await client.settled()
        assert client.settled_as == []
        client.protocol.resume_writing()
        await client.settled()
        assert client.settled_as == [True]


@pytest.mark.parametrize("headers", [(), ("x-long: " + "a" * 3000,)])
async def test_client_that_said_all_gets_its_answer_and_then_the_end(headers: tuple[str, ...]) -> None:
    async with bounded(answers=False) as client:
        await client.receive(request(1, *headers) + request(2, *headers))
        assert client.protocol.eof_received() is True
        client.may_answer.set()
        await client.settled()
        assert client.replies == [b'{"number":1}', b'{"number":2}']
        assert client.wire.is_closing()
        assert client.settled_as == [True, True]


@pytest.mark.parametrize("sent", [b"", b"POST /hot HT", request(1, "expect: x")[:-1]])
async def test_client_that_ends_within_a_request_is_gone(sent: bytes) -> None:
    async with bounded() as client:
        await client.receive(sent)
        assert not client.protocol.eof_received()  # the transport closes then


async def test_client_that_ends_within_the_second_request_gets_the_first_answer() -> None:
    async with bounded(answers=False) as client:
        await client.receive(request(1) + request(2)[:-1])
        assert client.protocol.eof_received()
        client.may_answer.set()
        await client.settled()
        assert client.statuses == [200]
        assert client.wire.is_closing()


@pytest.mark.parametrize("headers", [(), ("x-long: " + "a" * 3000,)])
async def test_client_that_is_gone_did_not_get_the_answer(headers: tuple[str, ...]) -> None:
    async with bounded(answers=False) as client:
        await client.receive(request(1, *headers))
        client.wire.close()
        client.protocol.connection_lost(None)
        client.may_answer.set()
        await client.settled()
        assert client.settled_as == [False]
        asked = {"route": "hot", "tier": "none", "status": "499"}
        assert client.metrics.registry.get_sample_value("stillroom_requests_total", asked) == 1


@pytest.mark.parametrize("headers", [("connection: close",), ("connection: close", "expect: x")])
async def test_answer_on_a_connection_that_is_then_closed_was_delivered(headers: tuple[str, ...]) -> None:
    async with bounded() as client:
        await client.receive(request(1, *headers))
        assert client.wire.is_closing()
        assert client.settled_as == [True]


async def test_refused_body_is_not_read_on_for_ever() -> None:
    async with bounded(rest_seconds=5) as client:
        head = b"PUT /hot HTTP/1.1\r\ncontent-length: 1000000\r\n\r\n"
        await client.receive(head)
        assert client.statuses == [405]
        for _ in range(6):
            await client.receive(b"a" * 100)
            await client.pass_time(1)
        assert client.wire.is_closing()


async def test_rest_of_a_body_has_its_time_from_the_answer_on() -> None:
    async with bounded(rest_seconds=5, head_seconds=10) as client:
        await client.receive(b"PUT /hot HTTP/1.1\r\n")
        await client.pass_time(7)
        await client.receive(b"content-length: 10\r\n\r\n")
        assert client.statuses == [405]
        await client.pass_time(4)
        await client.receive(b"0123456789" + request(2))
        assert client.statuses == [405, 200]


async def test_body_may_come_in_chunks_of_a_byte() -> None:
    client = Connected(max_body_bytes=50_000)
    client.may_answer.set()
    body = b" " * 20_000 + b'{"number": 7}'
    await client.receive(CHUNKED_HEAD + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")
    assert client.replies == [b'{"number":7}']


async def test_request_behind_a_body_that_was_refused_is_answered() -> None:
    async with bounded() as client:
        await client.receive(b"PUT /hot HTTP/1.1\r\ncontent-length: 10\r\n\r\n")
        await client.receive(b"01234")
        await client.receive(b"56789" + request(2))
        assert client.statuses == [405, 200]


async def test_request_that_has_arrived_is_answered_though_a_newcomer_needs_room_before_it_is_read() -> None:
    async with bounded(max_connections=2, idle_seconds=75) as client:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            for end in (ours, theirs):
                end.setblocking(False)
            await loop.connect_accepted_socket(client.new_protocol, ours)
            await client.pass_time(1)
            await client.receive(request(1))  # so the other one is the longest idle
            theirs.send(request(2))
            client.another("192.0.2.2")
            assert client.ended == ["made_room"]
            async with asyncio.timeout(10):
                assert (await loop.sock_recv(theirs, 10_000)).endswith(b'{"number":2}')
            theirs.send(request(3))
            client.moment += 76
            client.connections.tick()
            async with asyncio.timeout(10):
                assert (await loop.sock_recv(theirs, 10_000)).endswith(b'{"number":3}')


async def test_connection_beyond_the_bound_is_told_so_and_ended_gently() -> None:
    async with bounded(answers=False, max_connections=1, max_connections_per_address=1) as client:
        await client.receive(request(1))
        for address, status in (("192.0.2.1", 429), ("192.0.2.2", 503)):
            wire, protocol = client.another(address)
            assert b" %d " % status in wire.sent
            assert b"application/problem+json" in wire.sent
            assert wire.has_ended
            protocol.data_received(request(2))
            assert client.ways == ["whole"]
            await client.pass_time(LINGER_SECONDS + 1)
            assert wire.is_aborted
            protocol.connection_lost(None)


async def test_server_that_ends_closes_after_the_answer_that_is_due() -> None:
    for headers in ((), ("expect: x",)):
        async with bounded(answers=False) as client:
            await client.receive(request(1, *headers))
            client.protocol.shutdown()
            assert client.wire.writes == []
            client.may_answer.set()
            await client.settled()
            assert client.replies == [b'{"number":1}']
            assert b"\r\nconnection: close\r\n" in client.wire.sent
            assert client.wire.is_closing()
            assert client.settled_as == [True]


async def test_head_is_asked_for_wherever_there_is_get() -> None:
    async with bounded() as client:
        await client.receive(b"HEAD /cold HTTP/1.1\r\n\r\n" + request(1))
        assert client.statuses == [200, 200]
        head, _, rest = client.wire.sent.partition(b"\r\n\r\n")
        assert b"content-length: 6" in head
        assert rest.startswith(b"HTTP/1.1 200 OK")


async def test_clients_together_leave_no_more_unread_than_the_bound() -> None:
    async with bounded(answers=False, max_unread_bytes=1000) as client:
        others = [client.another() for _ in range(2)]
        for wire, protocol in others:
            wire.n_unread = 600
            protocol.pause_writing()
        assert [wire.is_aborted for wire, _ in others] == [True, False]
        others[0][1].connection_lost(None)
        others[1][1].resume_writing()
        client.wire.n_unread = 600
        client.protocol.pause_writing()
        assert not others[1][0].is_closing()
        assert not client.wire.is_closing()


async def test_body_that_breaks_after_it_was_answered_gets_no_second_answer() -> None:
    async with bounded() as client:
        await client.receive(CHUNKED_HEAD.replace(b"POST", b"PUT") + b"5\r\nabcde\r\n")
        await client.receive(b"no number\r\n")
        assert client.statuses == [405]
        assert client.wire.has_ended


async def test_client_that_still_sends_can_read_why_its_body_was_refused() -> None:
    """To close the socket with bytes unread would reset it, and what was written might be lost."""
    async with bounded() as client:
        await client.receive(
            b"POST /hot HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
        )
        assert client.statuses == [413]
        assert client.wire.has_ended
        assert not client.wire.is_closing()
        await client.receive(b"a" * 1000)
        assert client.protocol.n_bytes_waiting == 0
        assert not client.protocol.eof_received()


@pytest.mark.parametrize(
    "sent",
    [
        request(1),
        request(1) + request(2),
        request(1, "x-long: " + "a" * 3000),
        request(1, "x-long: " + "a" * 3000) + request(2),
        request(1)[:30],
        request(1)[:-1],
        request(1) + b"\x00 garbage\r\n\r\n",
        b"GET /cold HTTP/1.1\r\n\r\n" * 3,
        b"GET /cold HTTP/1.1\r\nconnection: close\r\n\r\nx",
        b"GET /nowhere HTTP/1.1\r\n\r\n",
    ],
)
@pytest.mark.parametrize("answers", [True, False])
async def test_lost_connection_leaves_no_garbage(sent: bytes, *, answers: bool) -> None:
    async with bounded(answers=answers) as server:
        gc.collect()
        gc.disable()
        try:
            wire, protocol = server.another()
            protocol.data_received(sent)
            await server.settled()
            protocol.connection_lost(None)
            server.may_answer.set()
            await server.settled()
            lost = weakref.ref(protocol)
            del wire, protocol
            await server.settled()
            assert lost() is None
        finally:
            gc.enable()
