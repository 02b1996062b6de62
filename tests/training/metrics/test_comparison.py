from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.blocks import N_ITEMS, block_dataset
from training.data.split import Split, split_by_time
from training.metrics.comparison import (
    difference_intervals,
    metrics_table,
    ratio_interval,
    retention,
    retention_by_people,
)
from training.metrics.protocols import Outcome, draw_candidates, measure, random_scores

N = N_ITEMS + 1


@pytest.fixture(scope="module")
def split() -> Split:
    return split_by_time(block_dataset(), validation_share=0.2, test_share=0.2, new_people_share=0.25, seed=0)


@pytest.fixture(scope="module")
def teacher(split: Split) -> Outcome:
    return measure(random_scores(N, seed=1), split.test, draw_candidates(split.test, N, seed=0))


def scaled(outcome: Outcome, factor: float) -> Outcome:
    """As if everybody had been served `factor` as well."""
    return replace(
        outcome,
        hit=factor * outcome.hit,
        ndcg=factor * outcome.ndcg,
        catalogue_ndcg=factor * outcome.catalogue_ndcg,
    )


def test_a_difference_that_all_people_share_has_no_width(teacher: Outcome) -> None:
    better = replace(teacher, ndcg=teacher.ndcg + 0.25)
    found = difference_intervals(
        {"ours": better, "other": teacher}, {"ours": 0.5, "other": 0.5}, "ours", ["other"], seed=0
    )
    assert found["ours_minus_other"]["ndcg@10"] == pytest.approx((0.25, 0.25))
    assert found["ours_minus_other"]["accuracy"] == (0.0, 0.0)


def test_two_rankings_by_chance_differ_by_nothing_that_can_be_claimed(split: Split, teacher: Outcome) -> None:
    other = measure(random_scores(N, seed=2), split.test, draw_candidates(split.test, N, seed=0))
    found = difference_intervals(
        {"ours": teacher, "other": other}, {"ours": 0.5, "other": 0.5}, "ours", ["other"], seed=0
    )
    low, high = found["ours_minus_other"]["catalogue_ndcg@20"]
    assert low < 0.0 < high


def test_retention_is_a_ratio_of_means_and_paired(split: Split, teacher: Outcome) -> None:
    good = replace(teacher, hit=teacher.hit + 0.1, ndcg=teacher.ndcg + 0.1, catalogue_ndcg=teacher.ndcg + 0.1)
    table = retention_by_people(scaled(good, 0.9), good, split.test, split, seed=0)
    is_new = split.is_new[split.test.user_indices]
    assert list(table) == ["known_people", "new_people"]
    assert table["new_people"]["ndcg@10"].n_people == is_new.sum()
    for metrics_of_group in table.values():
        for part in metrics_of_group.values():
            assert [part.value, part.low, part.high] == pytest.approx([0.9] * 3)


def test_retention_looks_at_the_chosen_people_alone(teacher: Outcome) -> None:
    rows = np.arange(len(teacher.ndcg)) % 2 == 0
    teacher = replace(teacher, ndcg=teacher.ndcg + 0.1)  # chance may give some people nothing at all
    half = replace(teacher, ndcg=np.where(rows, 0.5, 1.0) * teacher.ndcg)
    assert retention(half, teacher, rows, seed=0)["ndcg@10"].value == pytest.approx(0.5)
    assert retention(half, teacher, ~rows, seed=0)["ndcg@10"].value == pytest.approx(1.0)


def test_a_ratio_interval_agrees_with_the_normal_approximation() -> None:
    rng = np.random.default_rng(0)
    theirs = rng.uniform(0.5, 1.5, 2_000)
    ours = 0.9 * theirs + rng.normal(0, 0.2, 2_000)
    low, high = ratio_interval(ours, theirs, seed=1)
    ratio = ours.mean() / theirs.mean()
    half_width = 1.96 * (ours - ratio * theirs).std() / np.sqrt(2_000) / theirs.mean()
    assert (low, high) == pytest.approx((ratio - half_width, ratio + half_width), abs=0.1 * half_width)


def test_a_group_with_nobody_in_it_is_left_out(split: Split, teacher: Outcome) -> None:
    nobody_new = replace(split, is_new=np.zeros_like(split.is_new))
    assert list(retention_by_people(teacher, teacher, split.test, nobody_new, seed=0)) == ["known_people"]


def test_the_table_has_novelty_and_bias_where_shares_are_given(teacher: Outcome) -> None:
    shares = np.full(N, 0.5)
    table = metrics_table({"random": teacher}, {"random": 0.5}, shares)
    assert table["random"]["novelty"] == 1.0
    assert table["random"]["popularity_bias"] == 0.0
    assert "novelty" not in metrics_table({"random": teacher}, {"random": 0.5})["random"]
