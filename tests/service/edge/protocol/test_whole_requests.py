"""A plain request that arrives whole is answered without ASGI; to its client nothing differs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from service.edge.app import create_app
from service.edge.http.bounds import MAX_HELD_BACK_BYTES
from service.edge.protocol.whole_requests import read_head
from tests.support.connected import Connected, request
from tests.support.service import make_parts


@pytest.fixture
async def connected() -> AsyncIterator[Connected]:
    connected = Connected()
    yield connected
    connected.may_answer.set()
    await connected.settled()
    connected.protocol.connection_lost(None)


async def test_whole_request_is_answered_in_one_write_without_asgi(connected: Connected) -> None:
    connected.may_answer.set()
    for number in (1, 2):
        connected.protocol.data_received(request(number))
        await connected.settled()
    assert connected.ways == ["whole"] * 2
    assert connected.replies == [b'{"number":1}', b'{"number":2}']
    assert len(connected.wire.writes) == 2
    assert connected.state.total_requests == 2
    assert connected.permits.n_taken == 0


@pytest.mark.parametrize(
    "raw",
    [
        request(1, "connection: close"),
        request(1, "transfer-encoding: chunked"),
        request(1, "expect: 100-continue"),
        request(1, "content-length: 13"),
        request(1, "x-folded: a", " b"),
        request(1, "x-mark: a\0b"),
        request(1, "content encoding: none"),
        request(1, version="1.0"),
        request(1, "x-long: " + "a" * 4000),
        request(1).replace(b"application/json", b"application/json; charset=utf-8"),
        request(1).replace(b"content-length: 13", b"content-length: +13"),
        request(1).replace(b"\r\n", b"\n"),
        request(1, path="/hot?page=1"),
        request(1, path="/cold"),
        request(1).replace(b"POST", b"PUT"),
        request(1)[:-1],
    ],
)
async def test_anything_unusual_is_uvicorns(connected: Connected, raw: bytes) -> None:
    connected.may_answer.set()
    connected.protocol.data_received(raw)
    await connected.settled()
    assert "whole" not in connected.ways


async def test_request_in_pieces_is_uvicorns_and_the_next_one_is_not(connected: Connected) -> None:
    connected.may_answer.set()
    raw = request(1)
    for start, end in ((0, 10), (10, len(raw) - 3)):
        connected.protocol.data_received(raw[start:end])
        await connected.settled()
    connected.protocol.data_received(raw[-3:])
    await connected.settled()
    connected.protocol.data_received(request(2))
    await connected.settled()
    assert connected.replies == [b'{"number":1}', b'{"number":2}']
    assert connected.ways == ["asgi", "whole"]


async def test_whole_request_inside_the_body_of_another_is_no_request(connected: Connected) -> None:
    inner = request(2)
    connected.protocol.data_received(
        b"POST /hot HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(inner)
    )
    await connected.settled()
    connected.protocol.data_received(inner)
    connected.may_answer.set()
    await connected.settled()
    assert connected.ways == ["asgi"]
    assert connected.replies == []  # it is no JSON, or too long: one problem document, and nothing else
    assert b"".join(each for each in connected.wire.writes if each).count(b"HTTP/1.1 ") == 1


async def test_whole_request_inside_the_head_of_another_is_no_request(connected: Connected) -> None:
    connected.may_answer.set()
    connected.protocol.data_received(b"POST /hot HTTP/1.1\r\nx-part: ")
    connected.protocol.data_received(request(2))
    await connected.settled()
    assert "whole" not in connected.ways


async def test_whole_request_after_one_that_uvicorn_has_waits_for_its_answer(connected: Connected) -> None:
    connected.protocol.data_received(request(1).replace(b"json", b"json; charset=utf-8"))
    await connected.settled()
    connected.protocol.data_received(request(2))
    await connected.settled()
    assert connected.ways == ["asgi"]
    connected.may_answer.set()
    await connected.settled()
    assert connected.replies == [b'{"number":1}', b'{"number":2}']
    assert connected.ways == ["asgi", "whole"]


async def test_whole_request_with_more_behind_it_is_whole(connected: Connected) -> None:
    connected.may_answer.set()
    connected.protocol.data_received(request(1) + b"P")
    await connected.settled()
    assert (connected.ways, connected.replies) == (["whole"], [b'{"number":1}'])


async def test_requests_that_come_before_the_answer_are_answered_in_order(connected: Connected) -> None:
    connected.protocol.data_received(request(1))
    connected.protocol.data_received(request(2) + request(3)[:20])
    connected.protocol.data_received(request(3)[20:] + request(4))
    await connected.settled()
    assert connected.replies == []
    connected.may_answer.set()
    await connected.settled()
    assert connected.replies == [b'{"number":%d}' % number for number in (1, 2, 3, 4)]


async def test_client_that_does_not_wait_for_answers_is_not_read_without_end(connected: Connected) -> None:
    connected.protocol.data_received(request(1))
    connected.protocol.data_received(request(2) * (MAX_HELD_BACK_BYTES // len(request(2)) + 1))
    assert connected.wire.is_paused
    connected.may_answer.set()
    await connected.settled()
    assert connected.replies[0] == b'{"number":1}'
    assert not connected.wire.is_paused


async def test_answer_under_way_is_sent_before_the_server_ends(connected: Connected) -> None:
    connected.protocol.data_received(request(1))
    connected.protocol.shutdown()
    assert connected.wire.writes == []
    connected.may_answer.set()
    await connected.settled()
    assert connected.replies == [b'{"number":1}']
    assert connected.wire.writes[-1] is None


async def test_idle_connection_ends_with_the_server(connected: Connected) -> None:
    connected.protocol.shutdown()
    assert connected.wire.writes == [None]


async def test_client_that_hung_up_gets_nothing_and_gives_its_permit_back(connected: Connected) -> None:
    connected.protocol.data_received(request(1))
    await connected.settled()
    assert connected.permits.n_taken == 1
    connected.wire.close()
    connected.may_answer.set()
    await connected.settled()
    assert connected.wire.writes == [None]
    assert connected.permits.n_taken == 0


async def test_full_service_says_so_without_asgi_too(connected: Connected) -> None:
    connected.permits.take(2)
    connected.protocol.data_received(request(1))
    await connected.settled()
    (sent,) = connected.wire.writes
    assert sent is not None
    assert sent.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
    assert b"\r\nretry-after: 1\r\n" in sent
    connected.permits.give_back(2)


def test_head_is_read_with_names_in_lower_case_and_values_trimmed() -> None:
    lines = ("Host:x", "Content-Type: application/json ", "Content-Length: 7", "Connection: Keep-Alive")
    head = read_head("\r\n".join(("POST /recommend HTTP/1.1", *lines)).encode())
    assert head is not None
    assert (head.path, head.n_body_bytes) == ("/recommend", 7)
    assert head.headers[b"host"] == b"x"
    assert head.headers[b"content-type"] == b"application/json"


async def test_answer_after_a_middleware_came_goes_through_it(store: Path) -> None:
    parts = make_parts(store)
    app = create_app(parts)
    assert app.hot_endpoint("/recommend") is not None
    app.middleware("http")(pass_on)
    assert app.hot_endpoint("/recommend") is None


async def pass_on(request: Any, call_next: Any) -> Any:
    return await call_next(request)
