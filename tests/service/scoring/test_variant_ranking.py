"""Answers of the ensemble and of members: masked, filtered and cut as the student's are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.bundles.bundle import read_bundle, write_bundle
from models.history import Event, History, encode_history
from service.bundles.serving import ServingBundle
from service.contract.errors import NoOpinion, VariantFailed
from service.contract.schemas import Filter
from service.scoring.masks import NO_ITEMS, Masks
from service.scoring.scorer import Scored, ScoringJob, score_batch
from tests.support.bundles import N_BLOCKS, N_ITEMS, tiny_contents
from tests.support.variants import contents_with_variants

OWN = History.from_events([Event(1, 100), Event(5, 200)])
"""Two items of block 1."""
OF_BLOCK_1 = list(range(1, N_ITEMS, N_BLOCKS))


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> ServingBundle:
    path = write_bundle(tmp_path_factory.mktemp("store"), contents_with_variants())
    serving = ServingBundle(read_bundle(path))
    serving.load_variants()
    return serving


def job(
    serving: ServingBundle, variant: str, history: History = OWN, limit: int = 5, **masked: Any
) -> ScoringJob:
    masks = Masks(history.item_indices)._replace(**masked)
    return ScoringJob(serving, encode_history(history), None, masks, limit, variant=variant, history=history)


def answer(*jobs: ScoringJob) -> list[Scored]:
    return score_batch(jobs)


def items_of(job: ScoringJob) -> list[int]:
    return answer(job)[0].item_indices.tolist()


def test_a_member_answers_by_its_own_scores(serving: ServingBundle) -> None:
    assert items_of(job(serving, "popularity")) == [0, 2, 3, 4, 6]
    assert items_of(job(serving, "knn")) == OF_BLOCK_1[:-6:-1]


def test_the_ensemble_answers_by_all_of_them(serving: ServingBundle) -> None:
    variants = serving.variants
    assert variants is not None
    scores = variants.score("ensemble", [OWN])[0]
    found = answer(job(serving, "ensemble", own=NO_ITEMS))[0]
    assert found.item_indices.tolist() == np.argsort(-scores, kind="stable")[:5].tolist()
    np.testing.assert_array_equal(found.scores, scores[found.item_indices])


@pytest.mark.parametrize("variant", ["ensemble", "popularity", "als", "knn"])
def test_nothing_seen_excluded_or_filtered_is_answered(serving: ServingBundle, variant: str) -> None:
    allowed = serving.allowed(Filter(categories=["block-1", "block-2"]))
    excluded = np.array([9, 2], np.int32)
    found = items_of(job(serving, variant, limit=N_ITEMS, excluded=excluded, allowed=allowed))
    expected = {item for item in range(N_ITEMS) if item % N_BLOCKS in (1, 2)} - {1, 5, 9, 2}
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_a_member_may_show_again_what_was_seen(serving: ServingBundle) -> None:
    assert 5 in items_of(job(serving, "knn", own=NO_ITEMS, limit=N_ITEMS))


def test_a_variant_and_the_student_share_a_batch(serving: ServingBundle) -> None:
    jobs = [job(serving, variant) for variant in ("student", "knn", "student", "popularity", "ensemble")]
    together, alone = answer(*jobs), [answer(each)[0] for each in jobs]
    for one, other in zip(together, alone, strict=True):
        assert one.item_indices.tolist() == other.item_indices.tolist()
        np.testing.assert_allclose(one.scores, other.scores)


def test_a_variant_is_asked_beyond_what_the_student_reads(serving: ServingBundle) -> None:
    own = History.from_events([Event(0, 1), Event(1, 2)])
    asked = job(serving, "als", own)
    asked.events = encode_history(own, 1)
    assert items_of(asked) == items_of(job(serving, "als", own))
    latest = job(serving, "als", own.last(1), limit=N_ITEMS)
    assert items_of(job(serving, "als", own, limit=N_ITEMS)) != items_of(latest)


def test_who_a_member_says_nothing_of_fails_alone(serving: ServingBundle) -> None:
    nobody, somebody, student = answer(
        job(serving, "als", History.empty()),
        job(serving, "als"),
        job(serving, "student", History.empty()),
    )
    assert isinstance(nobody.failure, NoOpinion)
    assert not len(nobody.item_indices)
    assert (somebody.failure, student.failure) == (None, None)
    assert len(somebody.item_indices) == len(student.item_indices) == 5


def test_a_variant_that_is_not_there_fails_alone(serving: ServingBundle) -> None:
    unknown, student = answer(job(serving, "nobody"), job(serving, "student"))
    assert isinstance(unknown.failure, VariantFailed)
    assert len(student.item_indices) == 5


def test_a_variant_that_is_not_loaded_fails_alone(tmp_path: Path) -> None:
    student_alone = ServingBundle(read_bundle(write_bundle(tmp_path, tiny_contents())))
    unloaded, student = answer(job(student_alone, "ensemble"), job(student_alone, "student"))
    assert isinstance(unloaded.failure, VariantFailed)
    assert "is not loaded" in str(unloaded.failure)
    assert len(student.item_indices) == 5


def test_diversity_chooses_from_a_variants_list_too(serving: ServingBundle) -> None:
    asked = job(serving, "knn")
    asked.diversity = 0.9
    found = answer(asked)[0].item_indices
    assert len(set((found % N_BLOCKS).tolist())) > 1
