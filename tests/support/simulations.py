"""Invented sums of simulated experiments and of simulated futures, as a report draws them. Nothing was measured."""

from __future__ import annotations

from typing import Any


def example_study() -> dict[str, Any]:
    """Simulated experiments as `training.simulations.experiments.study` sums them up."""
    by_units = {"1000": 0.0, "2000": 0.5}
    stops = {"stated": 0.05, "n_stopped": 3, "share": 0.03, "interval": (0.006, 0.085), "by_units": by_units}
    found = {"n_runs": 20, "n_found": 10, "median_units": 2000.0, "p90_units": 2000.0, "by_units": by_units}
    return {
        "aa": {"n_runs": 100, "n_units": 2000, "n_looks": 10}
        | {name: dict(stops) for name in ("decided", "mismatched", "guarded", "one_look")},
        "lift": {"lift": 0.05, "base_rate": 0.3, "n_covered": 19, "fixed_units": 1500, **found},
        "srm": {"lost": 0.05, **found},
    }


def example_monitoring() -> dict[str, Any]:
    """As `training.simulations.monitoring.study` sums futures and damages up."""
    alarms = {"n_windows": 1_000, "n_alarms": 2, "share": 0.002, "interval": (0.0002, 0.0072)}
    found = {"n_found": 3, "median_days": 1.25, "longest_days": 2.0}
    nothing = {"n_found": 0, "median_days": None, "longest_days": None}
    change = {"n_futures": 4, "n_early": 1, "any": found}
    return {
        "settings": {"world": {"n_live_days": 30, "change_after_days": 10}},
        "stated": {"drift": 0.001, "disagreement": 0.001, "accuracy": 0.0002},
        "window": {"events": 500, "seconds": 43_200, "scored": 200},
        "false_alarms": {
            "n_futures": 20,
            "watched": {name: dict(alarms) for name in ("category", "click", "disagreement")},
            "any_input": dict(alarms),
            "drawn": dict(alarms),
        },
        "changes": {
            "new season": change
            | {"watched": {"category": found, "click": nothing, "disagreement": nothing}},
            "taste shift": change
            | {"any": nothing, "watched": dict.fromkeys(("category", "click", "disagreement"), nothing)},
        },
        "damage": {
            "a member's factors shuffled": {
                "culprit": "als",
                "slice": "",
                "n_windows": 50,
                "n_found": 50,
                "n_named": 49,
                "slices": {"all": 50, "rare items": 12},
            }
        },
    }
