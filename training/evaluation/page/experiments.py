"""View of the results of simulated experiments, as a table and plots."""

from __future__ import annotations

from training.evaluation import plots
from training.evaluation.page.tables import Column, View, share, share_interval, table
from training.quality.schema import Quality
from training.quality.simulated import FoundFigures, Stops

UNITS = "units, in thousands"

SAID = {
    "decided": "a difference between the arms",
    "mismatched": "a sample ratio mismatch",
    "guarded": "a guardrail",
    "one_look": "a test for one look, looked at again and again",
}


def experiments(quality: Quality) -> View:
    """Show false stops, the lift that was found and the bug that was caught."""
    measured = quality.experiments
    if measured is None:
        return {}
    aa, lift, srm = measured.aa, measured.lift, measured.srm
    stops = {words: getattr(aa, name) for name, words in SAID.items()}
    columns = [
        Column("stated", "stated rate", share),
        Column("share", "share stopped", share),
        Column("interval", "95 % interval", share_interval),
        Column("n_stopped", "experiments stopped", str),
    ]
    lines = {"always valid": aa.decided, "a test for one look": aa.one_look}
    return {
        "aa": aa,
        "lift": lift,
        "srm": srm,
        "table": table("what stopped it", columns, stops, ours=[SAID["decided"]]),
        "plots": [
            plots.curves(
                {name: _curve(figures) for name, figures in lines.items()},
                UNITS,
                "share of experiments that were stopped",
            ),
            plots.curves(
                {f"a lift of {lift.lift:.0%}": _curve(lift)}, UNITS, "share of experiments that found it"
            ),
            plots.curves(
                {f"{srm.lost:.0%} of an arm lost": _curve(srm)},
                UNITS,
                "share of experiments that caught it",
            ),
        ],
    }


def _curve(figures: Stops | FoundFigures) -> dict[str, plots.Point]:
    return {f"{int(units) / 1000:g}": (value, None) for units, value in figures.by_units.items()}
