"""People in process memory, bounded in bytes."""

from __future__ import annotations

from math import inf

from models.history import History
from service.histories.memory import KnownPerson, PeopleInMemory
from service.histories.stored import StoredEvents

PERSON = KnownPerson("v", StoredEvents.empty(), History.empty(), None, b"", inf)


def test_the_least_recently_asked_for_leave_first() -> None:
    people = PeopleInMemory(3 * PERSON.size_bytes())
    for user_id in "abc":
        people.put(user_id, PERSON)
    people.get("a")
    people.put("d", PERSON)
    assert [user_id for user_id in "abcd" if people.get(user_id)] == ["a", "c", "d"]


def test_putting_again_does_not_count_twice() -> None:
    people = PeopleInMemory(10 * PERSON.size_bytes())
    for _ in range(5):
        people.put("a", PERSON)
    assert (len(people), people.held_bytes) == (1, PERSON.size_bytes())


def test_no_bytes_hold_nobody() -> None:
    people = PeopleInMemory(0)
    people.put("a", PERSON)
    assert (people.get("a"), people.held_bytes) == (None, 0)
