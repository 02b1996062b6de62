"""People whose history cannot be written: kept apart, bounded, told once, and tried again now and then."""

from __future__ import annotations

import pytest

from service.events.set_aside import MAX_PEOPLE, TRY_AGAIN_SECONDS, SetAside, name_of
from service.telemetry.metrics import Metrics
from tests.support.people import keys_of, views

WHY = ValueError("their key holds a list")


def test_who_is_set_aside_is_told_once_by_no_name_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    aside = SetAside(metrics)
    for number in range(3):
        aside.add("Anna", views((number + 1, 10)), WHY)
    assert caplog.text.count("cannot be written") == 1
    assert "Anna" not in caplog.text
    assert name_of("Anna") in caplog.text
    assert metrics.registry.get_sample_value("stillroom_learning_refused_total") == 3
    assert metrics.registry.get_sample_value("stillroom_people_set_aside") == 1


def test_they_are_due_with_all_they_did_after_a_while_and_again_until_they_are_done() -> None:
    now = [0.0]
    aside = SetAside(Metrics(), lambda: now[0])
    aside.add("Anna", views((1, 10)), WHY)
    aside.add("Anna", views((2, 20)), WHY)
    assert aside.due() == []
    now[0] = TRY_AGAIN_SECONDS
    ((key, events),) = aside.due()
    assert (key, keys_of(events)) == ("Anna", [1, 2])
    assert aside.due() == []
    now[0] = 2 * TRY_AGAIN_SECONDS
    assert len(aside.due()) == 1
    aside.done("Anna")
    now[0] = 3 * TRY_AGAIN_SECONDS
    assert (aside.due(), len(aside)) == ([], 0)


def test_only_so_many_are_kept_and_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    aside = SetAside(Metrics())
    for number in range(MAX_PEOPLE + 5):
        aside.add(f"{number}", views((1, 10)), WHY)
    assert len(aside) == MAX_PEOPLE
    assert caplog.text.count("after the next restart") == 1
