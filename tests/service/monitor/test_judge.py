from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from models.experiments.assignment import Assignment
from models.experiments.declaration import Declaration
from service.experiments.report import ArmReport, ExperimentReport, report_lines
from service.experiments.stopped import Stop
from service.monitor.attribution import Attributor
from service.monitor.judge import ExperimentDecision, ExperimentJudge
from tests.models.experiments.test_reading import NESTED
from tests.support.experiments import TWO_ARMS, declared, event, exposure, two_arms

LATER_MS = 10_000_000
GUARDED = """guardrails.p99_ms = { limit = 20, minimum_count = 200 }
guardrails.error_rate = { limit = 0.02, minimum_count = 200 }
guardrails.empty_rate = { limit = 0.02, minimum_count = 200 }"""


class Shop:
    """People who are assigned, answered and click at the rate of their arm, told to a judge."""

    def __init__(self, declaration: Declaration, click_rates: dict[str, float], seed: int = 0) -> None:
        self.judge = ExperimentJudge(declaration)
        self._assignment = Assignment(declaration)
        self._click_rates = click_rates
        self._rng = np.random.default_rng(seed)
        self._attributor = Attributor(60, 10_000)
        self._n_people = 0

    def visit(self, n_people: int, *, lost: dict[str, float] | None = None, **changes: object) -> None:
        """New people ask once each. lost: share of an arm's answers that are never logged."""
        for _ in range(n_people):
            self._n_people += 1
            unit = f"user-{self._n_people}"
            found = self._assignment.assign(unit, None, None, 0.0)
            assert found is not None
            if self._rng.random() < (lost or {}).get(found.arm, 0.0):
                continue
            self.judge.exposed(exposure(unit, found.arm, **changes))
            self._attributor.exposed(exposure(unit, found.arm, **changes))
            if self._rng.random() < self._click_rates[found.arm]:
                for attributed in self._attributor.happened(event(unit)):
                    self.judge.attributed(attributed)

    def report(self, stops: list[Stop] | None = None) -> ExperimentReport:
        [report] = self.judge.decide(LATER_MS, stops or []).reports
        return report


def arm_of(report: ExperimentReport, name: str) -> ArmReport:
    [arm] = [arm for arm in report.arms if arm.name == name]
    return arm


def test_an_arm_that_is_better_is_found() -> None:
    shop = Shop(two_arms(0.5), {"control": 0.2, "ensemble": 0.3})
    shop.visit(4000)
    arm = arm_of(shop.report(), "ensemble")
    assert arm.decision == "better"
    assert arm.interval is not None
    assert arm.interval[0] < 0.1 < arm.interval[1]
    assert arm.lift_interval is not None
    assert arm.lift_interval[0] < 0.5 < arm.lift_interval[1]


def test_an_arm_that_is_worse_is_found() -> None:
    shop = Shop(two_arms(0.5), {"control": 0.3, "ensemble": 0.2})
    shop.visit(4000)
    assert arm_of(shop.report(), "ensemble").decision == "worse"


def test_arms_that_are_alike_stay_undecided() -> None:
    shop = Shop(two_arms(0.5), {"control": 0.2, "ensemble": 0.2})
    shop.visit(4000)
    report = shop.report()
    assert [arm.decision for arm in report.arms] == ["control", "undecided"]
    assert not report.is_mismatched


def test_nothing_is_said_before_there_is_enough() -> None:
    shop = Shop(two_arms(0.5), {"control": 0.2, "ensemble": 0.2})
    shop.visit(10)
    control, arm = (arm_of(shop.report(), name) for name in ("control", "ensemble"))
    assert control.outcome > 0
    assert [arm.difference, arm.interval, arm.lift, arm.lift_interval, arm.p_value] == [None] * 5
    assert b"Infinity" not in msgspec.json.encode(shop.report())


