from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from models.history import N_KIND_CODES, VISIT_GAP_SECONDS, Event, EventKind, History
from models.members import recency
from models.members.recency import distinct_histories, visit_numbers
from models.packed_histories import Histories
from training.members.recency import recency_matrix, visit_matrix


def history(*items: int) -> History:
    return History.from_events(Event(item, 1_000 + step) for step, item in enumerate(items))


def timed(*events: tuple[int, int]) -> History:
    """From (item_index, half days)."""
    return History.from_events(Event(item, 1_000 + time * (VISIT_GAP_SECONDS + 1)) for item, time in events)


def test_the_newest_item_weighs_one_and_a_half_life_older_weighs_half() -> None:
    weights = recency_matrix([history(0, 1, 2, 3)], 5, half_life=2.0).toarray()[0]
    np.testing.assert_allclose(weights, [0.5**1.5, 0.5, 0.5**0.5, 1.0, 0.0])


def test_a_repeated_item_counts_once_at_its_latest_event() -> None:
    weights = recency_matrix([history(7, 1, 7)], 8, half_life=1.0).toarray()[0]
    assert weights[7] == 1.0
    assert weights[1] == 0.5


def test_an_infinite_half_life_weighs_all_alike() -> None:
    weights = recency_matrix([history(2, 0, 1)], 3, half_life=float("inf")).toarray()[0]
    np.testing.assert_array_equal(weights, [1.0, 1.0, 1.0])


def test_rows_follow_the_histories_and_an_empty_one_is_empty() -> None:
    matrix = recency_matrix([history(0), History.empty(), history(1)], 2, half_life=1.0)
    np.testing.assert_array_equal(matrix.toarray(), [[1, 0], [0, 0], [0, 1]])


def test_an_older_visit_weighs_less_by_the_decay_and_by_no_more_than_that() -> None:
    own = timed((0, 0), (1, 0), (2, 1), (3, 3))
    weights = recency_matrix([own], 4, half_life=float("inf"), visit_decay=0.5).toarray()[0]
    np.testing.assert_array_equal(weights, [0.25, 0.25, 0.5, 1.0])


def test_without_decay_between_visits_only_the_last_is_left() -> None:
    own = timed((0, 0), (1, 1), (2, 1))
    weights = recency_matrix([own], 3, half_life=float("inf"), visit_decay=0.0).toarray()[0]
    np.testing.assert_array_equal(weights, [0.0, 1.0, 1.0])


def test_each_persons_visits_are_counted_from_their_own_last_one() -> None:
    people = [timed((0, 0), (1, 1)), History.empty(), timed((2, 0)), timed((0, 0), (1, 1), (2, 2))]
    weights = recency_matrix(people, 3, half_life=float("inf"), visit_decay=0.5).toarray()
    np.testing.assert_array_equal(weights, [[0.5, 1, 0], [0, 0, 0], [0, 0, 1], [0.25, 0.5, 1]])


def evidence_of(**weights: float) -> npt.NDArray[np.float32]:
    table = np.zeros(N_KIND_CODES, np.float32)
    for kind, weight in weights.items():
        table[EventKind[kind.upper()]] = weight
    return table


def done(*events: tuple[int, str]) -> History:
    """From (item_index, kind), one a minute."""
    return History.from_events(
        Event(item, 1_000 + 60 * step, EventKind[kind.upper()]) for step, (item, kind) in enumerate(events)
    )


def test_an_item_weighs_what_its_strongest_kind_says() -> None:
    own = done((0, "purchase"), (0, "view"), (1, "view"), (2, "dislike"))
    weights = evidence_of(purchase=1, view=0.25, dislike=-0.5)
    found = recency_matrix([own], 3, half_life=float("inf"), evidence=weights).toarray()[0]
    np.testing.assert_array_equal(found, [1.0, 0.25, -0.5])


