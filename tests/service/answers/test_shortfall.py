"""The words of a shortfall, and the one cause that no request names: a model without an opinion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.bundles.bundle import read_bundle
from models.history import History
from service.answers.recommendation import Recommendation
from service.answers.shortfall import shortfall_words
from service.answers.tiers import Ranking
from service.bundles.serving import ServingBundle
from service.scoring.masks import NO_ITEMS, Masks
from service.scoring.scorer import ScoringJob
from tests.support.bundles import tiny_bundle


@pytest.mark.parametrize(
    ("causes", "said"),
    [
        ([], "2 of 5: there are only 9 items"),
        (["a"], "2 of 5: of 9 items, a leaves no more"),
        (["a", "b"], "2 of 5: of 9 items, a and b leave no more"),
        (["a", "b", "c"], "2 of 5: of 9 items, a, b and c leave no more"),
    ],
)
def test_causes_are_put_into_one_sentence(causes: list[str], said: str) -> None:
    assert shortfall_words(2, 5, "9 items", causes) == said


@pytest.mark.parametrize(("excluded", "blames_the_model"), [([], True), ([*range(2, 40)], False)])
def test_a_model_without_an_opinion_is_named_where_more_would_be_allowed(
    tmp_path: Path, excluded: list[int], blames_the_model: bool
) -> None:
    serving = ServingBundle(read_bundle(tiny_bundle(tmp_path)))
    events = serving.encode(History.empty())
    masks = Masks(NO_ITEMS, np.array(excluded, np.int32), serving.allowed(None))
    job = ScoringJob(serving, events, None, masks, 5, variant="als")
    ranking = Ranking(np.array([0, 1], np.int32), np.ones(2, np.float32), "student")
    answer = Recommendation(job, ranking, serving.labels.of(ranking.item_indices), [1.0, 1.0], None)
    assert ("the model als, which has no opinion of the others" in str(answer.shortfall)) is blames_the_model
