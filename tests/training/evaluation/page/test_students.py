"""What the page says of explanations, where only some of it was measured."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.support.evaluations import example_evaluation, example_explanations, example_serving
from training.evaluation.page.render import render
from training.evaluation.page.report import assemble

SHARES = "it\nnames the strongest member of <b>68.3\N{NO-BREAK SPACE}%</b> of the items right; naming always"


def page_without(*figures: str) -> str:
    evaluation = example_evaluation()
    evaluation.explanations = replace(example_explanations(), **dict.fromkeys(figures))
    return render(assemble(evaluation, example_serving()))


def test_the_page_tells_how_true_members_shares_are() -> None:
    page = page_without()
    assert SHARES in page
    assert "41.7\N{NO-BREAK SPACE}%" in page
    assert "A share is wrong by 3.7\N{NO-BREAK SPACE}% on average" in page
    assert "correlation of estimated and true contributions" in page


@pytest.mark.parametrize("figure", ["member_shares_top_agreement", "member_shares_fidelity"])
def test_explanations_without_members_shares_are_still_told(figure: str) -> None:
    page = page_without("member_shares_top_agreement", "member_shares_fidelity")
    assert "97.1\N{NO-BREAK SPACE}%" in page
    assert SHARES not in page
    assert (SHARES in page_without(figure)) is (figure != "member_shares_top_agreement")


def test_members_shares_are_told_where_nothing_could_be_removed() -> None:
    page = page_without("removal_pass_rate", "low", "high")
    assert SHARES in page
    assert "The test takes that item away" not in page
