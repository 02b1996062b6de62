"""How sure the judge is before it acts: what each probability of a false alarm means, by the figures at its edge."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from models.experiments.declaration import Declaration, Experiment
from models.experiments.sample_ratio import always_valid
from models.experiments.sequential import Sample, compare, excess_p_value
from service.experiments.report import ArmReport
from service.monitor.arm_figures import ArmFigures
from service.monitor.judge import ExperimentDecision, ExperimentJudge, ExperimentState
from service.monitor.units import Units
from tests.support.experiments import declared, exposure, two_arms

N_EXPERIMENTS, N_LOOKS = 300, 25


def with_arms(n_arms: int, guardrails: str = "", more: str = "") -> Declaration:
    """An experiment of n_arms arms of equal weight."""
    arms = "".join(
        f'[[experiment.arm]]\nname = "{name}"\nweight = {1 / n_arms}\n'
        for name in ("control", *(f"arm-{number}" for number in range(1, n_arms)))
    )
    return declared(f'[[experiment]]\nname = "vases"\nwindow_seconds = 60\n{more}\n{guardrails}\n{arms}')


ONE_RAIL = "guardrails.empty_rate = { limit = 0.02, minimum_count = 200 }"
THREE_RAILS = f"""guardrails.p99_ms = {{ limit = 20, minimum_count = 200 }}
guardrails.error_rate = {{ limit = 0.02, minimum_count = 200 }}
{ONE_RAIL}"""


def judge_of(
    declaration: Declaration,
    figures: dict[str, ArmFigures] | None = None,
    samples: dict[str, Sample] | None = None,
    n_by_arm: dict[str, int] | None = None,
) -> ExperimentDecision:
    """What a judge says that has counted this, as one says that has just been started again."""
    [experiment] = declaration.experiments
    key = judge_key(experiment)
    units = Units(60_000, 10_000, n_by_arm or {}, samples or {})
    state = ExperimentState(key, experiment.weights(), figures or {}, units)
    judge = ExperimentJudge(declaration)
    judge.restore(msgspec.msgpack.encode({experiment.name: state}))
    return judge.decide(10_000_000, [])


def judge_key(experiment: Experiment) -> str:
    """Of an experiment's state, as the judge itself writes it."""
    judge = ExperimentJudge(Declaration(experiments=(experiment,)))
    states = msgspec.msgpack.decode(judge.to_bytes(), type=dict[str, ExperimentState])
    return states[experiment.name].key


def arm_of(decision: ExperimentDecision, name: str) -> ArmReport:
    return next(arm for arm in decision.reports[0].arms if arm.name == name)


# -- guardrails -----------------------------------------------------------------------------------------------------


def fewest_empty(n_answers: int, alpha: float) -> int:
    """How many empty answers it takes to be so sure that more than 2 % are."""
    return next(n for n in range(n_answers) if excess_p_value(n_answers, n, 0.02) <= alpha)


@pytest.mark.parametrize(
    ("n_arms", "rails", "n_tests"),
    [(2, ONE_RAIL, 1), (2, THREE_RAILS, 3), (4, ONE_RAIL, 3), (4, THREE_RAILS, 9)],
)
def test_one_in_a_hundred_is_shared_by_all_guardrails_of_all_arms(
    n_arms: int, rails: str, n_tests: int
) -> None:
    """The first figure that stops an arm is the first that is so unlikely, and not the one before."""
    n_answers = 2_000
    least = fewest_empty(n_answers, 0.01 / n_tests)
    stopped = [
        bool(
            judge_of(
                with_arms(n_arms, rails), {"arm-1": ArmFigures(n_answers=n_answers, n_empty=n_empty)}
            ).stops
        )
        for n_empty in (least - 1, least)
    ]
    assert stopped == [False, True]


def test_slower_than_the_limit_may_be_one_answer_in_a_hundred() -> None:
    declaration = two_arms(0.5, more="guardrails.p99_ms = { limit = 20, minimum_count = 200 }")
    n_answers = 3_000
    least = next(n for n in range(n_answers) if excess_p_value(n_answers, n, 0.01) <= 0.01)
    stopped = [
        bool(judge_of(declaration, {"ensemble": ArmFigures(n_answers=n_answers, n_slow=n_slow)}).stops)
        for n_slow in (least - 1, least)
    ]
    assert stopped == [False, True]


