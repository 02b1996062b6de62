"""What the scoring thread makes of a mixed batch: every job as if it were alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.bundles.bundle import read_bundle, write_bundle
from models.history import Event, History, encode_history
from models.scan import ScanQuery
from models.student import Floats
from service.bundles.serving import ServingBundle
from service.contract.schemas import Filter
from service.scoring.masks import Masks
from service.scoring.scorer import Scored, ScoringJob, score_batch
from tests.support.bundles import tiny_contents, tiny_cooccurrence

IN_THREE_BLOCKS = History.from_events([Event(0, 1), Event(1, 2), Event(2, 3)])
"""Its vector has thirds in it, which float16 cannot hold exactly."""


@pytest.fixture
def smaller(tmp_path: Path) -> ServingBundle:
    return ServingBundle(read_bundle(write_bundle(tmp_path, tiny_contents(n_items=20))))


def job(serving: ServingBundle, *own: int, wanted: Filter | None = None, limit: int = 5) -> ScoringJob:
    history = History.from_events(Event(index, step) for step, index in enumerate(own))
    return job_of(serving, history, wanted=wanted, limit=limit)


def job_of(
    serving: ServingBundle,
    history: History,
    vector: Floats | None = None,
    *,
    wanted: Filter | None = None,
    limit: int = 5,
    is_explained: bool = False,
) -> ScoringJob:
    """The question of somebody with this history, their own items masked; vector: one that is known already."""
    events, masks = encode_history(history), Masks(history.item_indices, allowed=serving.allowed(wanted))
    asked = None if vector is None else ScanQuery(vector, events, masks.own)
    return ScoringJob(serving, events, asked, masks, limit, explained=history if is_explained else None)


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
    [fresh] = score_batch([job_of(serving, IN_THREE_BLOCKS, limit=10)])
    stored = fresh.query.vector.astype(np.float16).astype(np.float32)
    [cached] = score_batch([job_of(serving, IN_THREE_BLOCKS, stored, limit=10)])
    assert fresh.scores.tolist() == cached.scores.tolist()


def test_only_missing_vectors_are_computed(serving: ServingBundle) -> None:
    runs: list[int] = []
    [first] = score_batch([job(serving, 1)], runs.append)
    known = job_of(serving, IN_THREE_BLOCKS, first.query.vector)
    score_batch([known, job(serving, 2), job(serving, 3)], runs.append)
    assert runs == [1, 2]


@pytest.fixture
def boosting(tmp_path: Path) -> ServingBundle:
    """Item i speaks for item i + 1 more than anything else does."""
    cooccurrence = tiny_cooccurrence(np.full((40, 1), 8.0, np.float32))
    return ServingBundle(
        read_bundle(write_bundle(tmp_path / "boosting", tiny_contents(cooccurrence=cooccurrence)))
    )


def test_what_goes_with_a_persons_items_comes_first(boosting: ServingBundle) -> None:
    one, two = score_batch([job(boosting, 5), job(boosting, 10, 20)])
    assert one.item_indices[0] == 6
    assert sorted(two.item_indices[:2].tolist()) == [11, 21]


def test_known_vector_scores_with_the_boosts_of_its_own_history(boosting: ServingBundle) -> None:
    [fresh] = score_batch([job(boosting, 5)])
    other = History.from_events([Event(9, 1)])
    [cached] = score_batch([job_of(boosting, other, fresh.query.vector)])
    assert cached.item_indices[0] == 10


def test_explanation_counts_what_goes_with_an_item(boosting: ServingBundle) -> None:
    history = History.from_events([Event(5, 1), Event(11, 2)])
    [scored] = score_batch([job_of(boosting, history, limit=2, is_explained=True)])
    assert scored.explanations is not None
    named = {
        int(item): explanation.reasons[0].item_index
        for item, explanation in zip(scored.item_indices, scored.explanations, strict=True)
    }
    assert named == {6: 5, 12: 11}
    assert all(explanation.reasons[0].contribution > 7 for explanation in scored.explanations)


def test_members_are_told_of_the_vector_that_was_scored(serving: ServingBundle) -> None:
    history, wanted = History.from_events([Event(1, 1)]), Filter(categories=["block-2"])
    of_block_2 = serving.student.user_vectors([History.from_events([Event(2, 1)])])[0]
    for vector, strongest in ((None, "popular"), (of_block_2, "blocks")):
        asked = job_of(serving, history, vector, wanted=wanted, limit=1, is_explained=True)
        [scored] = score_batch([asked])
        assert scored.explanations is not None
        assert scored.explanations[0].members[0].member == strongest


def test_nothing_is_explained_unless_asked_for(serving: ServingBundle) -> None:
    [scored] = score_batch([job(serving, 1)])
    assert scored.explanations is None


@pytest.mark.parametrize("limit", [1, 5, 30])
def test_answer_that_cannot_be_full_holds_what_there_is(serving: ServingBundle, limit: int) -> None:
    history = History.from_events([Event(1, 1)])
    [scored] = score_batch([job_of(serving, history, wanted=Filter(max_price=4.0), limit=limit)])
    assert sorted(scored.item_indices.tolist()) == [0, 2, 3][:limit] or limit == 1
    assert len(scored.item_indices) == len(scored.scores) == min(limit, 3)


def test_only_a_search_and_nothing_else_is_quick(serving: ServingBundle) -> None:
    history = History.from_events([Event(1, 1)])
    known = serving.stranger[0]
    assert job_of(serving, history, known).is_quick
    assert job_of(serving, history, known, wanted=Filter(max_price=4.0)).is_quick
    assert not job_of(serving, history).is_quick
    assert not job_of(serving, history, known, is_explained=True).is_quick
