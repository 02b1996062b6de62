"""What the scoring thread makes of a mixed batch: every job as if it were alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.bundle import read_bundle, write_bundle
from models.history import Event, History
from service.masks import Masks
from service.schemas import Filter
from service.scoring.scorer import Scored, ScoringJob, score_batch
from service.serving import ServingBundle
from tests.support.bundles import tiny_bundle, tiny_contents

IN_THREE_BLOCKS = History.from_events([Event(0, 1), Event(1, 2), Event(2, 3)])
"""Its vector has thirds in it, which float16 cannot hold exactly."""


@pytest.fixture
def serving(tmp_path: Path) -> ServingBundle:
    return ServingBundle(read_bundle(tiny_bundle(tmp_path)))


@pytest.fixture
def smaller(tmp_path: Path) -> ServingBundle:
    return ServingBundle(read_bundle(write_bundle(tmp_path, tiny_contents(n_items=20))))


def job(serving: ServingBundle, *own: int, wanted: Filter | None = None, limit: int = 5) -> ScoringJob:
    history = History.from_events(Event(index, step) for step, index in enumerate(own))
    return ScoringJob(serving, history, None, Masks.build(serving, history, [], wanted), limit)


def assert_same(one: Scored, other: Scored) -> None:
    assert one.item_indices.tolist() == other.item_indices.tolist()
    assert np.allclose(one.scores, other.scores)


def test_filters_of_one_batch_do_not_mix(serving: ServingBundle) -> None:
    jobs = [
        job(serving, 1),
        job(serving, 1, wanted=Filter(max_price=20.0)),
        job(serving, 1, wanted=Filter(categories=["block-2"])),
        job(serving, 2, wanted=Filter(max_price=20.0)),
    ]
    for together, one in zip(score_batch(jobs), jobs, strict=True):
        assert_same(together, score_batch([one])[0])


def test_bundles_of_one_batch_do_not_mix(serving: ServingBundle, smaller: ServingBundle) -> None:
    jobs = [job(serving, 1, limit=40), job(smaller, 1, limit=40), job(serving, 2), job(smaller, 3)]
    scored = score_batch(jobs)
    assert [len(result.item_indices) for result in scored] == [39, 19, 5, 5]
    for together, one in zip(scored, jobs, strict=True):
        assert_same(together, score_batch([one])[0])


def test_limits_of_one_batch_do_not_mix(serving: ServingBundle) -> None:
    scored = score_batch([job(serving, 1, limit=limit) for limit in (1, 7, 3)])
    assert [len(result.item_indices) for result in scored] == [1, 7, 3]


def test_fresh_vector_scores_exactly_as_the_stored_one_does(serving: ServingBundle) -> None:
    masks = Masks.build(serving, IN_THREE_BLOCKS, [], None)
    [fresh] = score_batch([ScoringJob(serving, IN_THREE_BLOCKS, None, masks, 10)])
    stored = fresh.vector.astype(np.float16).astype(np.float32)
    [cached] = score_batch([ScoringJob(serving, IN_THREE_BLOCKS, stored, masks, 10)])
    assert fresh.scores.tolist() == cached.scores.tolist()


def test_only_missing_vectors_are_computed(serving: ServingBundle) -> None:
    runs: list[int] = []
    [first] = score_batch([job(serving, 1)], runs.append)
    known = ScoringJob(
        serving, IN_THREE_BLOCKS, first.vector, Masks.build(serving, IN_THREE_BLOCKS, [], None), 5
    )
    score_batch([known, job(serving, 2), job(serving, 3)], runs.append)
    assert runs == [1, 2]
