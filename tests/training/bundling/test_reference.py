"""What a bundle expects of live traffic: from which events, in which bins, and how alike windows of them are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.history import Event, History
from models.index import AllowedItems
from models.monitoring import inputs
from models.monitoring.agreement import ENSEMBLE, STUDENT
from models.monitoring.reference import Reference
from models.packed_histories import Histories
from models.scan import Ranked
from models.student import Student
from tests.support.bundles import N_ITEMS, tiny_contents, tiny_items, tiny_student, with_unavailable
from training.bundling.reference import (
    RANKED,
    Traffic,
    build_reference,
    reference_start,
    watched,
    with_effects,
)

DAY = 86_400


def person(*items: int, start: int = 0) -> History:
    """One event a day."""
    return History.from_events(Event(item, (start + number) * DAY, 1) for number, item in enumerate(items))


def test_traffic_is_the_last_events_in_order_with_what_was_known_before_each() -> None:
    histories = Histories.from_list([person(1, 2, 2, 3), person(7, 8, start=2)])
    traffic = Traffic.since(histories, 2 * DAY)
    assert traffic.times.tolist() == [2 * DAY, 2 * DAY, 3 * DAY, 3 * DAY]
    assert traffic.item_indices.tolist() == [2, 7, 3, 8]
    assert traffic.history_before(0).item_indices.tolist() == [1, 2]
    assert len(traffic.history_before(1)) == 0
    assert traffic.history_before(2).item_indices.tolist() == [1, 2, 2]  # how often counts
    assert traffic.history_before(2).times.tolist() == [0, DAY, 2 * DAY]


def test_the_reference_starts_where_the_test_slice_does() -> None:
    histories = Histories.from_list([person(*range(10))])
    assert reference_start(histories, 0.2) == int(7.2 * DAY)


@pytest.fixture(scope="module")
def reference() -> Reference:
    """Of a hundred people with one to ten items each; item 39 is new at the end."""
    rng = np.random.default_rng(0)
    people = [person(*rng.permutation(39)[: 1 + number % 10], start=number % 7) for number in range(100)]
    people += [person(5, 39, start=9)] * 2
    histories, items = Histories.from_list(people), tiny_items()
    first_seen = np.zeros(N_ITEMS, np.int64)
    first_seen[39] = 10 * DAY
    student = Student(tiny_student(items))
    models = {"blocks": student.catalogue_scores, STUDENT: student.catalogue_scores}
    models[ENSEMBLE] = student.catalogue_scores
    made = build_reference(histories, items, student, models, first_seen=first_seen, test_share=0.8, seed=0)
    return Reference.from_json(made)


def test_every_input_is_counted_over_the_same_requests(reference: Reference) -> None:
    assert set(reference.inputs) == set(inputs.WORDS)
    n_events = sum(reference.inputs[inputs.EVENT_KIND].counts)
    assert n_events == sum(reference.inputs[inputs.HISTORY_LENGTH].counts)
    assert sum(reference.inputs[inputs.TOP_SCORE].counts) == n_events
    n_new = sum(reference.inputs[inputs.HISTORY_LENGTH].counts[:1])
    assert sum(reference.inputs[inputs.RECENCY_DAYS].counts) == n_events - n_new


def test_events_of_items_that_were_new_then_are_unknown_ones(reference: Reference) -> None:
    assert reference.inputs[inputs.UNKNOWN_ITEM].counts[1] == 2
    n_events = sum(reference.inputs[inputs.EVENT_KIND].counts)
    assert sum(reference.inputs[inputs.CATEGORY].counts) == n_events - 2


def test_models_that_are_one_agree_wholly(reference: Reference) -> None:
    assert reference.disagreement is not None
    assert reference.disagreement.models == ["blocks", STUDENT, ENSEMBLE]
    known = reference.disagreement.slices["history 1-4"]  # this student has no opinion of strangers
    assert np.array(known.means["rank_correlation"]) == pytest.approx(1.0)
    assert 80 < reference.disagreement.slices["all"].n <= 102  # one request a person


def test_independent_numbers_have_no_design_effect() -> None:
    found = with_effects(np.random.default_rng(0).integers(0, 4, 20_000), range(5))
    assert max(found.design_effects.values()) < 1.3
    assert found.tail_degrees is not None
    assert found.tail_degrees > 1.5


def test_numbers_that_come_in_runs_have_one_as_large_as_the_runs() -> None:
    runs = np.repeat(np.random.default_rng(0).integers(0, 4, 4_000), 5)
    found = with_effects(runs, range(5))
    assert found.design_effects["125"] == pytest.approx(5, rel=0.25)


def test_the_effect_grows_where_the_world_does_not_stand_still() -> None:
    drifting = (np.random.default_rng(0).random(20_000) + np.arange(20_000) / 20_000).astype(int)
    effects = with_effects(drifting, [0, 1, 2]).design_effects
    assert effects["4000"] > 10 * effects["125"]


def test_too_little_traffic_has_no_effects() -> None:
    assert with_effects(np.arange(100), [0, 50, 100]).design_effects == {}


def test_reference_answers_hold_what_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores of today's answers are compared with these."""
    items = with_unavailable(tiny_contents(), range(20)).items
    student = Student(tiny_student(items))
    histories = [person(20 + block) for block in range(4)]
    found = watched(student, histories, items.recommendable, RANKED)
    assert min(request.served.min() for request in found if request.served is not None) >= 20
    masks: list[AllowedItems | None] = []
    recommend, scores = student.recommend, student.catalogue_scores

    def recommend_and_note(*args: Any, **how: Any) -> Ranked:
        masks.append(how.get("allowed"))
        return recommend(*args, **how)

    monkeypatch.setattr(student, "recommend", recommend_and_note)
    models = {"blocks": scores, STUDENT: scores, ENSEMBLE: scores}
    people = Histories.from_list([person(*range(20, 26), start=number) for number in range(60)])
    first_seen = np.zeros(N_ITEMS, np.int64)
    build_reference(people, items, student, models, first_seen=first_seen, test_share=0.8, seed=0)
    assert masks
    assert all(allowed is items.recommendable for allowed in masks)
