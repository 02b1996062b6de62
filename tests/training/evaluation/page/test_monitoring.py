from __future__ import annotations

from typing import Any

from tests.support.simulations import example_monitoring
from training.evaluation.page.monitoring import monitoring
from training.evaluation.page.render import render
from training.quality.schema import Quality


def cells(table: Any, name: str) -> list[str]:
    [row] = [row for row in table.rows if row.name == name]
    return [cell.text for cell in row.cells]


def test_false_alarms_stand_beside_their_stated_rate() -> None:
    drawn = monitoring(Quality(monitoring=example_monitoring()))
    assert cells(drawn["false_alarms"], "any input")[:2] == [
        "0.10\N{NO-BREAK SPACE}%",
        "0.20\N{NO-BREAK SPACE}%",
    ]
    assert cells(drawn["false_alarms"], "accuracy (clicks)")[0] == "–"


def test_delays_say_how_many_rang_and_when() -> None:
    drawn = monitoring(Quality(monitoring=example_monitoring()))
    season, taste = cells(drawn["delays"], "category")[:3], cells(drawn["delays"], "category")[3:]
    assert season == ["3 of 4", "1.2", "2.0"]
    assert taste[0] == "0 of 4"
    assert len(drawn["plots"]) == 1  # nothing rang for the other


def test_the_page_names_who_was_damaged_and_who_was_named() -> None:
    page = render(Quality(schema_version=1, monitoring=example_monitoring()))
    assert "als" in page
    assert "98.0\N{NO-BREAK SPACE}%" in page
    assert "Before the new season 1 alarm had rung" in page
