"""Invented sums of simulated experiments and of simulated futures, as a report draws them. Nothing was measured."""

from __future__ import annotations

from msgspec.structs import asdict, replace

from training.quality.simulated import (
    Alarms,
    AlikeFigures,
    ChangeFigures,
    DamageFigures,
    Delays,
    ExperimentsStudy,
    FalseAlarms,
    FoundFigures,
    LiftFigures,
    LossFigures,
    MonitoringStudy,
    StatedRates,
    Stops,
    WindowSize,
)


def example_study() -> ExperimentsStudy:
    """Simulated experiments as `training.simulations.experiments.study` sums them up."""
    by_units = {"1000": 0.0, "2000": 0.5}
    stops = Stops(stated=0.05, n_stopped=3, share=0.03, interval=(0.006, 0.085), by_units=by_units)
    found = asdict(FoundFigures(20, 2_000, 10, 0.5, (0.27, 0.73), 2_000.0, 2_000.0, by_units))
    return ExperimentsStudy(
        schema_version=1,
        settings={"n_aa_runs": 100, "lift": 0.05},
        aa=AlikeFigures(100, 2_000, 10, 97, decided=stops, mismatched=stops, guarded=stops, one_look=stops),
        lift=LiftFigures(**found, lift=0.05, base_rate=0.3, n_wrong=0, n_covered=19, fixed_units=1_500),
        srm=LossFigures(**found, lost=0.05),
    )


def example_monitoring() -> MonitoringStudy:
    """As `training.simulations.monitoring.study` sums futures and damages up."""
    alarms = Alarms(n_windows=1_000, n_alarms=2, share=0.002, interval=(0.0002, 0.0072))
    found, nothing = Delays(3, 1.25, 2.0), Delays(0, None, None)
    names = ("category", "click", "disagreement")
    season = ChangeFigures(4, 1, any=found, watched=dict.fromkeys(names, nothing) | {"category": found})
    return MonitoringStudy(
        schema_version=1,
        settings={"n_quiet": 20, "world": {"n_live_days": 30, "change_after_days": 10}},
        stated=StatedRates(drift=0.001, disagreement=0.001, accuracy=0.0002),
        window=WindowSize(events=500, seconds=43_200, scored=200),
        false_alarms=FalseAlarms(20, dict.fromkeys(names, alarms), any_input=alarms, drawn=alarms),
        changes={
            "new season": season,
            "taste shift": replace(season, any=nothing, watched=dict.fromkeys(names, nothing)),
        },
        damage={
            "a member's factors shuffled": DamageFigures(
                culprit="als",
                slice="",
                n_windows=50,
                n_found=50,
                n_named=49,
                named={"als": 49, "ease": 1},
                slices={"all": 50, "rare items": 12},
            )
        },
    )
