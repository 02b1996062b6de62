"""Who is named when models stop agreeing, in which slice, and how seldom anybody is where nothing happened."""

from __future__ import annotations

import numpy as np
import pytest

from models.monitoring.agreement import MEASURES, Floats, rank_correlations, top_items, top_overlaps
from models.monitoring.disagreement import (
    DisagreementReference,
    Scored,
    SliceReference,
    _resampled_shifts,
    judge,
    reference_of,
)
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
    everything, nothing = np.ones(N_ITEMS, np.bool_), [np.zeros(0, np.int32)] * n_requests
    tops = np.stack([top_items(own, everything, nothing) for own in ranked])
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


def expecting(deviation: float, n: int, threshold: float) -> DisagreementReference:
    """All models agree with all at 0.8, as n requests showed."""
    means = (0.8 + 0.2 * np.eye(5)).tolist()
    deviations = np.full((5, 5), deviation).tolist()
    own = SliceReference(n, dict.fromkeys(MEASURES, means), dict.fromkeys(MEASURES, deviations))
    return DisagreementReference(MODELS, {ALL: own}, [1.0, 2.0], threshold, 100, 0.001)


def agreeing(n: int, drop: float) -> Scored:
    """n requests of which the student agrees less with everybody."""
    each = np.full((5, 5), 0.8) + 0.2 * np.eye(5)
    each[3, :3] -= drop
    each[:3, 3] -= drop
    each[3, 4] -= drop
    each[4, 3] -= drop
    return Scored({name: np.repeat(each[None], n, axis=0) for name in MEASURES}, [[ALL]] * n)


@pytest.mark.parametrize(("drop", "blamed"), [(0.0, []), (0.049, []), (0.051, ["student"])])
def test_nobody_is_blamed_for_less_than_a_twentieth_of_agreement(drop: float, blamed: list[str]) -> None:
    moved = judge(expecting(0.05, 400, 4.0), agreeing(100, drop)).moved
    assert [each.model for each in moved] == blamed


@pytest.mark.parametrize(("deviation", "counted"), [(0.05, 0.05), (0.0, 0.01)])
def test_shift_is_in_standard_errors_of_window_and_reference_together(
    deviation: float, counted: float
) -> None:
    """A model that never varied is believed to vary by a hundredth."""
    (moved,) = judge(expecting(deviation, 400, 4.0), agreeing(100, 0.06)).moved
    assert moved.shift == pytest.approx(0.06 / (counted * np.sqrt(1 / 100 + 1 / 400)))
    assert moved.drop == pytest.approx(0.06)


@pytest.mark.parametrize(("n", "blamed"), [(29, []), (30, ["student"])])
def test_thirty_requests_are_enough_to_be_judged(n: int, blamed: list[str]) -> None:
    assert [each.model for each in judge(expecting(0.05, 400, 4.0), agreeing(n, 0.3)).moved] == blamed


@pytest.mark.parametrize("n", [49, 50])
def test_fifty_requests_make_a_reference(n: int) -> None:
    made = reference_of(MODELS, scored(n, 0), [1.0, 2.0], n_window=40, seed=0)
    assert (made is not None) == (n == 50)


def test_one_window_in_a_thousand_exceeds_the_threshold_unless_asked_otherwise() -> None:
    """Of 20,000 windows drawn anew from the reference 20 should, give or take 6 for either draw."""
    traffic = scored(100, 0)
    made = reference_of(MODELS, traffic, [1.0, 2.0], n_window=100, seed=0)
    assert made is not None
    masks = {name: traffic.of_slice(name) for name in made.slices}
    drawn = _resampled_shifts(traffic, made.slices, masks, 100, np.random.default_rng(1))
    assert 5 <= (drawn > made.threshold).sum() <= 45


def test_the_threshold_is_exceeded_as_often_as_stated() -> None:
    made = reference_of(MODELS, scored(2_000, 0), [1.0, 2.0], n_window=150, seed=0, false_alarm_rate=0.1)
    assert made is not None
    strictest = reference_of(MODELS, scored(2_000, 0), [1.0, 2.0], n_window=150, seed=0)
    assert strictest is not None
    assert 2.5 < made.threshold < strictest.threshold < 6
