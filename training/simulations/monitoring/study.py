"""Compute the figures of `reports/monitoring.json`: delays and false alarms of drift and of disagreement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from models.monitoring import disagreement, drift, falls, inputs
from models.monitoring.disagreement import DisagreementReference, Scored, judge
from training.base.progress import Stages
from training.quality.simulated import (
    Alarms,
    ChangeFigures,
    DamageFigures,
    Delays,
    FalseAlarms,
    MonitoringStudy,
    StatedRates,
    WindowSize,
)
from training.simulations.experiments.study import share_interval
from training.simulations.monitoring.damage import Damage, every_damage
from training.simulations.monitoring.replay import (
    ACCURACY,
    DISAGREEMENT,
    WINDOW_EVENTS,
    WINDOW_SCORED,
    WINDOW_SECONDS,
    Said,
    answer,
    replay,
    replay_scored,
    sampled,
    score_live,
)
from training.simulations.monitoring.world import QUIET, SCENARIOS, SECONDS_PER_DAY, Trained, World

SCHEMA_VERSION = 1
SAMPLE_EVERY = 12
"""One request in this many is scored by every model."""

WATCHED = (*inputs.WORDS, ACCURACY, DISAGREEMENT)

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class StudySettings:
    """The settings of the study.

    n_quiet, n_changed: futures without a change, and with each kind of change. n_windows: windows drawn from quiet
    traffic and judged for disagreement. n_damaged: windows drawn for each damage. older_by_days: age of the stale
    bundle.
    """

    n_quiet: int = 20
    n_changed: int = 10
    n_windows: int = 10_000
    n_damaged: int = 500
    older_by_days: int = 75


def study(settings: StudySettings, world: World, stages: Stages) -> MonitoringStudy:
    """Compute every figure."""
    first_live_day = world.settings.first_live_day
    trained = world.train(first_live_day)
    older = world.train(first_live_day - settings.older_by_days)
    with stages.stage("futures", "Living through futures") as progress:
        futures, quiet = _futures(world, trained, settings, progress)
    rng = np.random.default_rng(world.settings.seed)
    with stages.stage("damage", "Damaging models") as progress:
        damages = _damages(world, trained, older, settings, rng, progress)
    with stages.stage("windows", "Drawing quiet windows") as progress:
        drawn = _drawn_false_alarms(_reference(trained), quiet, settings.n_windows, rng, progress)
    return MonitoringStudy(
        schema_version=SCHEMA_VERSION,
        settings=asdict(settings) | {"world": asdict(world.settings)},
        stated=StatedRates(drift.FALSE_ALARM_RATE, disagreement.FALSE_ALARM_RATE, falls.DELTA),
        window=WindowSize(WINDOW_EVENTS, WINDOW_SECONDS, WINDOW_SCORED),
        false_alarms=_false_alarms(futures[QUIET], drawn),
        changes={
            scenario: _change(futures[scenario], world.change_time)
            for scenario in SCENARIOS
            if scenario != QUIET
        },
        damage=damages,
    )


def _futures(
    world: World, trained: Trained, settings: StudySettings, progress: Progress
) -> tuple[dict[str, list[Said]], Scored]:
    """Return the monitor's records by scenario, and all scored requests of the quiet futures."""
    counts = {each: settings.n_quiet if each == QUIET else settings.n_changed for each in SCENARIOS}
    futures: dict[str, list[Said]] = {scenario: [] for scenario in SCENARIOS}
    pool: list[Scored] = []
    for scenario, n_futures in counts.items():
        for number in range(n_futures):
            said, scored = _future(world, trained, scenario, number + 1)
            futures[scenario].append(said)
            pool += [scored] if scenario == QUIET else []
            n_done = sum(map(len, futures.values()))
            progress(n_done / sum(counts.values()), f"{scenario}, {number + 1} of {n_futures}")
    return futures, Scored.joined(pool)


def _future(world: World, trained: Trained, scenario: str, number: int) -> tuple[Said, Scored]:
    traffic, said = world.live(trained, scenario, number), Said()
    answered = answer(trained, traffic)
    replay(trained, traffic, answered, said)
    rows, requests = sampled(trained, traffic, answered, SAMPLE_EVERY)
    scored = score_live(trained, requests)
    replay_scored(trained, scored, traffic.times[rows], said)
    return said, scored


