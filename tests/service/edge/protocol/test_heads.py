"""What a connection does with heads that are not as they should be, and with offers to speak otherwise."""

from __future__ import annotations

import pytest

from tests.support.connected import CHUNKED_HEAD, bounded, request

ENDLESS_HEADS = {
    "headers": b"x-padding: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
    "one value": b"a" * 1000,
    "line breaks": b"\r\n" * 100,
}


@pytest.mark.parametrize("kind", ENDLESS_HEADS)
async def test_head_without_end_is_refused_at_the_bound_and_nothing_of_it_is_kept(kind: str) -> None:
    async with bounded(max_head_bytes=4096, max_headers=10_000) as client:
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
    async with bounded() as client:
        await client.receive(b"POST /hot HTTP/1.1\r\nx: " + b"a" * 256_000)
        assert client.problem()["status"] == 431
        assert client.wire.has_ended


async def test_transfer_coding_that_is_not_understood_is_refused() -> None:
    async with bounded() as client:
        await client.receive(CHUNKED_HEAD.replace(b"chunked", b"gzip, chunked") + b"2\r\n{}\r\n0\r\n\r\n")
        assert client.problem()["status"] == 415
        assert client.wire.has_ended


async def test_who_waits_to_be_told_to_go_on_and_sends_garbage_is_not_told_to_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with bounded() as client:
        head = CHUNKED_HEAD.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n")
        await client.receive(head + b"no chunk\r\n")
        await client.settled()
        assert client.statuses == [400]
        assert client.wire.has_ended
    assert "Exception" not in caplog.text


async def test_head_of_just_the_bound_is_read() -> None:
    async with bounded(max_head_bytes=4096) as client:
        body_at = request(1, "x-padding: ").index(b'{"number"')
        await client.receive(request(1, "x-padding: " + "a" * (4096 - body_at)))
        assert client.replies == [b'{"number":1}']
        await client.receive(request(2, "x-padding: " + "a" * (4097 - body_at)))
        assert client.statuses == [200, 431]


@pytest.mark.parametrize("n_pieces", [1, 2])
async def test_more_headers_than_are_read_are_refused(n_pieces: int) -> None:
    async with bounded(max_headers=64) as client:
        for number, n_headers in ((1, 64), (2, 65)):
            raw = request(number, *[f"x-{number}: a" for number in range(n_headers - 3)])
            await client.receive(*[raw] if n_pieces == 1 else [raw[:30], raw[30:]])
        assert client.statuses == [200, 431]
        assert "64 headers" in client.problem()["detail"]


async def test_head_that_comes_too_slowly_is_refused_however_steadily_it_comes() -> None:
    async with bounded(head_seconds=10) as client:
        for byte in b"POST /hot HT":
            await client.receive(bytes([byte]))
            await client.pass_time(1)
        assert client.problem()["status"] == 408
        assert client.ended == ["head-too-slow"]


UPGRADES = [
    ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAoAAA"),
    ("connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13"),
    ("connection: keep-alive, Upgrade", "upgrade: something/new"),
    ("connection: keep-alive", "connection: upgrade", "upgrade: a", "upgrade: b"),
]


@pytest.mark.parametrize("offer", UPGRADES)
async def test_offer_to_upgrade_is_ignored_and_the_request_served(offer: tuple[str, ...]) -> None:
    async with bounded() as client:
        for number in (1, 2):
            raw = request(number, *offer)
            await client.receive(raw)
            await client.receive(*[bytes([byte]) for byte in raw])
        assert client.replies == [b'{"number":1}'] * 2 + [b'{"number":2}'] * 2
        assert b"upgrade" not in client.wire.sent.lower()


async def test_offer_to_upgrade_leaves_the_connection_to_be_closed_if_it_says_so() -> None:
    async with bounded() as client:
        await client.receive(request(1, "connection: close, upgrade", "upgrade: h2c"))
        assert client.replies == [b'{"number":1}']
        assert client.wire.is_closing()


async def test_request_after_an_offer_to_upgrade_is_another_request() -> None:
    async with bounded() as client:
        await client.receive(request(1, *UPGRADES[0]) + request(2))
        assert client.replies == [b'{"number":1}', b'{"number":2}']


async def test_tunnel_is_refused() -> None:
    async with bounded() as client:
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
    async with bounded() as client:
        await client.receive(broken)
        problem = client.problem()
        assert (problem["status"], problem["type"]) == (400, "urn:stillroom:problem:protocol-invalid")
        assert b"\r\nconnection: close\r\n" in client.wire.sent
        assert client.wire.has_ended


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("way", ["whole", "asgi"])
async def test_valid_request_is_answered_before_the_garbage_behind_it(way: str, broken: bytes) -> None:
    async with bounded(answers=False) as client:
        await client.receive(request(1, *(["expect: x"] if way == "asgi" else [])) + broken)
        assert client.wire.writes == []
        client.may_answer.set()
        await client.settled()
        assert client.ways == [way]
        assert client.statuses == [200, 400]
        assert client.problem()["type"].endswith("protocol-invalid")


@pytest.mark.parametrize("separator", [b" ", b"\t", b" \t "])
async def test_white_space_after_a_length_is_no_part_of_it(separator: bytes) -> None:
    async with bounded() as client:
        raw = request(1).replace(b"content-length: 13", b"content-length:" + separator + b"13" + separator)
        await client.receive(raw)
        await client.receive(raw[:40], raw[40:])
        assert client.replies == [b'{"number":1}'] * 2
