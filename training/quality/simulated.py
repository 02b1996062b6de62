"""What simulated experiments and simulated futures of a shop came to: experiments.json and monitoring.json."""

from __future__ import annotations

from training.quality.figures import Interval, Number, Part


class Stops(Part, frozen=True):
    """How often experiments without a difference were stopped by one thing, and by how many units."""

    stated: float
    n_stopped: int
    share: float
    interval: Interval
    by_units: dict[str, float]


class AlikeFigures(Part, frozen=True):
    """Experiments without a difference. n_covered: whose interval held the truth at every look."""

    n_runs: int
    n_units: int
    n_looks: int
    n_covered: int
    decided: Stops
    mismatched: Stops
    guarded: Stops
    one_look: Stops


class FoundFigures(Part, frozen=True):
    """How many experiments found what there was, and after how many units of both arms."""

    n_runs: int
    n_units: int
    n_found: int
    share: float
    interval: Interval
    median_units: float
    p90_units: float
    by_units: dict[str, float]


class LiftFigures(FoundFigures, frozen=True):
    """How soon a lift was found. n_wrong: decided the wrong way round. fixed_units: that a single look takes."""

    lift: float
    base_rate: float
    n_wrong: int
    n_covered: int
    fixed_units: int


class LossFigures(FoundFigures, frozen=True):
    """How soon a bug was caught that lost this share of one arm's units."""

    lost: float


class ExperimentsStudy(Part, frozen=True):
    """experiments.json. settings: as in `training.simulations.experiments.study`."""

    schema_version: int
    settings: dict[str, Number]
    aa: AlikeFigures
    lift: LiftFigures
    srm: LossFigures


class Alarms(Part, frozen=True):
    """Windows in which nothing had changed, and those that rang."""

    n_windows: int
    n_alarms: int
    share: float
    interval: Interval


class FalseAlarms(Part, frozen=True):
    """Alarms of quiet futures, by what was watched; of accuracy, looks at 50 answers each.

    any_input: alarms of whatever input, to windows of one. drawn: of disagreement, in windows drawn anew.
    """

    n_futures: int
    watched: dict[str, Alarms]
    any_input: Alarms
    drawn: Alarms


class Delays(Part, frozen=True):
    """In how many futures an alarm rang, and days until the first; None where none did."""

    n_found: int
    median_days: float | None
    longest_days: float | None


class ChangeFigures(Part, frozen=True):
    """What rang after one kind of change. n_early: alarms before it. any: whichever was first."""

    n_futures: int
    n_early: int
    any: Delays
    watched: dict[str, Delays]


class DamageFigures(Part, frozen=True):
    """Windows with one damaged model. named: who left the others furthest, by how many windows said so."""

    culprit: str
    slice: str
    n_windows: int
    n_found: int
    n_named: int
    named: dict[str, int]
    slices: dict[str, int]


class StatedRates(Part, frozen=True):
    """False alarms as they are stated, a window or, for accuracy, a look."""

    drift: float
    disagreement: float
    accuracy: float


class WindowSize(Part, frozen=True):
    """At least so many events and seconds for inputs, and scored requests for disagreement."""

    events: int
    seconds: int
    scored: int


class MonitoringStudy(Part, frozen=True):
    """monitoring.json. settings: as in `training.simulations.monitoring.study`, and under `world` of the shop."""

    schema_version: int
    settings: dict[str, Number | dict[str, Number]]
    stated: StatedRates
    window: WindowSize
    false_alarms: FalseAlarms
    changes: dict[str, ChangeFigures]
    damage: dict[str, DamageFigures]