def test_rates_are_shares_of_answers() -> None:
    judge = ExperimentJudge(declared())
    attributor = Attributor(60, 100)
    for number in range(4):
        shown = exposure(
            "a", request_id=f"r{number}", sent_ms=1000 + 1000 * number, took_us=1000 * (number + 1)
        )
        judge.exposed(shown)
        attributor.exposed(shown)
    judge.exposed(exposure("b", item_ids=[], tier="popular", degraded="deadline", sent_ms=5000, took_us=5000))
    for number in range(2):
        happened = event("a", event_id=f"e{number}", request_id=f"r{number}", received_ms=5000)
        for attributed in attributor.happened(happened):
            judge.attributed(attributed)
    [report] = judge.decide(0, []).reports
    arm = arm_of(report, "control")
    assert arm.n_answers == 5
    assert arm.n_units == 2
    assert (arm.click_rate, arm.purchase_rate) == (0.4, 0.0)
    assert (arm.error_rate, arm.empty_rate, arm.degraded_rate) == (0.2, 0.2, 0.2)
    assert arm.answers_per_second == 1.25
    assert arm.p50_ms == pytest.approx(3, rel=0.02)
    assert arm.p99_ms == pytest.approx(5, rel=0.02)
    assert (report.since_ms, report.until_ms) == (1000, 5000)


def test_a_unit_counts_once_its_window_is_over() -> None:
    judge = ExperimentJudge(declared())
    judge.exposed(exposure("a"))
    counted = [judge.decide(now_ms, []).reports[0].arms[0].n_counted for now_ms in (61_000, 61_001, 70_000)]
    assert counted == [0, 1, 1]
    judge.exposed(exposure("a", request_id="again", sent_ms=80_000))
    assert judge.decide(LATER_MS, []).reports[0].arms[0].n_counted == 1


def test_an_outcome_after_the_window_of_a_units_first_answer_is_not_its_outcome() -> None:
    judge, attributor = ExperimentJudge(declared()), Attributor(60, 100)
    for sent_ms in (1000, 50_000):
        shown = exposure("a", request_id=f"r{sent_ms}", sent_ms=sent_ms)
        judge.exposed(shown)
        attributor.exposed(shown)
    for attributed in attributor.happened(event("a", received_ms=70_000)):
        judge.attributed(attributed)
    arm = judge.decide(LATER_MS, []).reports[0].arms[0]
    assert arm.click_rate == 0.5
    assert arm.outcome == 0.0


@pytest.mark.parametrize(("clicked_ms", "rate"), [(61_000, 1.0), (61_001, 0.0)])
def test_an_outcome_counts_to_the_end_of_the_window_and_no_longer(clicked_ms: int, rate: float) -> None:
    """The answer was sent at second 1, and the window is a minute."""
    judge, attributor = ExperimentJudge(declared()), Attributor(600, 100)
    judge.exposed(exposure("a"))
    attributor.exposed(exposure("a"))
    for attributed in attributor.happened(event("a", received_ms=clicked_ms)):
        judge.attributed(attributed)
    arm = judge.decide(LATER_MS, []).reports[0].arms[0]
    assert (arm.click_rate, arm.outcome) == (rate, rate)


def test_a_unit_seen_in_two_arms_counts_in_none() -> None:
    judge = ExperimentJudge(declared())
    judge.exposed(exposure("a"))
    judge.exposed(exposure("a", "ensemble"))
    [report] = judge.decide(LATER_MS, []).reports
    assert report.n_crossed == 1
    assert [arm.n_counted for arm in report.arms] == [0, 0]


def test_the_value_of_purchases_can_be_the_outcome() -> None:
    judge = ExperimentJudge(two_arms(0.5, more='outcome = "value"'))
    attributor = Attributor(60, 100)
    for item_id, request_id in (("item-1", "r1"), ("item-2", "r2")):
        shown = exposure("a", request_id=request_id)
        judge.exposed(shown)
        attributor.exposed(shown)
        bought = event(
            "a", kind="purchase", event_id=item_id, item_id=item_id, request_id=request_id, value=7.5
        )
        for attributed in attributor.happened(bought):
            judge.attributed(attributed)
    arm = judge.decide(LATER_MS, []).reports[0].arms[0]
    assert arm.outcome == 15.0
    assert arm.purchase_rate == 1.0