def test_items_age_by_what_came_later_as_far_as_it_says_something() -> None:
    own = done((0, "purchase"), *((item, "view") for item in range(2, 8)), (1, "purchase"))
    nothing = recency_matrix([own], 8, half_life=1.0, evidence=evidence_of(purchase=1)).toarray()[0]
    np.testing.assert_array_equal(nothing, [0.5, 1, 0, 0, 0, 0, 0, 0])
    half = recency_matrix([own], 8, half_life=1.0, evidence=evidence_of(purchase=1, view=0.5)).toarray()[0]
    assert half[0] == 0.5**4


def test_kinds_that_say_nothing_are_not_read_even_where_they_are_the_strongest() -> None:
    own = done((0, "view"), (0, "purchase"))
    found = recency_matrix([own], 1, half_life=1.0, evidence=evidence_of(view=1)).toarray()
    np.testing.assert_array_equal(found, [[1.0]])


def test_visits_have_the_same_rows_whatever_is_read() -> None:
    own = History.from_events(
        [
            Event(0, 0, EventKind.VIEW),
            Event(1, 10, EventKind.PURCHASE),
            Event(1, 20, EventKind.VIEW),
            Event(2, 10**6, EventKind.VIEW),
            Event(0, 2 * 10**6, EventKind.PURCHASE),
        ]
    )
    both = visit_matrix([own], 3, evidence=evidence_of(purchase=1, view=0.5)).toarray()
    np.testing.assert_array_equal(both, [[0.5, 1, 0], [0, 0, 0.5], [1, 0, 0]])
    targets = visit_matrix([own], 3, evidence=evidence_of(purchase=1)).toarray()
    np.testing.assert_array_equal(targets, [[0, 1, 0], [0, 0, 0], [1, 0, 0]])


def test_a_pause_of_more_than_the_gap_ends_a_visit() -> None:
    times = np.cumsum([0, 60, VISIT_GAP_SECONDS, VISIT_GAP_SECONDS + 1, 0])
    own = History.from_events(Event(item, int(time)) for item, time in enumerate(times))
    assert visit_numbers(own).tolist() == [0, 0, 0, 1, 1]


def test_a_visit_is_a_row_of_ones_below_those_of_earlier_people() -> None:
    people = [timed((0, 0), (1, 0), (1, 0), (2, 1)), History.empty(), timed((2, 0))]
    np.testing.assert_array_equal(visit_matrix(people, 3).toarray(), [[1, 1, 0], [0, 0, 1], [0, 0, 1]])


def test_nobody_makes_no_visits() -> None:
    assert visit_matrix([History.empty()], 3).shape == (0, 3)


@pytest.mark.parametrize("events_at_once", [1, 3, 1_000])
def test_everybodys_distinct_items_are_those_of_each(
    monkeypatch: pytest.MonkeyPatch, events_at_once: int
) -> None:
    monkeypatch.setattr(recency, "EVENTS_AT_ONCE", events_at_once)
    people = [
        history(7, 1, 7, 1, 2),
        History.empty(),
        history(3),
        history(5, 5),
        History.empty(),
        history(1, 2),
    ]
    found = distinct_histories(Histories.from_list(people))
    assert len(found) == len(people)
    for ours, own in zip(found, people, strict=True):
        np.testing.assert_array_equal(ours.item_indices, own.distinct().item_indices)
        np.testing.assert_array_equal(ours.times, own.distinct().times)


def test_packed_histories_weigh_as_lists_of_them_do() -> None:
    people = [timed((0, 0), (1, 1), (0, 3)), History.empty(), timed((2, 0))]
    together = Histories.from_list(people)
    packed_weights, weights = (recency_matrix(each, 3, 2.0, visit_decay=0.5) for each in (together, people))
    np.testing.assert_array_equal(packed_weights.toarray(), weights.toarray())
    np.testing.assert_array_equal(visit_matrix(together, 3).toarray(), visit_matrix(people, 3).toarray())
