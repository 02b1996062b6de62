"""Answer the three questions of `reports/experiments.json`, each by many simulated experiments.

They are: whether experiments without a difference are stopped no more often than stated; how many units it takes to
find a known lift; how soon a bug is caught that loses units of one arm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from msgspec import structs
from scipy.stats import beta, norm

from training.quality.simulated import (
    AlikeFigures,
    ExperimentsStudy,
    FoundFigures,
    LiftFigures,
    LossFigures,
    Stops,
)
from training.simulations.experiments.simulation import Bounds, Run, Truth, simulate

SCHEMA_VERSION = 1

Progress = Callable[[float, str], None]
"""A function that is called with the share done and a few words."""

N_POINTS = 10
"""Number of points of each curve."""


@dataclass(frozen=True)
class StudySettings:
    """The settings of the study.

    base_rate: share of the control's units with an outcome. lift: of the treatment over it. lost: share of the
    treatment's units that a bug loses. Units are those of both arms together.
    """

    n_aa_runs: int = 1000
    n_lift_runs: int = 200
    n_srm_runs: int = 200
    aa_units: int = 10_000
    lift_units: int = 150_000
    srm_units: int = 60_000
    look_every: int = 200
    base_rate: float = 0.3
    lift: float = 0.05
    lost: float = 0.05
    seed: int = 0


def study(settings: StudySettings, progress: Progress) -> ExperimentsStudy:
    """Compute every figure of the report."""
    rate = settings.base_rate
    seeds = np.random.default_rng(settings.seed)
    aa = Bounds(settings.aa_units, settings.look_every, planned_units=settings.aa_units // 2)
    lift = Bounds(settings.lift_units, settings.look_every, planned_units=settings.lift_units // 3)
    srm = Bounds(settings.srm_units, settings.look_every, planned_units=settings.srm_units)
    better = Truth((rate, rate * (1 + settings.lift)))

    def runs(
        n_runs: int, truth: Truth, bounds: Bounds, until: Callable[[Run], bool], from_: float, to: float
    ) -> list[Run]:
        done = []
        for number in range(n_runs):
            done.append(simulate(int(seeds.integers(2**62)), truth, bounds, seeds, until))
            progress(
                from_ + (to - from_) * (number + 1) / n_runs, f"{number + 1:,} of {n_runs:,} experiments"
            )
        return done

    alike = runs(settings.n_aa_runs, Truth((rate, rate)), aa, lambda run: False, 0.0, 0.5)
    lifted = runs(settings.n_lift_runs, better, lift, lambda run: run.decided is not None, 0.5, 0.85)
    losing = Truth((rate, rate), settings.lost)
    broken = runs(settings.n_srm_runs, losing, srm, lambda run: run.mismatched is not None, 0.85, 1.0)
    caught = found_figures([run.mismatched for run in broken], srm)
    return ExperimentsStudy(
        schema_version=SCHEMA_VERSION,
        settings=asdict(settings),
        aa=alike_figures(alike, aa),
        lift=lift_figures(lifted, lift, settings),
        srm=LossFigures(**structs.asdict(caught), lost=settings.lost),
    )


def alike_figures(runs: Sequence[Run], bounds: Bounds) -> AlikeFigures:
    """Compute how often runs without a difference were stopped, by each check that can stop one."""

    def stops(stated: float, at: Sequence[int | None]) -> Stops:
        n_stopped = sum(each is not None for each in at)
        interval = share_interval(n_stopped, len(runs))
        return Stops(stated, n_stopped, n_stopped / len(runs), interval, shares_by_units(at, bounds.n_units))

    return AlikeFigures(
        n_runs=len(runs),
        n_units=bounds.n_units,
        n_looks=bounds.n_units // bounds.look_every,
        n_covered=sum(run.is_covered for run in runs),
        decided=stops(bounds.false_alarm_rate, [run.decided for run in runs]),
        mismatched=stops(bounds.srm_alpha, [run.mismatched for run in runs]),
        guarded=stops(bounds.guardrail_alpha, [run.guarded for run in runs]),
        one_look=stops(bounds.false_alarm_rate, [run.one_look for run in runs]),
    )


def lift_figures(runs: Sequence[Run], bounds: Bounds, settings: StudySettings) -> LiftFigures:
    """Compute how soon a lift was found."""
    return LiftFigures(
        **structs.asdict(found_figures([run.decided for run in runs], bounds)),
        lift=settings.lift,
        base_rate=settings.base_rate,
        n_wrong=sum(run.decided is not None and run.samples[1].mean < run.samples[0].mean for run in runs),
        n_covered=sum(run.is_covered for run in runs),
        fixed_units=fixed_units(settings.base_rate, settings.lift, bounds.false_alarm_rate),
    )


def found_figures(at: Sequence[int | None], bounds: Bounds) -> FoundFigures:
    """Compute how many runs found the difference that there was, and after how many units."""
    n_found = sum(each is not None for each in at)
    units = [bounds.n_units if each is None else each for each in at]
    return FoundFigures(
        n_runs=len(at),
        n_units=bounds.n_units,
        n_found=n_found,
        share=n_found / len(at),
        interval=share_interval(n_found, len(at)),
        median_units=float(np.median(units)),
        p90_units=float(np.quantile(units, 0.9)),
        by_units=shares_by_units(at, bounds.n_units),
    )


def shares_by_units(at: Sequence[int | None], n_units: int) -> dict[str, float]:
    """Return the share of runs in which a check had raised its flag by so many units."""
    points = [n_units * point // N_POINTS for point in range(1, N_POINTS + 1)]
    said = [each for each in at if each is not None]
    return {str(point): sum(each <= point for each in said) / len(at) for point in points}


def share_interval(n: int, n_runs: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Clopper and Pearson's interval of a share."""
    tail = (1 - confidence) / 2
    low = 0.0 if n == 0 else float(beta.ppf(tail, n, n_runs - n + 1))
    high = 1.0 if n == n_runs else float(beta.ppf(1 - tail, n + 1, n_runs - n))
    return low, high


def fixed_units(base_rate: float, lift: float, alpha: float, power: float = 0.8) -> int:
    """Return the units of both arms that a test for one look needs to find a lift with this power."""
    better = base_rate * (1 + lift)
    variance = base_rate * (1 - base_rate) + better * (1 - better)
    needed = float(norm.ppf(1 - alpha / 2) + norm.ppf(power)) ** 2 * variance / (better - base_rate) ** 2
    return 2 * int(np.ceil(needed))