def test_answers_lost_in_one_arm_are_a_mismatch_and_void_everything() -> None:
    shop = Shop(two_arms(0.5), {"control": 0.2, "ensemble": 0.3})
    shop.visit(6000, lost={"ensemble": 0.2})
    report = shop.report()
    assert report.is_mismatched
    assert arm_of(report, "ensemble").decision == "void"
    assert any("SAMPLE RATIO MISMATCH" in line for line in report_lines(report))


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"took_us": 25_000}, "p99_ms"),
        ({"tier": "popular_segment"}, "error_rate"),
        ({"item_ids": []}, "empty_rate"),
    ],
)
def test_a_guardrail_stops_an_arm_and_never_the_control(changes: dict[str, Any], cause: str) -> None:
    declaration = two_arms(0.5, more=GUARDED)
    shop = Shop(declaration, {"control": 0.0, "ensemble": 0.0})
    shop.visit(600, **changes)
    [stop] = shop.judge.decide(LATER_MS, []).stops
    assert (stop.experiment, stop.arm, stop.salt, stop.cause) == ("vases", "ensemble", "vases", cause)
    assert "the limit is" in stop.detail
    assert arm_of(shop.report([stop]), "ensemble").stopped.startswith(cause)


def test_a_guardrail_leaves_a_good_arm_alone_and_waits_for_its_minimum_count() -> None:
    declaration = two_arms(0.5, more=GUARDED)
    good = Shop(declaration, {"control": 0.0, "ensemble": 0.0})
    good.visit(2000, took_us=20_000)
    assert good.judge.decide(LATER_MS, []).stops == []
    bad = Shop(declaration, {"control": 0.0, "ensemble": 0.0})
    bad.visit(300, tier="popular")
    assert bad.judge.decide(LATER_MS, []).stops == []


def test_an_arm_is_stopped_once() -> None:
    shop = Shop(two_arms(0.5, more=GUARDED), {"control": 0.0, "ensemble": 0.0})
    shop.visit(600, item_ids=[])
    [stop] = shop.judge.decide(LATER_MS, []).stops
    assert shop.judge.decide(LATER_MS, [stop]).stops == []


def test_an_arm_that_goes_on_is_judged_by_what_comes_from_then_on() -> None:
    shop = Shop(two_arms(0.5, more=GUARDED), {"control": 0.0, "ensemble": 0.0})
    shop.visit(600, item_ids=[])
    shop.visit(600)
    [stop] = shop.judge.decide(LATER_MS, []).stops
    shop.judge.decide(LATER_MS, [stop])
    assert shop.judge.decide(LATER_MS, []).stops == []
    shop.visit(600, item_ids=[])
    [again] = shop.judge.decide(LATER_MS, []).stops
    assert again.detail.startswith("100.00% empty answers, the limit is 2.000%, in ")


@pytest.mark.parametrize("stopped", ["ensemble", "*"])
def test_units_are_counted_anew_when_an_arm_goes_on_since_it_got_none(stopped: str) -> None:
    judge = ExperimentJudge(declared())
    judge.decide(0, [Stop("vases", stopped, "vases", "operator", "by hand", 0)])
    for number in range(3000):
        judge.exposed(exposure(f"user-{number}"))
    other = ExperimentJudge(declared())
    other.restore(judge.to_bytes())
    [report] = other.decide(LATER_MS, []).reports
    assert not report.is_mismatched
    assert [arm.n_units for arm in report.arms] == [0, 0]
    assert report.arms[0].n_answers == 3000


def test_a_stop_under_another_salt_is_no_stop() -> None:
    judge = ExperimentJudge(declared())
    old = Stop("vases", "ensemble", "before", "operator", "by hand", 0)
    assert judge.decide(0, [old]).reports[0].arms[1].stopped == ""


