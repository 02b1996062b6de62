"""Schema of the results of simulated experiments and of simulated futures: experiments.json, monitoring.json."""

from __future__ import annotations

from training.quality.figures import Interval, Number, Part


class Stops(Part, frozen=True):
    """How often one kind of check stopped experiments without a difference, and after how many units."""

    stated: float
    n_stopped: int
    share: float
    interval: Interval
    by_units: dict[str, float]


class AlikeFigures(Part, frozen=True):
    """Experiments without a difference. n_covered: those whose interval covered the truth at every look."""

    n_runs: int
    n_units: int
    n_looks: int
    n_covered: int
    decided: Stops
    mismatched: Stops
    guarded: Stops
    one_look: Stops


class FoundFigures(Part, frozen=True):
    """How many experiments found the difference that there was, and after how many units of both arms."""

    n_runs: int
    n_units: int
    n_found: int
    share: float
    interval: Interval
    median_units: float
    p90_units: float
    by_units: dict[str, float]


class LiftFigures(FoundFigures, frozen=True):
    """How soon a lift was found. n_wrong: decided in the wrong direction. fixed_units: those a single look needs."""

    lift: float
    base_rate: float
    n_wrong: int
    n_covered: int
    fixed_units: int


class LossFigures(FoundFigures, frozen=True):
    """How soon a bug was caught. lost: the share of one arm's units that it lost."""

    lost: float


class ExperimentsStudy(Part, frozen=True):
    """The file experiments.json. settings: as in `training.simulations.experiments.study`."""

    schema_version: int
    settings: dict[str, Number]
    aa: AlikeFigures
    lift: LiftFigures
    srm: LossFigures


class Alarms(Part, frozen=True):
    """Windows in which nothing had changed, and those among them that raised an alarm."""

    n_windows: int
    n_alarms: int
    share: float
    interval: Interval


class FalseAlarms(Part, frozen=True):
    """Alarms in futures without a change, by what was watched; those of accuracy are over looks at 50 answers each.

    any_input: alarms of all inputs together, per window of one input. drawn: of disagreement, in windows drawn anew.
    """

    n_futures: int
    watched: dict[str, Alarms]
    any_input: Alarms
    drawn: Alarms


class Delays(Part, frozen=True):
    """Number of futures in which an alarm rang, and days until the first alarm; None if there was none."""

    n_found: int
    median_days: float | None
    longest_days: float | None


class ChangeFigures(Part, frozen=True):
    """Alarms after one kind of change. n_early: alarms before it. any: whichever alarm was first."""

    n_futures: int
    n_early: int
    any: Delays
    watched: dict[str, Delays]


class DamageFigures(Part, frozen=True):
    """Windows with one damaged model. named: by model, the windows that said it was furthest from the others."""

    culprit: str
    slice: str
    n_windows: int
    n_found: int
    n_named: int
    named: dict[str, int]
    slices: dict[str, int]


class StatedRates(Part, frozen=True):
    """The stated rates of false alarms, per window or, for accuracy, per look."""

    drift: float
    disagreement: float
    accuracy: float


class WindowSize(Part, frozen=True):
    """Smallest window: events and seconds for inputs, and scored requests for disagreement."""

    events: int
    seconds: int
    scored: int


class MonitoringStudy(Part, frozen=True):
    """The file monitoring.json. settings: as in `training.simulations.monitoring.study`; `world` has the shop's."""

    schema_version: int
    settings: dict[str, Number | dict[str, Number]]
    stated: StatedRates
    window: WindowSize
    false_alarms: FalseAlarms
    changes: dict[str, ChangeFigures]
    damage: dict[str, DamageFigures]
