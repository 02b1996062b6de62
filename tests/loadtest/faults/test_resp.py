"""Frames of Redis's protocol, checked against hiredis, and replies that are replaced on their way."""

from __future__ import annotations

from random import Random

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.faults.resp import Frame, NotRedis, Question, Rewriter, array_of, bulk_of, read_frame

VALUES = st.recursive(
    st.binary(max_size=20).map(bulk_of)
    | st.integers(-(2**40), 2**40).map(lambda number: b":%d\r\n" % number)
    | st.sampled_from([b"+OK\r\n", b"-ERR no\r\n", b"$-1\r\n", b"*-1\r\n", b"_\r\n", b"#t\r\n"]),
    lambda inner: (
        st.lists(inner, max_size=4).map(array_of)
        | inner.map(lambda value: b"%1\r\n+k\r\n" + value)
        | st.just(b"%0\r\n")
    ),
    max_leaves=12,
)


def mget(*keys: bytes) -> bytes:
    """The command as a client sends it."""
    return array_of([bulk_of(word) for word in (b"mget", *keys)])


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_frames_end_where_hiredis_says_they_end(values: list[bytes]) -> None:
    data, reader, at = b"".join(values), hiredis.Reader(), 0
    for value in values:
        found = read_frame(data, at)
        assert found is not None
        frame, end = found
        assert frame.raw == value
        reader.feed(frame.raw)
        assert reader.gets() is not False  # one whole value
        assert reader.gets() is False
        at = end


@given(VALUES)
def test_no_frame_ends_before_its_last_byte(value: bytes) -> None:
    assert all(read_frame(value[:n_bytes]) is None for n_bytes in range(len(value)))


@pytest.mark.parametrize("data", [b"HTTP/1.1 200 OK\r\n", b"?1\r\n", b"$x\r\n"])
def test_what_redis_never_says_is_refused(data: bytes) -> None:
    with pytest.raises(NotRedis):
        read_frame(data)


@given(st.integers(1, 60))
def test_reply_is_replaced_under_its_own_question_however_it_is_cut(size: int) -> None:
    seen: list[Question] = []

    def rule(question: Question, reply: Frame, random: Random) -> bytes:
        seen.append(question)
        return b"+replaced\r\n" if question.name == b"MGET" else reply.raw

    rewriter = Rewriter(rule, Random(0))
    questions = mget(b"a", b"b") + array_of([bulk_of(b"PING")]) + mget(b"c")
    for start in range(0, len(questions), size):
        assert rewriter.note_questions(questions[start : start + size]) == questions[start : start + size]
    push = b">2\r\n+invalidate\r\n*1\r\n+a\r\n"
    replies = array_of([bulk_of(b"1"), bulk_of(b"2")]) + push + b"+PONG\r\n" + array_of([b"$-1\r\n"])
    passed = b"".join(
        rewriter.rewrite_answers(replies[start : start + size]) for start in range(0, len(replies), size)
    )
    assert passed == b"+replaced\r\n" + push + b"+PONG\r\n" + b"+replaced\r\n"
    assert seen == [Question(b"MGET", (b"a", b"b")), Question(b"PING", ()), Question(b"MGET", (b"c",))]
