"""Simulate experiments with a known truth: how often they find a difference that is none, how soon a real one.

Units are assigned by the service's own assignment and judged by the tests that stop arms; only people's behaviour is
drawn. The tests are repeated at many looks, as the monitor does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt

import numpy as np
import numpy.typing as npt

from models.experiments.assignment import Assignment
from models.experiments.declaration import Arm, Declaration, Experiment
from models.experiments.sample_ratio import always_valid
from models.experiments.sequential import Sample, compare, excess_p_value

ARMS = ("control", "treatment")
SLOW_RATE = 0.01
"""Share of answers beyond the guardrail's limit, as a p99 at the limit means."""

ONE_LOOK = 1.959964
"""Number of standard errors at which a test for a single look decides, at 5 %."""


@dataclass(frozen=True)
class Truth:
    """The truth of an experiment. rates: outcomes by arm. lost: share of the treatment's units that go unlogged."""

    rates: tuple[float, float]
    lost: float = 0.0


@dataclass(frozen=True)
class Bounds:
    """Limits of an experiment. n_units: the run then ends undecided. look_every: units between two looks."""

    n_units: int
    look_every: int
    planned_units: int
    false_alarm_rate: float = 0.05
    srm_alpha: float = 0.001
    guardrail_alpha: float = 0.01


@dataclass
class Run:
    """One experiment. Each value is the number of units when a check first raised its flag, None for never.

    decided: for a difference. mismatched: for the ratio of units. guarded: for the guardrail. one_look: for a test
    that is valid for one look only. is_covered: the interval contained the true difference at every look.
    """

    decided: int | None = None
    mismatched: int | None = None
    guarded: int | None = None
    one_look: int | None = None
    is_covered: bool = True
    samples: tuple[Sample, Sample] = field(default_factory=lambda: (Sample(), Sample()))


def simulate(
    number: int, truth: Truth, bounds: Bounds, rng: np.random.Generator, until: Callable[[Run], bool]
) -> Run:
    """Run one experiment to its end, or until the condition is met. number: makes its salt."""
    assignment = Assignment(_declaration(number))
    run, n_slow, n_dealt = Run(), 0, 0
    n_by_arm = np.zeros(2, np.int64)
    while n_dealt < bounds.n_units and not until(run):
        arms = _deal(assignment, n_dealt, bounds.look_every)
        n_dealt += bounds.look_every
        kept = arms[(arms == 0) | (rng.random(len(arms)) >= truth.lost)]
        has_outcome = rng.random(len(kept)) < np.take(truth.rates, kept)
        n_by_arm += np.bincount(kept, minlength=2)
        for arm in (0, 1):
            _add(run.samples[arm], int(np.sum(kept == arm)), int(np.sum(has_outcome[kept == arm])))
        n_slow += int(rng.binomial(int(np.sum(kept == 1)), SLOW_RATE))
        _look(run, n_dealt, n_by_arm, n_slow, truth, bounds)
    return run


def _look(
    run: Run, n_dealt: int, n_by_arm: npt.NDArray[np.int64], n_slow: int, truth: Truth, bounds: Bounds
) -> None:
    control, treatment = run.samples
    found = compare(treatment, control, alpha=bounds.false_alarm_rate, planned_units=bounds.planned_units)
    low, high = found.interval
    run.is_covered &= low <= truth.rates[1] - truth.rates[0] <= high
    said = {
        "decided": found.is_decided,
        "mismatched": always_valid(n_by_arm.tolist(), [0.5, 0.5]) < bounds.srm_alpha,
        "guarded": excess_p_value(int(n_by_arm[1]), n_slow, SLOW_RATE) < bounds.guardrail_alpha,
        "one_look": _is_decided_by_one_look(control, treatment),
    }
    for name, is_said in said.items():
        if is_said and getattr(run, name) is None:
            setattr(run, name, n_dealt)


def _is_decided_by_one_look(control: Sample, treatment: Sample) -> bool:
    if min(control.n, treatment.n) < 2:
        return False
    error = sqrt(control.variance / control.n + treatment.variance / treatment.n)
    return error > 0 and abs(treatment.mean - control.mean) > ONE_LOOK * error


def _deal(assignment: Assignment, first: int, n_units: int) -> npt.NDArray[np.intp]:
    """Assign the next units to arms, by number."""
    found = [assignment.assign(f"u{unit}", None, None, 0.0) for unit in range(first, first + n_units)]
    return np.array([each is not None and each.arm == ARMS[1] for each in found], np.intp)


def _add(sample: Sample, n_units: int, n_outcomes: int) -> None:
    more = Sample.of_rate(n_units, n_outcomes)
    sample.n += more.n
    sample.total += more.total
    sample.total_of_squares += more.total_of_squares
    sample.n_nonzero += more.n_nonzero


def _declaration(number: int) -> Declaration:
    arms = (Arm(ARMS[0], 0.5), Arm(ARMS[1], 0.5))
    return Declaration(experiments=(Experiment(f"simulated-{number}", arms),))
