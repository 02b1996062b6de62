"""What came back over a connection is read as a client reads it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.fuzz.exchange import LAST, Replied, exchange, read_replies

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"
TO_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"
ANSWER_TO_LAST = b"HTTP/1.1 404 Not Found\r\ncontent-length: 36\r\n\r\nthere is nothing at /the-last-one; x"


@pytest.mark.parametrize(
    ("data", "bodies"),
    [
        (OK + OK, [b"ok", b"ok"]),
        (TO_HEAD + OK, [b"", b"ok"]),
        (OK + TO_HEAD, [b"ok", b""]),
        (CHUNKED + OK, [b"ok", b"ok"]),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, [b"", b"ok"]),
    ],
)
def test_replies_are_told_apart(data: bytes, bodies: list[bytes]) -> None:
    replies, rest = read_replies(data)
    assert [reply.body for reply in replies] == bodies
    assert rest == b""


@pytest.mark.parametrize(
    "data",
    [
        OK[:-1],
        CHUNKED[:-6],
        b"hello",
        b"HTTP/1.1 999 Odd\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    ],
)
def test_what_is_no_reply_is_left(data: bytes) -> None:
    replies, rest = read_replies(OK + data)
    assert [reply.body for reply in replies] == [b"ok"]
    assert rest != b""


def test_what_differs_from_time_to_time_does_not_count() -> None:
    def told(request_id: str, score: float, item: str) -> object:
        body = f'{{"request_id": "{request_id}", "items": [{{"item_id": "{item}", "score": {score}}}]}}'
        headers = {"content-type": "application/json", "date": request_id, "content-length": str(len(body))}
        return Replied(200, headers, body.encode()).told()

    assert told("a", 1.0, "i") == told("another", 2.5, "i")
    assert told("a", 1.0, "i") != told("a", 1.0, "j")


@asynccontextmanager
async def answering(said: bytes, *, until: bytes = LAST) -> AsyncIterator[int]:
    """A server that reads until something comes, says something, and closes."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(until)
            writer.write(said)
        except asyncio.IncompleteReadError:
            writer.write(b"")
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_exchange_ends_when_the_last_request_is_answered() -> None:
    async with answering(OK + ANSWER_TO_LAST) as port:
        seen = await exchange(port, (b"one ", b"two"))
    assert [reply.body for reply in seen.replies] == [b"ok"]
    assert (seen.ended, seen.garbage) == ("answered", b"")


async def test_connection_that_is_closed_before_that_is_told() -> None:
    async with answering(OK) as port:
        assert (await exchange(port, (b"one",))).ended == "closed"


async def test_message_that_never_ends_is_given_up_with_fin() -> None:
    async with answering(OK, until=b"what never comes") as port:
        assert (await exchange(port, (b"one",), quiet_seconds=0.02)).ended == "closed after FIN"
