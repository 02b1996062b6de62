from __future__ import annotations

from typing import Any

import pytest

from models.experiments.attribution import Attributor
from service.log.records import ExposureRecord
from tests.support.experiments import event, exposure

Joining = Attributor[ExposureRecord]


@pytest.fixture
def attributor() -> Joining:
    return Attributor(window_seconds=60, max_exposures=100)


def outcomes(found: list[Any]) -> list[tuple[str, str]]:
    """Who did what."""
    return [(each.exposure.request_id, each.outcome) for each in found]


def test_a_click_on_a_shown_item_counts_for_the_answer(attributor: Joining) -> None:
    attributor.exposed(exposure("a"))
    [found] = attributor.happened(event("a"))
    assert found.exposure == exposure("a")
    assert (found.outcome, found.at_ms) == ("click", 2000)


def test_a_click_on_another_item_or_by_another_person_counts_for_none(
    attributor: Joining,
) -> None:
    attributor.exposed(exposure("a"))
    assert attributor.happened(event("a", item_id="item-9")) == []
    assert attributor.happened(event("b")) == []


def test_the_request_id_comes_before_the_latest_answer(attributor: Joining) -> None:
    attributor.exposed(exposure("a", request_id="first"))
    attributor.exposed(exposure("a", request_id="second", sent_ms=1500))
    assert outcomes(attributor.happened(event("a", request_id="first"))) == [("first", "click")]
    assert outcomes(attributor.happened(event("a", event_id="e2"))) == [("second", "click")]


def test_a_request_id_whose_answer_did_not_show_the_item_is_no_reason(
    attributor: Joining,
) -> None:
    attributor.exposed(exposure("a", request_id="without", item_ids=["item-7"]))
    attributor.exposed(exposure("a", request_id="with"))
    assert outcomes(attributor.happened(event("a", request_id="without"))) == [("with", "click")]


def test_answers_of_one_batch_share_a_request_id_and_are_told_apart_by_item(
    attributor: Joining,
) -> None:
    attributor.exposed(exposure("a", request_id="batch", item_ids=["item-1"]))
    attributor.exposed(exposure("b", request_id="batch", item_ids=["item-5"]))
    [found] = attributor.happened(event(None, request_id="batch", session_id="s", item_id="item-5"))
    assert found.exposure.unit == "b"


def test_a_session_is_joined_without_a_person(attributor: Joining) -> None:
    attributor.exposed(exposure("\0s", user_id=None, session_id="s"))
    assert attributor.happened(event(None, session_id="t")) == []
    assert len(attributor.happened(event(None, event_id="e2", session_id="s"))) == 1


def test_an_answer_counts_one_click_and_one_purchase(attributor: Joining) -> None:
    attributor.exposed(exposure("a"))
    happened = [
        *(
            event("a", event_id=f"{kind}-{number}", kind=kind)
            for kind in ("click", "purchase")
            for number in (1, 2)
        ),
        event("a", event_id="view", kind="view"),
    ]
    found = [each for one in happened for each in attributor.happened(one)]
    assert [each.outcome for each in found] == ["click", "purchase"]


@pytest.mark.parametrize(("received_ms", "n_found"), [(0, 1), (61_000, 1), (61_001, 0)])
def test_an_event_counts_within_the_window(attributor: Joining, received_ms: int, n_found: int) -> None:
    attributor.exposed(exposure("a"))
    assert len(attributor.happened(event("a", received_ms=received_ms))) == n_found


def test_an_event_that_is_read_before_its_answer_still_counts(attributor: Joining) -> None:
    assert attributor.happened(event("a")) == []
    assert outcomes(attributor.exposed(exposure("a"))) == [("request-a", "click")]
    assert attributor.exposed(exposure("a", request_id="another")) == []


def test_an_event_from_long_before_an_answer_is_not_its_outcome(
    attributor: Joining,
) -> None:
    attributor.happened(event("a", received_ms=2000))
    assert attributor.exposed(exposure("a", sent_ms=30_000)) == []


def test_events_that_no_answer_comes_for_are_counted_and_forgotten(
    attributor: Joining,
) -> None:
    attributor.happened(event("a"))
    attributor.exposed(exposure("b", sent_ms=100_000))
    assert attributor.n_unattributed == 1
    assert attributor.exposed(exposure("a")) == []


def test_the_oldest_answers_are_forgotten_first_and_that_is_counted() -> None:
    attributor: Joining = Attributor(window_seconds=60, max_exposures=2)
    for name in "abc":
        attributor.exposed(exposure(name))
    assert len(attributor) == 2
    assert attributor.n_cut_short == 1
    assert attributor.happened(event("a")) == []
    assert len(attributor.happened(event("b"))) == 1


def test_nothing_is_held_once_its_window_is_over(attributor: Joining) -> None:
    for number in range(50):
        attributor.exposed(exposure(f"user-{number}"))
    attributor.happened(event("late", received_ms=1_000_000))
    attributor.happened(event("later", received_ms=2_000_000))
    assert len(attributor) == 0
    assert not attributor._by_key
    assert len(attributor._early_by_key) == 1
    assert attributor.n_cut_short == 0


def test_a_clock_that_steps_back_forgets_nothing(attributor: Joining) -> None:
    attributor.exposed(exposure("a", sent_ms=500_000))
    attributor.exposed(exposure("b", sent_ms=490_000))
    assert len(attributor.happened(event("a", received_ms=501_000))) == 1
    assert len(attributor.happened(event("b", received_ms=491_000))) == 1


def test_a_forgotten_person_has_no_answers_and_no_events_of_before(attributor: Joining) -> None:
    for unit, sent_ms in (("a", 1000), ("b", 1000), ("a", 3000)):
        attributor.exposed(exposure(unit, sent_ms=sent_ms, request_id=f"{unit}{sent_ms}"))
    attributor.happened(event("a", event_id="early", item_id="item-9", received_ms=1500))
    assert [record.request_id for record in attributor.forget("a", 2000)] == ["a1000"]
    assert attributor.forget("a", 2000) == []
    assert len(attributor) == 2
    assert outcomes(attributor.exposed(exposure("a", item_ids=["item-9"], sent_ms=1400))) == []
    assert outcomes(attributor.happened(event("a", received_ms=2500, request_id="a1000"))) == [
        ("a3000", "click")
    ]
    assert outcomes(attributor.happened(event("b"))) == [("b1000", "click")]
