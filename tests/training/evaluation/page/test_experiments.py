from __future__ import annotations

from tests.support.simulations import example_study
from training.evaluation.page.experiments import experiments
from training.evaluation.page.render import render
from training.quality.schema import Quality


def test_false_stops_stand_beside_their_stated_rate() -> None:
    [row, *_] = experiments(Quality(experiments=example_study()))["table"].rows
    assert [cell.text for cell in row.cells] == [
        "5.0\N{NO-BREAK SPACE}%",
        "3.0\N{NO-BREAK SPACE}%",
        "0.6 to 8.5\N{NO-BREAK SPACE}%",
        "3",
    ]


def test_columns_are_called_what_they_hold() -> None:
    columns = experiments(Quality(experiments=example_study()))["table"].columns
    assert [column.title for column in columns] == [
        "stated rate",
        "share stopped",
        "95 % interval",
        "experiments stopped",
    ]


def test_three_curves_are_drawn() -> None:
    plots = experiments(Quality(experiments=example_study()))["plots"]
    assert [str(plot).count("<svg") for plot in plots] == [1, 1, 1]


def test_the_page_says_how_soon_the_lift_was_found() -> None:
    page = render(Quality(schema_version=1, experiments=example_study()))
    assert "was found in 10 of 20 experiments" in page
