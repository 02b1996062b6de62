"""The bytes of a connection: what no Redis says costs nothing and breaks the connection, however it is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.errors import RedisUnavailable
from service.redis.connection import Connection
from service.redis.wire import MAX_ELEMENTS, Wire, _Bounds
from tests.support.redis_double import speaking

UNHURRIED: dict[str, Any] = {"connect_seconds": 5.0, "read_seconds": 5.0}
INVALIDATE = b">2\r\n$10\r\ninvalidate\r\n"


class Told:
    """A watcher that keeps what it was told."""

    def __init__(self) -> None:
        self.keys: list[list[bytes] | None] = []
        self.n_ends = 0

    def begin(self) -> None: ...

    def changed(self, keys: list[bytes] | None) -> None:
        self.keys.append(keys)

    def end(self) -> None:
        self.n_ends += 1


class Aborted(asyncio.Transport):
    """A transport of which only the end is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.n_aborts = 0

    def abort(self) -> None:
        self.n_aborts += 1


def connected() -> tuple[Wire, Told, Aborted]:
    """A wire with a watcher, to which bytes can be said."""
    wire, told, transport = Wire(), Told(), Aborted()
    wire.connection_made(transport)
    wire.watcher = told
    return wire, told, transport


def checked(pieces: Sequence[bytes]) -> None:
    bounds = _Bounds()
    for piece in pieces:
        bounds.check(piece)


HUGE = [
    b"*999999999\r\n",
    b">999999999\r\n",
    b"~999999999\r\n",
    b"|999999999\r\n",
    b"%999999999\r\n",
    b"*9999999999999999999\r\n",
    b"*3\r\n:1\r\n*999999999\r\n",
    b"*50000\r\n*50001\r\n",
    b"*2\r\n" * 100_001,
    b"+OK\r\n*999999999\r\n",
    b"$3\r\nabc\r\n*999999999\r\n",
]


@pytest.mark.parametrize("said", HUGE, ids=lambda said: repr(said[:24]))
def test_array_of_more_elements_than_are_read_is_refused_before_room_is_made(said: bytes) -> None:
    with pytest.raises(hiredis.ProtocolError, match="elements"):
        checked([said])


@pytest.mark.parametrize("cut", range(1, len(b"+OK\r\n*999999999\r\n")))
def test_it_is_refused_in_two_pieces_as_in_one(cut: int) -> None:
    said = b"+OK\r\n*999999999\r\n"
    with pytest.raises(hiredis.ProtocolError, match="elements"):
        checked([said[:cut], said[cut:]])


def test_announcement_that_follows_a_whole_reply_in_two_pieces_is_refused() -> None:
    bounds = _Bounds()
    bounds.check(b"+OK\r\n*9999")
    bounds.begin_anew()
    with pytest.raises(hiredis.ProtocolError, match="elements"):
        bounds.check(b"99999\r\n")


@given(st.data())
def test_no_way_of_cutting_hides_an_announcement(data: st.DataObject) -> None:
    said = data.draw(st.sampled_from([each for each in HUGE if len(each) < 100]))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(said) - 1))))
    edges = [0, *cuts, len(said)]
    with pytest.raises(hiredis.ProtocolError, match="elements"):
        checked([said[start:end] for start, end in pairwise(edges)])


@given(blobs=st.lists(st.binary(max_size=300), max_size=50), size=st.integers(1, 400))
def test_what_redis_does_say_passes_in_pieces_of_any_size(blobs: list[bytes], size: int) -> None:
    blobs = [blob.translate(None, b"*%~>|") for blob in blobs]  # what looks like an announcement is counted
    said = b"*%d\r\n" % len(blobs) + b"".join(b"$%d\r\n%b\r\n" % (len(blob), blob) for blob in blobs)
    checked([said[start : start + size] for start in range(0, len(said), size)])


def test_reply_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.redis.wire.MAX_REPLY_BYTES", 1000)
    with pytest.raises(hiredis.ProtocolError, match="bytes"):
        checked([b"$999999999999\r\n", *[b"x" * 100] * 11])


def test_replies_one_after_the_other_do_not_add_up() -> None:
    wire, told, transport = connected()
    for _ in range(3):
        wire.data_received(
            INVALIDATE + b"*%d\r\n" % (MAX_ELEMENTS // 2) + b"$1\r\na\r\n" * (MAX_ELEMENTS // 2)
        )
    assert len(told.keys) == 3
    assert not transport.n_aborts


def test_watcher_is_told_of_keys_and_of_all_of_them() -> None:
    wire, told, transport = connected()
    wire.data_received(INVALIDATE + b"*2\r\n$1\r\na\r\n$2\r\n\xff\xff\r\n")
    wire.data_received(INVALIDATE + b"_\r\n")
    wire.data_received(
        b">2\r\n$7\r\nmessage\r\n:1\r\n"
    )  # of another kind: nobody asked for it, and it does no harm
    assert told.keys == [[b"a", b"\xff\xff"], None]
    assert not transport.n_aborts


@pytest.mark.parametrize(
    "push",
    [
        b">0\r\n",
        b">1\r\n:1\r\n",
        b">1\r\n*1\r\n:1\r\n",
        b">1\r\n$10\r\ninvalidate\r\n",
        INVALIDATE + b":1\r\n",
        INVALIDATE + b"$1\r\na\r\n",
        INVALIDATE + b"*1\r\n:1\r\n",
        INVALIDATE + b"*1\r\n*0\r\n",
        INVALIDATE + b"%1\r\n$1\r\na\r\n$1\r\nb\r\n",
        b">3\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n:1\r\n",
    ],
)
def test_push_frame_that_is_none_ends_the_watch(push: bytes) -> None:
    wire, told, transport = connected()
    wire.data_received(push)
    assert (told.keys, told.n_ends, transport.n_aborts, wire.is_closed) == ([], 1, 1, True)


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_whatever_bytes_come_nothing_is_raised_into_the_loop(pieces: list[bytes]) -> None:
    wire, _, _ = connected()
    for piece in pieces:
        wire.data_received(piece)


ODD = [
    b"*2\r\n$1\r\na\r\n",  # and then nothing: it is slow
    b"%1\r\n*0\r\n:1\r\n",  # a map with a key that cannot be one
    b"\0\0\0\0\r\n",
    b"$-7\r\n",
    b",not a number\r\n",
]


@pytest.mark.parametrize("said", ODD)
async def test_asker_hears_that_redis_is_away_and_the_next_one_connects_anew(said: bytes) -> None:
    replies = {"GET": said}
    async with speaking(replies) as url:
        with closing(Connection(url, connect_seconds=5, read_seconds=0.2)) as connection:
            with pytest.raises(RedisUnavailable):
                await connection.ask_one(("GET", "a"), lambda reply: reply)
            replies["GET"] = b"$1\r\na\r\n"
            assert await connection.ask_one(("GET", "a"), lambda reply: reply) == b"a"