def _false_alarms(quiet: Sequence[Said], drawn: Alarms) -> FalseAlarms:
    """Count windows of quiet futures, and those that raised an alarm, by what was watched."""
    figures = {}
    for name in WATCHED:
        n_windows = sum(said.n_windows.get(name, 0) for said in quiet)
        figures[name] = _share(sum(own == name for said in quiet for _, own in said.alarms), n_windows)
    n_windows = sum(figures[name].n_windows for name in inputs.WORDS) // len(inputs.WORDS)
    any_input = _share(sum(figures[name].n_alarms for name in inputs.WORDS), n_windows)
    return FalseAlarms(len(quiet), figures, any_input, drawn)


def _share(n_alarms: int, n_windows: int) -> Alarms:
    judged = max(n_windows, 1)
    return Alarms(n_windows, n_alarms, n_alarms / judged, share_interval(n_alarms, judged))


def _drawn_false_alarms(
    reference: DisagreementReference,
    quiet: Scored,
    n_windows: int,
    rng: np.random.Generator,
    progress: Progress,
) -> Alarms:
    """Count false alarms of disagreement in windows drawn from all quiet futures together."""
    n_alarms = 0
    for number in range(n_windows):
        n_alarms += bool(judge(reference, _drawn(quiet, rng)).moved)
        progress((number + 1) / n_windows, f"{number + 1:,} of {n_windows:,} windows")
    return _share(n_alarms, n_windows)


def _change(futures: Sequence[Said], change_time: int) -> ChangeFigures:
    """Return days until the first alarm after the change, of each input and of any, and alarms before it."""
    return ChangeFigures(
        n_futures=len(futures),
        n_early=sum(at < change_time for said in futures for at, _ in said.alarms),
        any=_delays([said.first_after(change_time) for said in futures]),
        watched={
            name: _delays([said.first_after(change_time, name) for said in futures]) for name in WATCHED
        },
    )


def _delays(seconds: Sequence[int | None]) -> Delays:
    found = [each / SECONDS_PER_DAY for each in seconds if each is not None]
    return Delays(len(found), float(np.median(found)) if found else None, max(found, default=None))


def _damages(
    world: World,
    trained: Trained,
    older: Trained,
    settings: StudySettings,
    rng: np.random.Generator,
    progress: Progress,
) -> dict[str, DamageFigures]:
    traffic = world.live(trained, QUIET, settings.n_quiet + 1)
    _, requests = sampled(trained, traffic, answer(trained, traffic), SAMPLE_EVERY)
    reference = _reference(trained)
    found: dict[str, DamageFigures] = {}
    every = every_damage(trained, older, world.settings.seed)
    for damage in every:
        progress(len(found) / len(every), damage.name)
        scored = score_live(trained, damage.served(requests), damage.models)
        found[damage.name] = _found_damage(damage, reference, scored, settings.n_damaged, rng)
    return found


def _found_damage(
    damage: Damage, reference: DisagreementReference, scored: Scored, n_windows: int, rng: np.random.Generator
) -> DamageFigures:
    windows = [judge(reference, _drawn(scored, rng)).moved for _ in range(n_windows)]
    named = Counter(max(moved, key=lambda each: each.shift).model for moved in windows if moved)
    slices = Counter(each.slice for moved in windows for each in moved)
    return DamageFigures(
        culprit=damage.culprit,
        slice=damage.slice,
        n_windows=n_windows,
        n_found=sum(bool(moved) for moved in windows),
        n_named=named[damage.culprit],
        named=dict(named),
        slices=dict(slices.most_common()),
    )


def _drawn(scored: Scored, rng: np.random.Generator) -> Scored:
    n_drawn = min(WINDOW_SCORED, len(scored))
    return scored.take(rng.choice(len(scored), n_drawn, replace=False))


def _reference(trained: Trained) -> DisagreementReference:
    reference = trained.reference.disagreement
    assert reference is not None
    return reference
