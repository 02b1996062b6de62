"""What the study of explanations hands on to the report."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import cast

from rich.console import Console

from models.history import Event, History
from tests.support.bundles import tiny_items, tiny_member_shares, tiny_student
from training.base.progress import Stages
from training.data.split import Split
from training.evaluation.examination import study_explanations
from training.learning.fit import Learned
from training.recipe.settings import TrainingSettings
from training.student.member_shares import Fidelity, FittedShares

ITEMS = tiny_items()
FIDELITY = Fidelity({"blocks": 0.9, "popular": 0.8}, {"blocks": 0.7}, 0.6, 0.5, 0.04)


def test_explanations_are_judged_by_removal_and_by_the_fidelity_of_shares() -> None:
    compressed = SimpleNamespace(versions={"student_shipped": tiny_student(ITEMS)})
    shares = FittedShares(tiny_member_shares(ITEMS), FIDELITY)
    learned = cast(Learned, SimpleNamespace(compressed=compressed, shares=shares))
    of_two_blocks = History.from_events([Event(2, 1), Event(3, 2)])  # without one, the other counts for more
    split = cast(
        Split, SimpleNamespace(test=SimpleNamespace(histories=[of_two_blocks] * 4, recommendable=None))
    )
    stages = Stages(Console(file=io.StringIO()))
    found = study_explanations(split, learned, TrainingSettings(seed=1), stages)
    assert (found.n_people, found.removal_pass_rate) == (4, 1.0)
    assert found.member_shares_fidelity == FIDELITY.correlations
    assert found.member_shares_r2 == FIDELITY.r2
    assert found.member_shares_top_agreement == FIDELITY.top_agreement
    assert found.member_shares_commonest_top == FIDELITY.commonest_top
    assert found.member_shares_mean_error == FIDELITY.share_error