def test_a_stopped_arm_does_not_count_as_a_mismatch() -> None:
    judge = ExperimentJudge(declared())
    for number in range(3000):
        judge.exposed(exposure(f"user-{number}"))
    assert judge.decide(LATER_MS, []).reports[0].is_mismatched
    stop = Stop("vases", "ensemble", "vases", "operator", "by hand", 0)
    assert not judge.decide(LATER_MS, [stop]).reports[0].is_mismatched


def test_other_weights_begin_the_count_of_units_anew_and_keep_the_rest() -> None:
    judge = ExperimentJudge(two_arms(0.5))
    judge.exposed(exposure("a"))
    judge.follow(two_arms(0.2))
    arm = judge.decide(LATER_MS, []).reports[0].arms[0]
    assert (arm.n_units, arm.n_counted, arm.n_answers) == (0, 1, 1)


def test_another_salt_begins_everything_anew() -> None:
    judge = ExperimentJudge(declared())
    judge.exposed(exposure("a"))
    judge.follow(declared(TWO_ARMS.replace('name = "vases"', 'name = "vases"\nsalt = "again"')))
    assert judge.decide(LATER_MS, []).reports[0].arms[0].n_answers == 0


def test_a_judge_goes_on_from_its_bytes() -> None:
    shop = Shop(two_arms(0.5), {"control": 0.2, "ensemble": 0.3})
    shop.visit(500)
    shop.report()
    other = ExperimentJudge(two_arms(0.5))
    other.restore(shop.judge.to_bytes())
    assert other.decide(LATER_MS, []) == ExperimentDecision([shop.report()], [])


def test_who_is_forgotten_counts_as_somebody_new_and_sums_stay() -> None:
    judge = ExperimentJudge(two_arms(0.5))
    judge.exposed(exposure("early"))
    judge.decide(LATER_MS, [])
    judge.exposed(exposure("late", sent_ms=LATER_MS))
    judge.forget(["early", "late", "never seen"], LATER_MS + 1)
    assert b"late" not in judge.to_bytes()
    for unit in ("early", "late"):
        judge.exposed(exposure(unit, sent_ms=LATER_MS + 1))
    judge.forget(["early"], LATER_MS + 1)  # said again by another service; what came since stays
    [report] = judge.decide(2 * LATER_MS, []).reports
    assert (report.arms[0].n_counted, report.arms[0].n_answers) == (3, 4)


def test_an_experiment_inside_an_arm_counts_for_that_arm_too() -> None:
    judge = ExperimentJudge(declared(NESTED))
    judge.exposed(exposure("a", experiment="third", arm="a"))
    answers = {
        f"{report.name}/{arm.name}": arm.n_answers
        for report in judge.decide(0, []).reports
        for arm in report.arms
    }
    assert {name for name, n_answers in answers.items() if n_answers} == {"first/b", "third/a"}


def test_an_answer_of_an_experiment_that_is_not_declared_is_left_alone() -> None:
    judge = ExperimentJudge(declared())
    judge.exposed(exposure("a", experiment="gone"))
    judge.exposed(exposure("a", experiment="vases", arm="gone"))
    judge.exposed(exposure("a", experiment="", arm=""))
    assert all(arm.n_answers == 0 for arm in judge.decide(0, []).reports[0].arms)


def test_units_beyond_the_bound_are_not_counted_and_that_is_said() -> None:
    judge = ExperimentJudge(declared(), max_units=2)
    for name in "abc":
        judge.exposed(exposure(name))
    [report] = judge.decide(LATER_MS, []).reports
    assert (report.n_uncounted, report.arms[0].n_counted, report.arms[0].n_answers) == (1, 2, 3)


def test_the_printed_report_names_arms_and_what_they_came_to() -> None:
    shop = Shop(two_arms(0.5), {"control": 0.2, "ensemble": 0.3})
    shop.visit(4000)
    text = "\n".join(report_lines(shop.report()))
    assert "current/ensemble" in text
    assert "ensemble: better, p = " in text
    assert "units are assigned as declared" in text


def test_the_printed_report_says_that_nothing_was_answered_yet() -> None:
    [report] = ExperimentJudge(declared()).decide(0, []).reports
    assert next(report_lines(report)) == "experiment vases, no answer yet"
