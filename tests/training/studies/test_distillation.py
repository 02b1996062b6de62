"""The table of distillation: what each variant learns from, and figures that are known before any training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import pytest

from models.history import Event, History
from training.data.split import Questions
from training.members.member import Floats
from training.metrics.protocols import Outcome, ScoreFunction, draw_candidates, measure
from training.student.distill import DistillSettings
from training.student.soft_labels import SoftLabels
from training.studies.distillation import (
    AblationSettings,
    Variant,
    ablation,
    columns_of,
    lists,
    losses,
    variants,
    whole_examples,
)

N_ITEMS = 120
N_TOP, N_UNIFORM = 8, 8
DISTILL = DistillSettings()
PEOPLE = [History.from_events(Event(10 * p + step, step) for step in range(4)) for p in range(3)]


def soft_labels() -> SoftLabels:
    """Each person's whole history and three prefixes; item c has logit c % 7, and candidates rise by one."""
    histories = [history if not cut else first(history, cut) for history in PEOPLE for cut in (0, 1, 2, 3)]
    candidates = np.arange(len(histories))[:, None] + np.arange(N_TOP + N_UNIFORM)
    return SoftLabels(
        histories,
        np.full((len(histories), 2), -1, np.int32),
        candidates.astype(np.int32),
        (candidates % 7).astype(np.float16),
    )


def first(history: History, n_events: int) -> History:
    return History(history.item_indices[:n_events], history.times[:n_events], history.kinds[:n_events])


def knows(share: float) -> ScoreFunction:
    """Everybody's truth (item 100 + row) on top for the first `share` of the people, last for the others."""

    def score(histories: Sequence[History]) -> Floats:
        scores = np.tile(np.arange(N_ITEMS, 0, -1, dtype=np.float32), (len(histories), 1))
        for row in range(len(histories)):
            scores[row, 100 + row] = 1000.0 if row < share * len(histories) else -1.0
        return scores

    return score


@pytest.fixture
def questions() -> Questions:
    truth = [np.array([100 + row], np.int32) for row in range(8)]
    return Questions(np.arange(8, dtype=np.int32), [PEOPLE[0]] * 8, truth)


@pytest.fixture
def ensemble(questions: Questions) -> Outcome:
    return measure(knows(1.0), questions, draw_candidates(questions, N_ITEMS, seed=0))


def test_the_losses_are_those_of_the_table() -> None:
    found = losses(DISTILL)
    assert list(found) == [
        "no_distillation", "pointwise", "listwise_T1", "listwise_T2", "listwise_T4", "listwise_alone",
        "own_not_apart",
    ]  # fmt: skip
    assert not found["no_distillation"].is_soft
    assert found["no_distillation"].hard_weight > 0
    assert found["pointwise"].is_soft
    assert found["pointwise"].kl_weight == 0
    assert found["own_not_apart"] == replace(DISTILL, own_weight=0.0)
    assert found["listwise_alone"].kl_weight == DISTILL.kl_weight
    assert found["listwise_alone"].centred_weight == found["listwise_alone"].level_weight == 0


def test_a_temperature_changes_nothing_else() -> None:
    for name, temperature in (("listwise_T1", 1.0), ("listwise_T4", 4.0)):
        changed = [
            field.name
            for field in fields(DISTILL)
            if getattr(losses(DISTILL)[name], field.name) != getattr(DISTILL, field.name)
        ]
        assert changed == ["temperature"]
        assert losses(DISTILL)[name].temperature == temperature


def test_lists_by_origin_are_equally_long_and_lists_by_size_are_mixed() -> None:
    labels = soft_labels()
    found = lists(labels, N_TOP)
    assert {name: each.candidates.shape[1] for name, each in found.items()} == {
        "candidates_top": 8, "candidates_uniform": 8,
        "candidates_mixed_4": 4, "candidates_mixed_8": 8, "candidates_mixed_16": 16,
    }  # fmt: skip
    assert found["candidates_uniform"].candidates[0].tolist() == list(range(8, 16))
    assert sorted(found["candidates_top"].candidates[0]) == list(range(8))
    assert found["candidates_mixed_16"] is labels


