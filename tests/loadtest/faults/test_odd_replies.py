"""Each rule says what its name says, and hiredis reads it as that."""

from __future__ import annotations

from random import Random
from typing import Any

import hiredis
import pytest

from loadtest.faults.odd_replies import HUGE_ARRAY, HUGE_STRING, ODD_PUSHES, RULES
from loadtest.faults.resp import Question, array_of, bulk_of, read_frame

TWO_PEOPLE = array_of([bulk_of(b"one"), bulk_of(b"two")])
MGET = Question(b"MGET", (b"a", b"b"))


def said(rule: str, question: Question = MGET, reply: bytes = TWO_PEOPLE, seed: int = 0) -> bytes:
    """What a rule makes of a reply."""
    found = read_frame(reply)
    assert found is not None
    return RULES[rule](question, found[0], Random(seed))


def values(data: bytes) -> list[Any]:
    """As hiredis reads them."""
    reader, found = hiredis.Reader(), list[Any]()
    reader.feed(data)
    while (value := reader.gets()) is not False:
        found.append(value)
    return found


@pytest.mark.parametrize(
    ("rule", "read"),
    [
        ("numbers", [[7, 7]]),
        ("maps", [[{"a": "b"}, {"a": "b"}]]),
        ("number", [7]),
        ("map", [{"a": "b"}]),
        ("shorter", [[b"one"]]),
        ("longer", [[b"one", b"two", None]]),
    ],
)
def test_rule_says_what_its_name_says(rule: str, read: list[Any]) -> None:
    assert str(values(said(rule))).replace("b'", "'") == str(read).replace("b'", "'")


def test_errors_stand_in_place_of_people() -> None:
    (people,) = values(said("errors"))
    assert [type(person) for person in people] == [hiredis.ReplyError, hiredis.ReplyError]


def test_push_comes_before_the_reply_that_was_due() -> None:
    pushes = {said("push", seed=seed).removesuffix(TWO_PEOPLE) for seed in range(100)}
    assert pushes == set(ODD_PUSHES)


def test_everybody_gets_the_blob_of_another_one_and_nobody_an_older_one_of_their_own() -> None:
    said("somebody_elses")
    assert values(said("somebody_elses")) == [[b"two", b"one"]]
    alone = Question(b"MGET", (b"b",))
    for number in range(3):
        reply = array_of([bulk_of(b"newer %d" % number)])
        assert values(said("somebody_elses", alone, reply)) == [[b"one"]]


def test_who_has_no_blob_gets_none() -> None:
    reply = array_of([b"$-1\r\n", bulk_of(b"two"), b"_\r\n"])
    three = Question(b"MGET", (b"a", b"b", b"c"))
    found = values(said("somebody_elses", three, reply))[0]
    assert [value is None for value in found] == [True, False, True]


@pytest.mark.parametrize("rule", sorted(set(RULES) - {"anything"}))
def test_other_commands_are_left_alone(rule: str) -> None:
    assert said(rule, Question(b"EVAL", ()), b":1\r\n") == b":1\r\n"


def test_anything_leaves_the_handshake_alone_and_changes_a_third_of_the_rest() -> None:
    assert all(said("anything", Question(b"HELLO", ()), seed=seed) == TWO_PEOPLE for seed in range(50))
    n_changed = sum(said("anything", seed=seed) != TWO_PEOPLE for seed in range(300))
    assert 70 < n_changed < 130


def test_huge_ones_only_announce() -> None:
    assert (said("huge_array"), said("huge_string")) == (HUGE_ARRAY, HUGE_STRING)
