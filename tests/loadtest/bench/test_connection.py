"""Replies as they arrive: whole, in pieces, chunked."""

from __future__ import annotations

import pytest

from loadtest.bench.connection import Connection, body_of

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
WHOLE = HEAD + b"content-length: 5\r\n\r\nhello"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;name=value\r\nlo\r\n0\r\n\r\n"


class Noting:
    def __init__(self) -> None:
        self.replies: list[tuple[bool, bytes]] = []
        self.n_lost = 0

    def replied(self, connection: Connection, is_ok: bool, body: bytes) -> None:
        self.replies.append((is_ok, body))

    def lost(self, connection: Connection) -> None:
        self.n_lost += 1


@pytest.mark.parametrize("reply", [WHOLE, WHOLE.replace(b"content-length", b"Content-Length"), CHUNKED])
def test_a_reply_may_arrive_in_any_pieces(reply: bytes) -> None:
    for cut in range(1, len(reply)):
        noting = Noting()
        connection = Connection(noting)
        connection.data_received(reply[:cut])
        assert noting.replies == []
        connection.data_received(reply[cut:])
        assert noting.replies == [(True, b"hello")]


def test_any_status_but_200_is_not_ok() -> None:
    noting = Noting()
    Connection(noting).data_received(WHOLE.replace(b"200 OK", b"429 Too Many Requests"))
    assert noting.replies == [(False, b"hello")]


def test_the_next_reply_starts_afresh() -> None:
    noting = Noting()
    connection = Connection(noting)
    for reply in (WHOLE[:20], WHOLE[20:], CHUNKED):
        connection.data_received(reply)
    assert len(noting.replies) == 2


def test_a_reply_of_unknown_length_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown length"):
        body_of(HEAD + b"\r\nhello")


def test_sending_before_the_connection_is_made_says_so() -> None:
    with pytest.raises(ConnectionError, match="before the connection"):
        Connection(Noting()).send(b"GET / HTTP/1.1\r\n\r\n")
