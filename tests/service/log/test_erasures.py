"""Who is to be forgotten, and what of theirs: also where a clock was wrong, and wherever the file went."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from service.contract.errors import SpoolUnavailable
from service.log.erasures import MAX_AHEAD_MS, ErasedPeople, ErasureFile, is_covered
from service.log.frames import frame
from service.log.records import ErasureRecord, session_key
from tests.support.events import RECEIVED_MS, event

NOW_MS = RECEIVED_MS
DAY_MS = 86_400_000
AHEAD_MS = NOW_MS + 400 * DAY_MS


def erased(*records: ErasureRecord, now_ms: int = NOW_MS) -> ErasedPeople:
    people = ErasedPeople(lambda: now_ms)
    for record in records:
        people.add(record)
    return people


def test_what_was_received_before_is_covered_and_nothing_of_others_or_of_later() -> None:
    people = erased(ErasureRecord("e", "user-1", NOW_MS), ErasureRecord("f", session_key("s"), NOW_MS))
    assert people.covers(event(received_ms=NOW_MS - 1))
    assert not people.covers(event(received_ms=NOW_MS))
    assert not people.covers(event(user_id="user-2", received_ms=NOW_MS - 1))
    assert people.covers(event(user_id=None, session_id="s", received_ms=NOW_MS - 1))
    assert not people.covers(event(user_id="user-2", session_id="s", received_ms=NOW_MS - 1))


def test_an_erasure_is_news_once_and_the_latest_one_of_a_person_counts() -> None:
    people = ErasedPeople(lambda: NOW_MS)
    first, second = ErasureRecord("e", "a", NOW_MS - 10), ErasureRecord("f", "a", NOW_MS)
    assert [people.add(one) for one in (first, first, second, second, first)] == [
        True,
        False,
        True,
        False,
        False,
    ]
    assert list(people) == [second]


def test_what_a_wrong_clock_stamped_far_ahead_is_taken_to_be_of_now() -> None:
    people = erased(ErasureRecord("e", "a", AHEAD_MS), ErasureRecord("f", "b", NOW_MS + MAX_AHEAD_MS))
    (correction,) = people.wrong()
    assert correction == ErasureRecord("e", "a", NOW_MS, AHEAD_MS)
    assert people.add(correction)
    assert people.wrong() == []
    for received_ms, goes in (
        (NOW_MS - 1, True),
        (NOW_MS, False),
        (NOW_MS + DAY_MS, True),
        (AHEAD_MS, False),
    ):
        assert people.covers(event(user_id="a", received_ms=received_ms)) is goes
    people.now_ms = lambda: NOW_MS + 2 * DAY_MS  # what is received later is theirs, whenever one looks
    assert not people.covers(event(user_id="a", received_ms=NOW_MS + DAY_MS))


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_corrections_count_in_whatever_order_they_are_read(order: tuple[int, ...]) -> None:
    records = [
        ErasureRecord("e", "a", AHEAD_MS),
        ErasureRecord("e", "a", NOW_MS - 5000, AHEAD_MS),  # by one replica
        ErasureRecord("e", "a", NOW_MS - 4000, AHEAD_MS),  # by another one
        ErasureRecord("f", "a", NOW_MS - 9000),
    ]
    people = erased(*(records[place] for place in order))
    assert list(people) == [ErasureRecord("e", "a", NOW_MS - 5000, AHEAD_MS)]
    assert people.wrong() == []


def test_another_erasure_is_not_lost_beside_a_wrong_one() -> None:
    people = erased(ErasureRecord("e", "a", AHEAD_MS), ErasureRecord("f", "a", NOW_MS - 10))
    people.add(ErasureRecord("e", "a", NOW_MS - 50, AHEAD_MS))
    assert list(people) == [ErasureRecord("f", "a", NOW_MS - 10)]


def test_coverage_can_be_asked_elsewhere_while_more_are_erased() -> None:
    people = erased(ErasureRecord("e", "a", NOW_MS))
    covers = people.coverage("a")
    people.add(ErasureRecord("f", "a", NOW_MS + 10))
    assert (covers(NOW_MS - 1), covers(NOW_MS + 5), people.coverage("b")(0)) == (True, False, False)


def test_moments_are_compared_as_the_rule_says() -> None:
    record = ErasureRecord("e", "a", 1000, 9_000_000)
    assert [is_covered(record, moment, 2000) for moment in (999, 1000, 302_000, 302_001, 8_999_999, 9_000_000)] == [
        True, False, False, True, True, False,
    ]  # fmt: skip


def test_file_is_followed_by_whoever_has_it_open_and_read_whole_where_it_is_another_one(
    tmp_path: Path,
) -> None:
    one, other = ErasureFile(tmp_path), ErasureFile(tmp_path)
    records = [ErasureRecord(f"e{number}", "a", number) for number in range(4)]
    assert other.follow() == []
    one.append(records[:2])
    assert [other.follow(), other.follow()] == [records[:2], []]
    one.append(records[2:3])
    assert other.follow() == records[2:3]
    (tmp_path / "erasures.log").unlink()
    assert not one.is_there
    one.append(records[::-1])
    assert other.follow() == records[::-1]
    assert (tmp_path / "erasures.log").stat().st_mode & 0o777 == 0o600


def test_frames_of_another_release_are_passed_over(tmp_path: Path) -> None:
    file = ErasureFile(tmp_path)
    file.append([ErasureRecord("e", "a", 1)])
    with (tmp_path / "erasures.log").open("ab") as raw:
        raw.write(frame(b"\x01") + frame(b"nonsense"))
    file.append([ErasureRecord("f", "a", 2)])
    assert [record.event_id for record in file.follow()] == ["e", "f"]


def test_file_that_cannot_be_written_is_said_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "erasures.log").mkdir()
    with pytest.raises(SpoolUnavailable, match="STILLROOM_SPOOL"):
        ErasureFile(tmp_path).append([ErasureRecord("e", "a", 1)])
