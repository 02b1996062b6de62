"""Who is named when models stop agreeing, in which slice, and how seldom anybody is where nothing happened."""

from __future__ import annotations

import numpy as np
import pytest

from models.monitoring.agreement import Floats, rank_correlations, top_items, top_overlaps
from models.monitoring.disagreement import DisagreementReference, Scored, judge, reference_of
from models.monitoring.slices import ALL

MODELS = ["content", "als", "ease", "student", "ensemble"]
N_ITEMS = 120
SHORT, LONG = "history 1-4", "history 20+"


def scored(n_requests: int, seed: int, *, broken: str = "", only: str = "") -> Scored:
    """Models that see one truth, each with noise of its own. broken: a model that sees nothing, of requests of the
    slice `only`, or all.
    """
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal((n_requests, N_ITEMS))
    noise = np.array([1.5, 0.8, 0.6, 0.4, 0.3])
    exact = truth + noise[:, None, None] * rng.standard_normal((5, n_requests, N_ITEMS))
    slices = [[ALL, LONG if row % 3 == 0 else SHORT] for row in range(n_requests)]
    if broken:
        is_broken = np.array([only in ("", each[1]) for each in slices])
        exact[MODELS.index(broken), is_broken] = rng.standard_normal((is_broken.sum(), N_ITEMS))
    ranked: Floats = exact.astype(np.float32)
    nobody = [np.zeros(0, np.int32)] * n_requests
    tops = np.stack([top_items(own, nobody, np.ones(own.shape[1], np.bool_)) for own in ranked])
    return Scored(
        {"rank_correlation": rank_correlations(ranked), "top10_overlap": top_overlaps(tops)}, slices
    )


@pytest.fixture(scope="module")
def reference() -> DisagreementReference:
    made = reference_of(MODELS, scored(600, 0), [1.0, 2.0], n_window=150, seed=0)
    assert made is not None
    return made


def test_models_that_agree_as_ever_raise_no_alarm(reference: DisagreementReference) -> None:
    assert not any(judge(reference, scored(150, seed)).moved for seed in range(1, 21))


@pytest.mark.parametrize("broken", ["content", "als", "student", "ensemble"])
def test_the_model_that_left_is_named_and_not_those_that_disagree_with_it(
    reference: DisagreementReference, broken: str
) -> None:
    moved = judge(reference, scored(150, 99, broken=broken)).moved
    assert {each.model for each in moved} == {broken}
    assert ALL in {each.slice for each in moved}


def test_the_slice_that_moved_is_named(reference: DisagreementReference) -> None:
    moved = judge(reference, scored(150, 98, broken="student", only=LONG)).moved
    assert LONG in {each.slice for each in moved}
    assert SHORT not in {each.slice for each in moved}


def test_a_window_says_how_far_each_model_agrees_with_the_ensemble(reference: DisagreementReference) -> None:
    means = judge(reference, scored(150, 3)).means["rank_correlation"]
    assert list(means) == MODELS[:-1]
    assert means["student"] > means["ease"] > means["content"] > 0.3


def test_a_request_whose_answer_tells_nothing_of_the_student_still_counts_for_the_others(
    reference: DisagreementReference,
) -> None:
    window = scored(150, 4)
    window.agreements["top10_overlap"][:, 3, :] = np.nan
    window.agreements["top10_overlap"][:, :, 3] = np.nan
    found = judge(reference, window)
    assert np.isnan(found.means["top10_overlap"]["student"])
    assert found.means["top10_overlap"]["ease"] > 0
    assert not found.moved


def test_a_slice_with_few_requests_is_not_judged(reference: DisagreementReference) -> None:
    window = scored(80, 5, broken="student", only=LONG)  # 27 long histories
    assert LONG not in {each.slice for each in judge(reference, window).moved}


def test_too_little_reference_traffic_makes_no_reference() -> None:
    assert reference_of(MODELS, scored(40, 0), [1.0, 2.0], n_window=150, seed=0) is None


def test_the_threshold_is_exceeded_as_often_as_stated() -> None:
    made = reference_of(MODELS, scored(2_000, 0), [1.0, 2.0], n_window=150, seed=0, false_alarm_rate=0.1)
    assert made is not None
    strictest = reference_of(MODELS, scored(2_000, 0), [1.0, 2.0], n_window=150, seed=0)
    assert strictest is not None
    assert 2.5 < made.threshold < strictest.threshold < 6
