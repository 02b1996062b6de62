"""One seed decides what is sent and what is broken."""

from __future__ import annotations

from loadtest.events.plan import FAULTS_A_MINUTE, Plan


def test_seed_decides_everything() -> None:
    plan, same, other = Plan(1), Plan(1), Plan(2)
    assert plan.faults() == same.faults() != other.faults()
    assert list(plan.batches()) == list(same.batches()) != list(other.batches())


def test_minute_has_its_events_and_all_its_faults_in_order() -> None:
    plan = Plan(3)
    faults = plan.faults()
    assert {fault: [kind for _, kind in faults].count(fault) for fault in FAULTS_A_MINUTE} == FAULTS_A_MINUTE
    assert faults == sorted(faults)
    assert all(6 <= moment <= 60 for moment, _ in faults)
    marks = [event["request_id"] for body in plan.batches() for event in body["events"]]
    assert len(set(marks)) == len(marks) == 30_000


def test_short_drill_breaks_each_thing_once() -> None:
    assert {fault for _, fault in Plan(4, seconds=10).faults()} == set(FAULTS_A_MINUTE)
