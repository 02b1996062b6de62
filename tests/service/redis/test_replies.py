"""The shape of replies: what a command has for an answer passes, everything else is refused with its type alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import hiredis
import pytest

from service.redis.replies import (
    ReplyUnexpected,
    StreamEntry,
    array,
    entries,
    entry_id,
    hash_values,
    text,
    value,
    values,
    whole_number,
)

ERROR = hiredis.ReplyError("WRONGTYPE")

GOOD: list[tuple[Callable[[Any], Any], Any, Any]] = [
    (whole_number, 3, 3),
    (value, b"a", b"a"),
    (value, None, None),
    (partial(values, n_expected=2), [b"a", None], [b"a", None]),
    (text, b"abc", "abc"),
    (entry_id, b"1700000000000-0", "1700000000000-0"),
    (entry_id, b"", ""),
    (array, [1, b"a"], [1, b"a"]),
    (hash_values, {b"a": b"b"}, [b"b"]),
    (hash_values, [b"a", b"b"], [b"b"]),
    (entries, [[b"1-1", [b"r", b"x"]]], [StreamEntry(b"1-1", [b"r", b"x"])]),
]


@pytest.mark.parametrize(("read", "reply", "expected"), GOOD)
def test_answer_of_the_command_passes(read: Callable[[Any], Any], reply: Any, expected: Any) -> None:
    assert read(reply) == expected


BAD: list[tuple[Callable[[Any], Any], list[Any]]] = [
    (whole_number, [b"1", None, 1.0, True, [1], ERROR]),
    (value, [1, "a", True, [b"a"], {}, ERROR]),
    (
        partial(values, n_expected=2),
        [
            None,
            b"ab",
            2,
            [],
            [b"a"],
            [b"a"] * 3,
            [b"a", 1],
            [b"a", ERROR],
            [b"a", {}],
            [b"a", [b"a"]],
            {b"a": b"b"},
        ],
    ),
    (text, [None, 1, b"\xff", b"a" * 257, [b"a"], "a"]),
    (entry_id, [None, b"1", b"1-", b"-1", b"a-b", b"1-1-1", b"1" * 30 + b"-1", 1]),
    (array, [None, 1, b"a", {}, ERROR]),
    (partial(array, n_expected=2), [[], [1], [1, 2, 3]]),
    (hash_values, [None, 1, b"a", {b"a": 1}, [b"a", 1], [b"a", None]]),
    (
        entries,
        [None, [1], [[b"1-1"]], [[1, []]], [[b"x", []]], [[b"", []]], [[b"1-1", [1]]], [[b"1-1", None]]],
    ),
]


@pytest.mark.parametrize(("read", "reply"), [(read, reply) for read, replies in BAD for reply in replies])
def test_anything_else_is_refused(read: Callable[[Any], Any], reply: Any) -> None:
    with pytest.raises(ReplyUnexpected, match="expected"):
        read(reply)


def test_what_was_said_instead_is_told_by_its_type_alone() -> None:
    with pytest.raises(ReplyUnexpected) as refused:
        value([b"a secret"] * 1000)
    assert str(refused.value) == "a value expected, list of 1,000 came"


def test_field_of_an_entry_is_found_by_its_name() -> None:
    entry = StreamEntry(b"1-1", [b"a", b"1", b"r", b"2", b"left over"])
    assert (entry.field(b"r"), entry.field(b"b")) == (b"2", None)
