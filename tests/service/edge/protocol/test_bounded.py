"""What a connection does with heads, bodies and offers that are not as they should be, and in which order."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from service.edge.http.bounds import LINGER_SECONDS, MAX_HELD_BACK_BYTES, Bounds
from tests.support.connected import Connected, request

PROBLEM_CHUNK = b"POST /hot HTTP/1.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"


@asynccontextmanager
async def connected(*, answers: bool = True, **bounds: Any) -> AsyncIterator[Connected]:
    connection = Connected(Bounds(**bounds))
    if answers:
        connection.may_answer.set()
    try:
        yield connection
    finally:
        connection.may_answer.set()
        await connection.settled()
        connection.protocol.connection_lost(None)
        await connection.settled()
    assert connection.permits.n_taken == 0


ENDLESS_HEADS = {
    "headers": b"x-padding: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
    "one value": b"a" * 1000,
    "line breaks": b"\r\n" * 100,
}


@pytest.mark.parametrize("kind", ENDLESS_HEADS)
async def test_head_without_end_is_refused_at_the_bound_and_nothing_of_it_is_kept(kind: str) -> None:
    async with connected(max_head_bytes=4096, max_headers=10_000) as client:
        start = b"" if kind == "line breaks" else b"POST /hot HTTP/1.1\r\nx-first: "
        await client.receive(start + b"\r\n" if kind == "headers" else start)
        n_sent = 0
        while not client.wire.writes:
            await client.receive(ENDLESS_HEADS[kind])
            n_sent += len(ENDLESS_HEADS[kind])
        assert 3500 < n_sent < 4096 + 1000
        problem = client.problem()
        assert problem["status"] == 431
        assert "4,096 bytes" in problem["detail"]
        await client.receive(*[ENDLESS_HEADS[kind]] * 10)
        assert client.statuses == [431]
        assert client.protocol.n_bytes_waiting == 0


async def test_head_without_end_in_one_piece_is_refused_too() -> None:
    async with connected() as client:
        await client.receive(b"POST /hot HTTP/1.1\r\nx: " + b"a" * 256_000)
        assert client.problem()["status"] == 431
        assert client.wire.has_ended


async def test_transfer_coding_that_is_not_understood_is_refused() -> None:
    async with connected() as client:
        await client.receive(PROBLEM_CHUNK.replace(b"chunked", b"gzip, chunked") + b"2\r\n{}\r\n0\r\n\r\n")
        assert client.problem()["status"] == 415
        assert client.wire.has_ended


async def test_who_waits_to_be_told_to_go_on_and_sends_garbage_is_not_told_to_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with connected() as client:
        head = PROBLEM_CHUNK.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n")
        await client.receive(head + b"no chunk\r\n")
        await client.settled()
        assert client.statuses == [400]
        assert client.wire.has_ended
    assert "Exception" not in caplog.text


async def test_head_of_just_the_bound_is_read() -> None:
    async with connected(max_head_bytes=4096) as client:
        body_at = request(1, "x-padding: ").index(b'{"number"')
        await client.receive(request(1, "x-padding: " + "a" * (4096 - body_at)))
        assert client.replies == [b'{"number":1}']
        await client.receive(request(2, "x-padding: " + "a" * (4097 - body_at)))
        assert client.statuses == [200, 431]


@pytest.mark.parametrize("n_pieces", [1, 2])
async def test_more_headers_than_are_read_are_refused(n_pieces: int) -> None:
    async with connected(max_headers=64) as client:
        for number, n_headers in ((1, 64), (2, 65)):
            raw = request(number, *[f"x-{number}: a" for number in range(n_headers - 3)])
            await client.receive(*[raw] if n_pieces == 1 else [raw[:30], raw[30:]])
        assert client.statuses == [200, 431]
        assert "64 headers" in client.problem()["detail"]


async def test_head_that_comes_too_slowly_is_refused_however_steadily_it_comes() -> None:
    async with connected(head_seconds=10) as client:
        for byte in b"POST /hot HT":
            await client.receive(bytes([byte]))
            await client.pass_time(1)
        assert client.problem()["status"] == 408
        assert client.ended == ["head-too-slow"]


async def test_connection_that_stays_silent_is_closed_after_its_idle_life() -> None:
    async with connected(idle_seconds=75) as client:
        await client.pass_time(75)
        assert not client.wire.is_closing()
        await client.pass_time(1)
        assert client.wire.writes == [None]


@pytest.mark.parametrize("headers", [(), ("x-long: " + "a" * 3000,)])
async def test_idle_life_begins_anew_with_each_answer(headers: tuple[str, ...]) -> None:
    async with connected(idle_seconds=75) as client:
        for number in range(3):
            await client.pass_time(70)
            await client.receive(request(number, *headers))
        assert client.ways == ["asgi" if headers else "whole"] * 3
        await client.pass_time(70)
        assert not client.wire.is_closing()
        await client.pass_time(6)
        assert client.wire.is_closing()


async def test_connection_is_not_closed_while_an_answer_is_made() -> None:
    async with connected(answers=False) as client:
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
    async with connected() as client:
        await client.receive(PROBLEM_CHUNK)
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
    async with connected() as client:
        body = b'd\r\n{"number": 7}\r\n0\r\nx-request-id: of-a-trailer\r\n\r\n'
        await client.receive(PROBLEM_CHUNK + body)
        assert client.replies == [b'{"number":7}']
        assert b"of-a-trailer" not in client.wire.sent


async def test_chunked_body_may_hold_empty_lines() -> None:
    async with connected(answers=True) as client:
        body = b'4\r\n\r\n\r\n\r\nd\r\n{"number": 7}\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n'
        for pieces in (
            [PROBLEM_CHUNK + body + request(8)],
            [bytes([byte]) for byte in PROBLEM_CHUNK + body + request(8)],
        ):
            await client.receive(*pieces)
        assert client.replies == [b'{"number":7}', b'{"number":8}'] * 2


UPGRADES = [
    ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAoAAA"),
    ("connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13"),
    ("connection: keep-alive, Upgrade", "upgrade: something/new"),
    ("connection: keep-alive", "connection: upgrade", "upgrade: a", "upgrade: b"),
]


@pytest.mark.parametrize("offer", UPGRADES)
async def test_offer_to_upgrade_is_ignored_and_the_request_served(offer: tuple[str, ...]) -> None:
    async with connected() as client:
        for number in (1, 2):
            raw = request(number, *offer)
            await client.receive(raw)
            await client.receive(*[bytes([byte]) for byte in raw])
        assert client.replies == [b'{"number":1}'] * 2 + [b'{"number":2}'] * 2
        assert b"upgrade" not in client.wire.sent.lower()


async def test_offer_to_upgrade_leaves_the_connection_to_be_closed_if_it_says_so() -> None:
    async with connected() as client:
        await client.receive(request(1, "connection: close, upgrade", "upgrade: h2c"))
        assert client.replies == [b'{"number":1}']
        assert client.wire.is_closing()


async def test_request_after_an_offer_to_upgrade_is_another_request() -> None:
    async with connected() as client:
        await client.receive(request(1, *UPGRADES[0]) + request(2))
        assert client.replies == [b'{"number":1}', b'{"number":2}']


async def test_tunnel_is_refused() -> None:
    async with connected() as client:
        await client.receive(b"CONNECT shop.example:443 HTTP/1.1\r\nhost: shop.example:443\r\n\r\n")
        assert client.problem()["status"] == 405


BROKEN = [
    b"GARBAGE\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"POST /hot HTTP/1.1\r\nbad name: x\r\n\r\n",
    b"POST /hot HTTP/1.1\ncontent-length: 2\n\n{}",
    b"POST /hot HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}",
    b"POST /hot HTTP/1.1\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}",
    b"POST /hot HTTP/1.1\r\ncontent-length: -1\r\n\r\n{}",
    b"POST http://a:b/ HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


@pytest.mark.parametrize("broken", BROKEN)
async def test_what_is_not_http_gets_a_problem_document_and_the_end(broken: bytes) -> None:
    async with connected() as client:
        await client.receive(broken)
        problem = client.problem()
        assert (problem["status"], problem["type"]) == (400, "urn:stillroom:problem:protocol-invalid")
        assert b"\r\nconnection: close\r\n" in client.wire.sent
        assert client.wire.has_ended


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("way", ["whole", "asgi"])
async def test_valid_request_is_answered_before_the_garbage_behind_it(way: str, broken: bytes) -> None:
    async with connected(answers=False) as client:
        await client.receive(request(1, *(["expect: x"] if way == "asgi" else [])) + broken)
        assert client.wire.writes == []
        client.may_answer.set()
        await client.settled()
        assert client.ways == [way]
        assert client.statuses == [200, 400]
        assert client.problem()["type"].endswith("protocol-invalid")


@pytest.mark.parametrize("separator", [b" ", b"\t", b" \t "])
async def test_white_space_after_a_length_is_no_part_of_it(separator: bytes) -> None:
    async with connected() as client:
        raw = request(1).replace(b"content-length: 13", b"content-length:" + separator + b"13" + separator)
        await client.receive(raw)
        await client.receive(raw[:40], raw[40:])
        assert client.replies == [b'{"number":1}'] * 2


async def test_requests_of_both_ways_are_answered_in_order() -> None:
    async with connected(answers=False) as client:
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
    async with connected(answers=False) as client:
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
    async with connected() as client:
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
    async with connected(answers=False, unread_seconds=10) as client:
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
    async with connected(answers=False) as client:
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
    async with connected(answers=False) as client:
        await client.receive(request(1, *headers) + request(2, *headers))
        assert client.protocol.eof_received() is True
        client.may_answer.set()
        await client.settled()
        assert client.replies == [b'{"number":1}', b'{"number":2}']
        assert client.wire.is_closing()
        assert client.settled_as == [True, True]


@pytest.mark.parametrize("sent", [b"", b"POST /hot HT", request(1, "expect: x")[:-1]])
async def test_client_that_ends_within_a_request_is_gone(sent: bytes) -> None:
    async with connected() as client:
        await client.receive(sent)
        assert not client.protocol.eof_received()  # the transport closes then


async def test_client_that_ends_within_the_second_request_gets_the_first_answer() -> None:
    async with connected(answers=False) as client:
        await client.receive(request(1) + request(2)[:-1])
        assert client.protocol.eof_received()
        client.may_answer.set()
        await client.settled()
        assert client.statuses == [200]
        assert client.wire.is_closing()


@pytest.mark.parametrize("headers", [(), ("x-long: " + "a" * 3000,)])
async def test_client_that_is_gone_did_not_get_the_answer(headers: tuple[str, ...]) -> None:
    async with connected(answers=False) as client:
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
    async with connected() as client:
        await client.receive(request(1, *headers))
        assert client.wire.is_closing()
        assert client.settled_as == [True]


async def test_refused_body_is_not_read_on_for_ever() -> None:
    async with connected(rest_seconds=5) as client:
        head = b"PUT /hot HTTP/1.1\r\ncontent-length: 1000000\r\n\r\n"
        await client.receive(head)
        assert client.statuses == [405]
        for _ in range(6):
            await client.receive(b"a" * 100)
            await client.pass_time(1)
        assert client.wire.is_closing()


async def test_rest_of_a_body_has_its_time_from_the_answer_on() -> None:
    async with connected(rest_seconds=5, head_seconds=10) as client:
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
    await client.receive(PROBLEM_CHUNK + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")
    assert client.replies == [b'{"number":7}']


async def test_request_behind_a_body_that_was_refused_is_answered() -> None:
    async with connected() as client:
        await client.receive(b"PUT /hot HTTP/1.1\r\ncontent-length: 10\r\n\r\n")
        await client.receive(b"01234")
        await client.receive(b"56789" + request(2))
        assert client.statuses == [405, 200]


async def test_connection_beyond_the_bound_is_told_so_and_ended_gently() -> None:
    async with connected(answers=False, max_connections=1, max_connections_per_address=1) as client:
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
        async with connected(answers=False) as client:
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
    async with connected() as client:
        await client.receive(b"HEAD /cold HTTP/1.1\r\n\r\n" + request(1))
        assert client.statuses == [200, 200]
        head, _, rest = client.wire.sent.partition(b"\r\n\r\n")
        assert b"content-length: 6" in head
        assert rest.startswith(b"HTTP/1.1 200 OK")


async def test_clients_together_leave_no_more_unread_than_the_bound() -> None:
    async with connected(answers=False, max_unread_bytes=1000) as client:
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
    async with connected() as client:
        await client.receive(PROBLEM_CHUNK.replace(b"POST", b"PUT") + b"5\r\nabcde\r\n")
        await client.receive(b"no number\r\n")
        assert client.statuses == [405]
        assert client.wire.has_ended


async def test_client_that_still_sends_can_read_why_its_body_was_refused() -> None:
    """To close the socket with bytes unread would reset it, and what was written might be lost."""
    async with connected() as client:
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
    async with connected(answers=answers) as server:
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