def test_a_set_labelled_from_one_source_alone_has_no_other_lists() -> None:
    assert lists(soft_labels(), N_TOP + N_UNIFORM) == {}


def test_a_shorter_top_is_the_top_of_the_longer_one_and_logits_stay_with_their_items() -> None:
    short = columns_of(soft_labels(), N_TOP, 2, 1)
    assert short.candidates[0].tolist() == [6, 5, 8]  # of items 0 to 7, 7 has logit 0
    assert short.candidates[1].tolist() == [6, 5, 9]
    assert (short.logits == short.candidates % 7).all()


def test_seen_items_are_the_last_of_the_top() -> None:
    labels = soft_labels()
    labels.logits[0, 6] = -np.inf
    assert columns_of(labels, N_TOP, 2, 0).candidates[0].tolist() == [5, 4]


def test_whole_histories_are_known_among_the_examples() -> None:
    assert whole_examples(soft_labels(), PEOPLE).tolist() == [0, 4, 8]
    again = PEOPLE[0].extended(History.from_events([Event(0, 9)]))  # an item twice: examples have it once
    labels = replace(soft_labels(), histories=[again.distinct()])
    assert whole_examples(labels, [again, History.empty()]).tolist() == [0]


def test_whole_histories_alone_are_trained_for_as_many_steps() -> None:
    found = variants(
        soft_labels(), N_TOP, PEOPLE, DISTILL, AblationSettings(n_epochs=2, max_examples=1000), seed=0
    )
    assert len(found["listwise_T2"].labels) == 12
    assert found["listwise_T2"].distill.n_epochs == 2
    whole = found["no_subhistories"]
    assert sorted(map(len, whole.labels.histories)) == [4, 4, 4]
    assert whole.distill.n_epochs == 8


def test_examples_are_drawn_once_for_all_variants() -> None:
    few = AblationSettings(max_examples=100)
    many = replace(soft_labels(), histories=soft_labels().histories * 20)
    many = replace(
        many,
        next_items=np.tile(many.next_items, (20, 1)),
        candidates=np.tile(many.candidates, (20, 1)),
        logits=np.tile(many.logits, (20, 1)),
    )
    found = variants(many, N_TOP, PEOPLE, DISTILL, few, seed=0)
    shared = found["no_distillation"].labels
    assert len(shared) == 100
    assert all(found[name].labels is shared for name in losses(DISTILL))
    assert found["candidates_mixed_16"].labels is shared


def test_a_variant_is_measured_against_the_ensemble(questions: Questions, ensemble: Outcome) -> None:
    table = ablation(
        {"half": Variant(soft_labels(), DISTILL)},
        lambda labels, distill: knows(0.5),
        ensemble,
        questions,
        draw_candidates(questions, N_ITEMS, seed=0),
        seed=0,
    )
    row = table["half"]
    assert row["ndcg@10"] == row["retention_ndcg@10"] == 0.5
    assert row["catalogue_ndcg@20"] == row["retention_catalogue_ndcg@20"] == 0.5
    assert 0.0 < row["low"] < 0.5 < row["high"] < 1.0
    assert (row["ndcg_low"], row["ndcg_high"]) == (row["low"], row["high"])


def test_what_was_trained_before_is_not_trained_again(questions: Questions, ensemble: Outcome) -> None:
    trained: list[DistillSettings] = []

    def train(labels: SoftLabels, distill: DistillSettings) -> ScoreFunction:
        trained.append(distill)
        return knows(1.0)

    labels, other = soft_labels(), replace(DISTILL, temperature=4.0)
    table = ablation(
        {
            "first": Variant(labels, DISTILL),
            "colder": Variant(labels, other),
            "twin": Variant(labels, DISTILL),
            "other_labels": Variant(soft_labels(), DISTILL),
        },
        train,
        ensemble,
        questions,
        draw_candidates(questions, N_ITEMS, seed=0),
        seed=0,
    )
    assert trained == [DISTILL, other, DISTILL]
    assert table["twin"] == table["first"]
    assert list(table) == ["first", "colder", "twin", "other_labels"]
