from __future__ import annotations

from rich.console import Console

from tests.support.evaluations import example_evaluation
from training.evaluation.summary import quality_table


def printed() -> str:
    console = Console(width=118)
    with console.capture() as capture:
        console.print(quality_table(example_evaluation()))
    return capture.get()


def test_each_protocol_has_its_table() -> None:
    text = printed()
    assert "next basket, test slice" in text
    assert "leave last out, test slice" in text


def test_nothing_is_cut_off_in_a_terminal_of_118_columns() -> None:
    text = printed()
    assert "…" not in text
    assert "student, not distilled" in text


def test_a_model_stands_beside_its_figures() -> None:
    (row,) = [line for line in printed().splitlines() if "ALS" in line and "0.528" in line]
    assert "0.723" in row  # hr@10
