from __future__ import annotations

from typing import Any

from training.evaluation.page.monitoring import monitoring
from training.evaluation.page.render import render


def example() -> dict[str, Any]:
    """As `training.monitoring.study` sums futures and damages up."""
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


def cells(table: Any, name: str) -> list[str]:
    [row] = [row for row in table.rows if row.name == name]
    return [cell.text for cell in row.cells]


def test_false_alarms_stand_beside_their_stated_rate() -> None:
    drawn = monitoring({"monitoring": example()})
    assert cells(drawn["false_alarms"], "any input")[:2] == [
        "0.10\N{NO-BREAK SPACE}%",
        "0.20\N{NO-BREAK SPACE}%",
    ]
    assert cells(drawn["false_alarms"], "accuracy (clicks)")[0] == "–"


def test_delays_say_how_many_rang_and_when() -> None:
    drawn = monitoring({"monitoring": example()})
    season, taste = cells(drawn["delays"], "category")[:3], cells(drawn["delays"], "category")[3:]
    assert season == ["3 of 4", "1.2", "2.0"]
    assert taste[0] == "0 of 4"
    assert len(drawn["plots"]) == 1  # nothing rang for the other


def test_the_page_names_who_was_damaged_and_who_was_named() -> None:
    page = render({"schema_version": 1, "monitoring": example()})
    assert "als" in page
    assert "98.0\N{NO-BREAK SPACE}%" in page
    assert "Before the new season 1 alarm had rung" in page