@pytest.mark.parametrize(("n_answers", "is_stopped"), [(199, False), (200, True)])
def test_guardrail_judges_from_its_minimum_count_on(n_answers: int, is_stopped: bool) -> None:
    figures = {"arm-1": ArmFigures(n_answers=n_answers, n_empty=n_answers)}
    assert bool(judge_of(with_arms(2, ONE_RAIL), figures).stops) == is_stopped


# -- units dealt as declared ----------------------------------------------------------------------------------------


def test_mismatch_is_called_below_one_in_a_thousand_and_not_above() -> None:
    n_units = 10_000
    p_values = {
        excess: always_valid([n_units // 2 + excess, n_units // 2 - excess], [1, 1]) for excess in range(400)
    }
    sure = min(excess for excess, p_value in p_values.items() if p_value < 0.001)
    doubtful = [excess for excess, p_value in p_values.items() if 0.001 <= p_value < 0.05]
    assert sure > doubtful[-1] > doubtful[0]
    said = {
        excess: judge_of(
            two_arms(0.5),
            n_by_arm={"control": n_units // 2 + excess, "ensemble": n_units // 2 - excess},
        )
        .reports[0]
        .is_mismatched
        for excess in (0, doubtful[0], doubtful[-1], sure)
    }
    assert said == {0: False, doubtful[0]: False, doubtful[-1]: False, sure: True}


def test_experiments_that_deal_rightly_are_hardly_ever_void() -> None:
    """A false alarm voids an experiment: at one in a thousand 0.3 of these, at one in twenty several."""
    rng = np.random.default_rng(1)
    n_void = 0
    for _ in range(N_EXPERIMENTS):
        counts = rng.binomial(200, 0.5, size=N_LOOKS).cumsum()
        for look, n_control in enumerate(counts.tolist()):
            n_by_arm = {"control": n_control, "ensemble": 200 * (look + 1) - n_control}
            if judge_of(two_arms(0.5), n_by_arm=n_by_arm).reports[0].is_mismatched:
                n_void += 1
                break
    assert n_void <= 1


# -- arms beside the control ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_arms", "alpha"), [(2, 0.05), (3, 0.025), (6, 0.01)])
def test_false_alarm_rate_of_an_experiment_is_shared_by_its_arms(n_arms: int, alpha: float) -> None:
    samples = {"control": Sample.of_rate(2_000, 400), "arm-1": Sample.of_rate(2_000, 460)}
    expected = compare(samples["arm-1"], samples["control"], alpha=alpha, planned_units=20_000)
    arm = arm_of(judge_of(with_arms(n_arms), samples=samples), "arm-1")
    assert (arm.interval, arm.p_value) == (expected.interval, expected.p_value)


def test_lift_is_the_difference_in_shares_of_the_controls_mean() -> None:
    samples = {"control": Sample.of_rate(2_000, 400), "arm-1": Sample.of_rate(2_000, 460)}
    arm = arm_of(judge_of(with_arms(2), samples=samples), "arm-1")
    assert arm.lift == pytest.approx(0.15)
    assert arm.interval is not None
    assert arm.lift_interval == pytest.approx((arm.interval[0] / 0.2, arm.interval[1] / 0.2))


# -- figures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("milliseconds", [0.3, 1.0, 7.0, 49.0, 800.0])
def test_percentile_of_one_time_is_that_time_to_a_hundredth(milliseconds: float) -> None:
    figures = ArmFigures()
    for _ in range(10):
        figures.add(exposure("a", took_us=round(1000 * milliseconds)))
    assert figures.quantile_ms(0.99) == pytest.approx(milliseconds, rel=0.011)


def test_answer_at_the_limit_is_not_slow() -> None:
    figures = ArmFigures(slow_us=20_000)
    for took_us in (19_999, 20_000, 20_001):
        figures.add(exposure("a", took_us=took_us))
    assert figures.n_slow == 1
