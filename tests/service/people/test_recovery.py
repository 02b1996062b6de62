"""Answers say that they may be of before until all is merged again, and everybody had time to say that it is not."""

from __future__ import annotations

from service.people.recovery import RECOVERING, SETTLE_SECONDS, Recovery


def said(recovery: Recovery) -> str | None:
    """What answers say now."""
    return recovery.degraded


def test_it_lasts_until_it_is_ended_and_others_had_the_time_to_notice() -> None:
    now = [100.0]
    recovery = Recovery(lambda: now[0])
    assert said(recovery) is None
    recovery.begin()
    recovery.end()
    assert said(recovery) == RECOVERING
    now[0] += SETTLE_SECONDS
    assert said(recovery) == RECOVERING
    recovery.end()
    assert said(recovery) is None


def test_another_beginning_begins_the_time_anew() -> None:
    now = [100.0]
    recovery = Recovery(lambda: now[0])
    calls: list[str] = []
    recovery.call_at_each_beginning(lambda: calls.append("begun"))
    recovery.begin()
    now[0] += SETTLE_SECONDS - 1
    recovery.begin()
    now[0] += 2
    recovery.end()
    assert said(recovery) == RECOVERING
    assert calls == ["begun"] * 2


def test_what_goes_on_begins_once_and_lasts_longer() -> None:
    now = [100.0]
    recovery = Recovery(lambda: now[0])
    calls: list[str] = []
    recovery.call_at_each_beginning(lambda: calls.append("begun"))
    for _ in range(3):
        recovery.go_on()
        now[0] += SETTLE_SECONDS - 1
    recovery.end()
    assert said(recovery) == RECOVERING
    assert calls == ["begun"]
    now[0] += 1
    recovery.end()
    assert said(recovery) is None
