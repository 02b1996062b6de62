"""People in process memory, bounded in bytes; who comes again stays."""

from __future__ import annotations

import gc
from math import inf

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.history import History, encode_history
from service.people.blobs import encode_person
from service.people.memory import NEWCOMERS_SHARE, OWN_ARRAY_BYTES, KnownPerson, PeopleInMemory
from service.people.stored import StoredEvents, StoredPerson

NO_ITEMS = History.empty().item_indices
PERSON = KnownPerson(
    version="v",
    blob=encode_person(StoredPerson(StoredEvents.empty()), ""),
    items=NO_ITEMS,
    are_shown=None,
    touched=NO_ITEMS,
    settled=NO_ITEMS,
    encoded=encode_history(History.empty()),
    vector=None,
    query=None,
    replaced=b"",
    fresh_until=inf,
)
LONG = msgspec.structs.replace(PERSON, blob=b"x" * 10_000)


def person() -> KnownPerson:
    """One of their own: the cache marks them."""
    return msgspec.structs.replace(PERSON)


def room_for(n_people: int) -> PeopleInMemory:
    return PeopleInMemory(n_people * PERSON.size_bytes())


def held(people: PeopleInMemory, user_ids: str) -> str:
    """Which of these one-letter people are held, without asking for them."""
    return "".join(user_id for user_id in user_ids if user_id in people)


def test_those_asked_for_again_outlive_those_who_came_once() -> None:
    people = room_for(3)
    for user_id in "abc":
        people.put(user_id, person())
    people.get("a")
    people.put("d", person())
    assert held(people, "abcd") == "acd"


def test_crowd_that_comes_once_does_not_push_out_those_who_come_again() -> None:
    people = room_for(20)
    for user_id in "abcdefghij":
        people.put(user_id, person())
        people.get(user_id)
    for number in range(1000):
        people.put(f"passer-by {number}", person())
    assert held(people, "abcdefghij") == "abcdefghij"
    assert len(people) == 20


def test_newcomer_who_comes_back_after_leaving_is_a_regular() -> None:
    people = room_for(NEWCOMERS_SHARE)
    for user_id in "abcdefghij":
        people.put(user_id, person())
    people.put("k", person())  # "a" leaves
    people.put("a", person())  # and comes back; "b" leaves
    for number in range(100):
        people.put(f"passer-by {number}", person())
    assert held(people, "ab") == "a"


def test_regular_who_is_not_asked_for_any_more_leaves() -> None:
    people = room_for(5)
    people.put("a", person())
    people.get("a")
    for number in range(50):
        people.put(f"regular {number}", person())
        people.get(f"regular {number}")
    assert held(people, "a") == ""


def test_putting_again_counts_once_and_keeps_the_mark() -> None:
    people = room_for(2)
    people.put("a", person())
    people.get("a")
    for _ in range(5):
        people.put("a", person())
    assert (len(people), people.held_bytes) == (1, PERSON.size_bytes())
    people.put("b", person())
    people.put("c", person())
    assert held(people, "abc") == "ac"


def test_what_a_person_weighs_now_is_what_counts() -> None:
    people = PeopleInMemory(LONG.size_bytes() + PERSON.size_bytes())
    people.put("a", person())
    people.put("b", person())
    people.put("b", msgspec.structs.replace(LONG))
    assert people.held_bytes == LONG.size_bytes() + PERSON.size_bytes()
    people.put("a", msgspec.structs.replace(LONG))
    assert people.held_bytes <= LONG.size_bytes() + PERSON.size_bytes()


def test_no_bytes_hold_nobody() -> None:
    people = PeopleInMemory(0)
    people.put("a", person())
    assert (people.get("a"), people.held_bytes, len(people)) == (None, 0, 0)


def test_forgotten_person_is_gone_and_may_come_back() -> None:
    people = room_for(3)
    people.put("a", person())
    people.forget("a")
    people.forget("never seen")
    assert (people.get("a"), people.held_bytes) == (None, 0)
    for user_id in "abcd":
        people.put(user_id, person())
    assert len(people) == 3


def test_looking_whether_somebody_is_held_is_not_asking_for_them() -> None:
    people = room_for(2)
    known = person()
    people.put("a", known)
    assert people.holds("a", known)
    assert not people.holds("a", person())
    assert not known.is_asked_again


@given(
    st.lists(st.tuples(st.sampled_from("gpf"), st.sampled_from("abcdefgh")), max_size=200), st.integers(0, 6)
)
def test_bytes_are_counted_right_and_kept_within_bounds(asked: list[tuple[str, str]], n_people: int) -> None:
    people = room_for(n_people)
    expected: set[str] = set()
    for what, user_id in asked:
        if what == "p":
            people.put(user_id, person())
            expected.add(user_id)
        elif what == "f":
            people.forget(user_id)
            expected.discard(user_id)
        elif people.get(user_id) is not None:
            assert user_id in expected
        assert len(people) <= n_people
        assert people.held_bytes == len(people) * PERSON.size_bytes()


@pytest.mark.parametrize("n_events", [0, 150])
def test_size_counts_what_the_arrays_hold(n_events: int) -> None:
    history = History(np.arange(n_events, dtype=np.int32), np.arange(n_events), np.zeros(n_events, np.uint8))
    items = history.item_indices
    longer = msgspec.structs.replace(PERSON, items=items, touched=items, encoded=encode_history(history))
    assert longer.size_bytes() - PERSON.size_bytes() == 4 * n_events + 17 * min(n_events, 100)
    half = items[: n_events // 2].copy()
    several = msgspec.structs.replace(longer, touched=half, settled=half)
    assert several.size_bytes() - longer.size_bytes() == OWN_ARRAY_BYTES + 4 * len(half)


def test_garbage_collector_does_not_look_at_people() -> None:
    assert not gc.is_tracked(person())
    assert not gc.is_tracked(person().encoded)
