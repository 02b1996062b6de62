"""Judges experiments: the monitor passes it answers and outcomes, and asks for its decision at each window.

It decides what is to be stopped, and the monitor writes that to Redis. Its state can be saved as bytes and restored,
so that a restarted monitor continues where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf
from typing import NamedTuple

import msgspec

from models.experiments import sample_ratio
from models.experiments.declaration import Arm, Declaration, Experiment
from models.experiments.sequential import Difference, Sample, compare, excess_p_value
from service.experiments.report import ArmReport, ExperimentReport
from service.experiments.stopped import EVERY_ARM, Stop
from service.log.records import ExposureRecord
from service.monitor.arm_figures import ArmFigures
from service.monitor.attribution import Attributed
from service.monitor.units import Units

SRM_ALPHA = 0.001
"""Units count as dealt wrongly below this p-value; it is small because a false alarm voids a whole experiment."""

GUARDRAIL_ALPHA = 0.01
"""The probability that a guardrail ever stops an arm that keeps within its limits, for all guardrails of an
experiment together."""

MAX_UNITS = 1_000_000


class ExperimentState(msgspec.Struct):
    """The counts of an experiment. key: when it changes, counting begins anew. weights: those since which n_by_arm
    counts. stopped: arms that were stopped at the last look, "*" for all of them.
    """

    key: str
    weights: dict[str, float]
    figures: dict[str, ArmFigures]
    units: Units
    stopped: set[str] = set()

    def follow_stops(self, stopped: Iterable[str]) -> None:
        """Follow stops. If an arm goes on, guardrails judge it anew and units are counted anew, as it got none."""
        going_on = self.stopped.difference(stopped)
        if going_on:
            self.units.n_by_arm = {}
        for arm, figures in self.figures.items():
            if going_on & {arm, EVERY_ARM}:
                figures.forgive()


class ExperimentDecision(NamedTuple):
    """The decision at a window. stops: arms that a guardrail stops now."""

    reports: list[ExperimentReport]
    stops: list[Stop]


class ExperimentJudge:
    """max_units: how many are remembered per experiment, at 250 bytes while their window is open and 60 after it."""

    def __init__(self, declaration: Declaration, *, max_units: int = MAX_UNITS) -> None:
        self._max_units = max_units
        self._states: dict[str, ExperimentState] = {}
        self._declaration = declaration
        self._enclosing: dict[str, list[tuple[str, str]]] = {}
        self.follow(declaration)

    @property
    def declaration(self) -> Declaration:
        """The declaration by which experiments are judged."""
        return self._declaration

    def follow(self, declaration: Declaration) -> None:
        """Judge by this declaration from now on. An experiment with the same salt, outcome, window and unit keeps its
        counts; if only weights differ, only the count of units begins anew.
        """
        states: dict[str, ExperimentState] = {}
        for experiment in declaration.experiments:
            state = self._states.get(experiment.name)
            if state is None or state.key != _key(experiment):
                state = ExperimentState(
                    _key(experiment), experiment.weights(), {}, self._no_units(experiment)
                )
            elif state.weights != experiment.weights():
                state.weights, state.units.n_by_arm = experiment.weights(), {}
            states[experiment.name] = state
        self._states, self._declaration = states, declaration
        self._enclosing = _enclosing(declaration)

    def exposed(self, record: ExposureRecord) -> None:
        """Count an answer for its arm, and for every arm that its experiment lives inside."""
        for experiment, arm in self._arms_of(record):
            state = self._states[experiment.name]
            figures = state.figures.get(arm.name)
            if figures is None:
                limit = experiment.guardrails.p99_ms
                figures = state.figures[arm.name] = ArmFigures(
                    0 if limit is None else round(1000 * limit.limit)
                )
            figures.add(record)
            if record.unit:
                state.units.exposed(record.unit, arm.name, record.sent_ms)

    def attributed(self, attributed: Attributed) -> None:
        """Count an outcome for the same arms."""
        record = attributed.exposure
        for experiment, arm in self._arms_of(record):
            if attributed.at_ms - record.sent_ms > 1000 * experiment.window_seconds:
                continue
            state = self._states[experiment.name]
            if arm.name in state.figures:
                state.figures[arm.name].add_outcome(attributed.outcome, attributed.value)
            wanted = "purchase" if experiment.outcome == "value" else experiment.outcome
            if attributed.outcome == wanted and record.unit:
                is_rate = experiment.outcome != "value"
                state.units.add_outcome(record.unit, attributed.at_ms, attributed.value, is_rate=is_rate)

    def forget(self, units: Iterable[str], before_ms: int) -> None:
        """Drop units that first came before a moment."""
        for unit in units:
            for state in self._states.values():
                state.units.forget(unit, before_ms)

    def decide(self, now_ms: int, stops: list[Stop]) -> ExperimentDecision:
        """Decide on every experiment. now_ms: of the records read so far. stops: the known ones."""
        reports, new = [], []
        for experiment in self._declaration.experiments:
            state = self._states[experiment.name]
            state.units.mature(now_ms)
            known = {
                stop.arm: stop for stop in stops if (stop.experiment, stop.salt) == _identity(experiment)
            }
            state.follow_stops(known)
            for arm in experiment.arms[1:]:
                if arm.name not in known and EVERY_ARM not in known:
                    for cause, detail in _breaches(experiment, state.figures.get(arm.name, ArmFigures())):
                        known[arm.name] = Stop(
                            experiment.name, arm.name, experiment.seed, cause, detail, now_ms
                        )
                        new.append(known[arm.name])
                        break
            state.stopped = set(known)
            reports.append(_report(experiment, state, known))
        return ExperimentDecision(reports, new)

    def to_bytes(self) -> bytes:
        """Return all counts."""
        return msgspec.msgpack.encode(self._states)

    def restore(self, raw: bytes) -> None:
        """Continue from the result of `to_bytes`. Raises msgspec.DecodeError for anything else."""
        self._states = msgspec.msgpack.decode(raw, type=dict[str, ExperimentState])
        self.follow(self._declaration)

    def _no_units(self, experiment: Experiment) -> Units:
        return Units(1000 * experiment.window_seconds, self._max_units, {}, {})

    def _arms_of(self, record: ExposureRecord) -> Iterator[tuple[Experiment, Arm]]:
        if record.experiment not in self._states:
            return
        for name, arm_name in ((record.experiment, record.arm), *self._enclosing.get(record.experiment, ())):
            experiment = self._declaration.experiment(name)
            assert experiment is not None  # it is in this declaration
            for arm in experiment.arms:
                if arm.name == arm_name:
                    yield experiment, arm


def _enclosing(declaration: Declaration) -> dict[str, list[tuple[str, str]]]:
    """Return by experiment the arms of others that it lives inside."""
    inside = {layer.name: layer.inside for layer in declaration.layers}
    layers = {experiment.name: experiment.layer for experiment in declaration.experiments}
    found: dict[str, list[tuple[str, str]]] = {}
    for name in layers:
        around, at = [], name
        while (arm := inside.get(layers[at] or "")) is not None:
            at, _, arm_name = arm.partition("/")
            around.append((at, arm_name))
        found[name] = around
    return found


def _identity(experiment: Experiment) -> tuple[str, str]:
    return experiment.name, experiment.seed


def _key(experiment: Experiment) -> str:
    return f"{experiment.seed}\0{experiment.outcome}\0{experiment.window_seconds}\0{experiment.unit}"


def _breaches(experiment: Experiment, figures: ArmFigures) -> Iterator[tuple[str, str]]:
    """Yield the guardrails that an arm is beyond, each with its figure."""
    rails, judged = experiment.guardrails, figures.judged()
    n = judged.n_answers
    looks = [
        ("p99_ms", rails.p99_ms, 0.01, judged.n_slow, "slower than {:g} ms, the limit is 1%"),
        ("error_rate", rails.error_rate, None, judged.n_errors, "errors, the limit is {:.3%}"),
        ("empty_rate", rails.empty_rate, None, judged.n_empty, "empty answers, the limit is {:.3%}"),
    ]
    n_looks = sum(rail is not None for _, rail, *_ in looks) * (len(experiment.arms) - 1)
    for name, rail, share, n_bad, said in looks:
        if rail is None or n < rail.minimum_count:
            continue
        if excess_p_value(n, n_bad, share or rail.limit) <= GUARDRAIL_ALPHA / n_looks:
            yield name, f"{n_bad / n:.2%} {said.format(rail.limit)}, in {n:,} answers"


def _report(experiment: Experiment, state: ExperimentState, stops: dict[str, Stop]) -> ExperimentReport:
    names = [arm.name for arm in experiment.arms]
    counts = [state.units.n_by_arm.get(name, 0) for name in names]
    weights = [arm.weight for arm in experiment.arms]
    if stops:  # a stopped arm gets no more units; the others go on in their ratio
        running = [place for place, name in enumerate(names) if name not in stops]
        counts, weights = [counts[place] for place in running], [weights[place] for place in running]
    srm_p_value = sample_ratio.always_valid(counts, weights) if sum(weights) else 1.0
    is_mismatched = srm_p_value < SRM_ALPHA
    figures = [state.figures[name] for name in names if name in state.figures]
    return ExperimentReport(
        name=experiment.name,
        outcome=experiment.outcome,
        unit=experiment.unit,
        window_seconds=experiment.window_seconds,
        false_alarm_rate=experiment.false_alarm_rate,
        since_ms=min((each.first_ms for each in figures), default=0),
        until_ms=max((each.last_ms for each in figures), default=0),
        srm_p_value=srm_p_value,
        srm_chi_square=sample_ratio.chi_square(counts, weights) if sum(weights) else 1.0,
        is_mismatched=is_mismatched,
        n_crossed=state.units.n_crossed,
        n_uncounted=state.units.n_uncounted,
        arms=[_arm_report(experiment, arm, state, stops, is_mismatched) for arm in experiment.arms],
    )


def _arm_report(
    experiment: Experiment, arm: Arm, state: ExperimentState, stops: dict[str, Stop], is_mismatched: bool
) -> ArmReport:
    figures = state.figures.get(arm.name, ArmFigures())
    sample, control = (
        state.units.samples.get(name, Sample()) for name in (arm.name, experiment.control.name)
    )
    is_control = arm is experiment.control
    alpha = experiment.false_alarm_rate / (len(experiment.arms) - 1)
    found = compare(sample, control, alpha=alpha, planned_units=experiment.planned_units)
    is_told = not is_control and found.interval[1] < inf
    stop = stops.get(arm.name) or stops.get(EVERY_ARM)
    return ArmReport(
        arm.name,
        arm.version,
        arm.variant,
        arm.weight,
        figures.n_answers,
        figures.answers_per_second,
        p50_ms=figures.quantile_ms(0.5),
        p95_ms=figures.quantile_ms(0.95),
        p99_ms=figures.quantile_ms(0.99),
        error_rate=figures.rate(figures.n_errors),
        empty_rate=figures.rate(figures.n_empty),
        degraded_rate=figures.rate(figures.n_degraded),
        click_rate=figures.rate(figures.n_clicked),
        purchase_rate=figures.rate(figures.n_purchased),
        n_units=state.units.n_by_arm.get(arm.name, 0),
        n_counted=sample.n,
        outcome=sample.mean,
        difference=found.difference if is_told else None,
        interval=found.interval if is_told else None,
        lift=found.difference / control.mean if is_told and control.mean else None,
        lift_interval=_over(found.interval, control.mean) if is_told and control.mean else None,
        p_value=found.p_value if is_told else None,
        decision="control" if is_control else _decision(found, is_mismatched),
        stopped="" if stop is None else f"{stop.cause}: {stop.detail}",
    )


def _decision(found: Difference, is_mismatched: bool) -> str:
    if is_mismatched:
        return "void"
    if not found.is_decided:
        return "undecided"
    return "better" if found.difference > 0 else "worse"


def _over(interval: tuple[float, float], mean: float) -> tuple[float, float]:
    return interval[0] / mean, interval[1] / mean
