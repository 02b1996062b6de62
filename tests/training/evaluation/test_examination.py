from __future__ import annotations

import numpy as np
import pytest

from tests.support.blocks import N_ITEMS, block_dataset
from training.data.split import Split, split_by_time
from training.evaluation.assessment import Assessment
from training.evaluation.examination import candidates_of
from training.metrics.protocols import draw_candidates


@pytest.fixture(scope="module")
def split() -> Split:
    return split_by_time(block_dataset(), validation_share=0.2, test_share=0.2)


@pytest.fixture(scope="module")
def assessment(split: Split) -> Assessment:
    return Assessment(draw_candidates(split.test, N_ITEMS + 1, seed=0), {}, {})


def test_studied_candidates_are_those_of_the_studied_questions(split: Split, assessment: Assessment) -> None:
    questions = split.test.some(10, seed=4)
    candidates = candidates_of(assessment, split, 10, seed=4)
    assert len(candidates.target_items) == len(candidates.negatives) == len(questions) == 10
    rows = np.flatnonzero(np.isin(split.test.user_indices, questions.user_indices))
    for place, row in enumerate(rows):
        assert candidates.target_items[place] is assessment.candidates.target_items[row]
        assert candidates.negatives[place] is assessment.candidates.negatives[row]


def test_where_all_questions_are_studied_so_are_all_candidates(split: Split, assessment: Assessment) -> None:
    assert candidates_of(assessment, split, len(split.test), seed=4) is assessment.candidates
