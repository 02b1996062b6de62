"""The curve of cold start, on people whose truth a model can only know from their third last item."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from msgspec.structs import astuple

from models.history import Event, History
from training.data.split import Questions
from training.members.member import Floats
from training.metrics.protocols import Candidates, ScoreFunction, draw_candidates
from training.quality.figures import ColdPoint
from training.quality.schema import ColdStart
from training.studies.cold_start import people_curve, told_the_last

N_ITEMS = 130
N_PEOPLE = 4
LENGTHS = (0, 2, 3)
CHANCE = sum(1 / np.log2(1 + place) for place in range(1, 11)) / 100
"""NDCG@10 of a true item among 99 others that are all scored alike."""
CATALOGUE_CHANCE = sum(1 / np.log2(1 + place) for place in range(1, 21)) / (N_ITEMS - 4)
"""NDCG@20 of it in the catalogue, without the four items of its person."""


def history_of(*items: int) -> History:
    return History.from_events(Event(item, 1000 + step) for step, item in enumerate(items))


def evaluation_set(histories: list[History], truth: Sequence[int]) -> tuple[Questions, Candidates]:
    questions = Questions(
        np.arange(len(histories), dtype=np.int32), histories, [np.array([item], np.int32) for item in truth]
    )
    return questions, draw_candidates(questions, N_ITEMS, seed=0)


@pytest.fixture
def people() -> tuple[Questions, Candidates]:
    """Person p has 10 p, 10 p + 1, … 10 p + 3; the truth is 10 p + 9."""
    histories = [history_of(*range(10 * p, 10 * p + 4)) for p in range(N_PEOPLE)]
    return evaluation_set(histories, [10 * p + 9 for p in range(N_PEOPLE)])


def reads_the_third_last(histories: Sequence[History]) -> Floats:
    """Person p's truth on top where item 10 p + 1 is known, else all alike."""
    scores = np.zeros((len(histories), N_ITEMS), np.float32)
    for row, history in enumerate(histories):
        for item in history.item_indices:
            scores[row, item + 8] = 1.0 if item % 10 == 1 else 0.0
    return scores


def has_no_opinion(histories: Sequence[History]) -> Floats:
    return np.full((len(histories), N_ITEMS), np.nan, np.float32)


def curves(
    scores: dict[str, ScoreFunction],
    questions: Questions,
    candidates: Candidates,
    *,
    lengths: Sequence[int],
    seed: int,
) -> dict[str, dict[str, ColdPoint]]:
    """Of people some of whom have a history long enough."""
    people = people_curve(scores, questions, candidates, lengths=lengths, seed=seed).people
    assert people is not None
    return people.models


def test_quality_appears_with_the_item_that_tells(people: tuple[Questions, Candidates]) -> None:
    curve = curves({"third": reads_the_third_last}, *people, lengths=LENGTHS, seed=0)["third"]
    assert list(curve) == ["0", "2", "3"]
    assert [curve[length].ndcg for length in curve] == pytest.approx([CHANCE, CHANCE, 1.0])
    in_catalogue = [curve[length].catalogue_ndcg for length in curve]
    assert in_catalogue == pytest.approx([CATALOGUE_CHANCE, CATALOGUE_CHANCE, 1.0])


def test_each_point_is_told_as_a_share_of_the_longest(people: tuple[Questions, Candidates]) -> None:
    def half_at_two(histories: Sequence[History]) -> Floats:
        """Rank 1 from three items on, rank 3 (half the gain) before."""
        scores = reads_the_third_last(histories)
        for row, history in enumerate(histories):
            own = 10 * (history.item_indices[-1] // 10) if len(history) else 0
            scores[row, own + 9] = 1.0
            scores[row, [own + 7, own + 8]] = 2.0 if len(history) < 3 else 0.0
        return scores

    point = curves({"half": half_at_two}, *people, lengths=(2, 3), seed=0)["half"]["2"]
    assert astuple(point.of_longest["catalogue_ndcg@20"]) == pytest.approx((0.5, 0.5, 0.5))


def test_what_is_cut_from_a_history_is_no_candidate_all_the_same(
    people: tuple[Questions, Candidates],
) -> None:
    def likes_the_oldest(histories: Sequence[History]) -> Floats:
        """The oldest item of each person above all, and the truth second."""
        scores = np.zeros((len(histories), N_ITEMS), np.float32)
        for row, history in enumerate(histories):
            own = 10 * (history.item_indices[-1] // 10)
            scores[row, own], scores[row, own + 9] = 2.0, 1.0
        return scores

    cells = curves({"oldest": likes_the_oldest}, *people, lengths=(1, 4), seed=0)["oldest"]
    assert cells["1"].catalogue_ndcg == 1.0


def test_only_people_with_a_long_enough_history_are_evaluated_at_any_length() -> None:
    histories = [history_of(0, 1, 2), history_of(10, 10, 10), history_of(20, 21, 22)]
    questions, candidates = evaluation_set(histories, [9, 19, 29])
    lengths_seen: list[int] = []

    def remembers(given: Sequence[History]) -> Floats:
        lengths_seen.extend(len(history) for history in given)
        return np.zeros((len(given), N_ITEMS), np.float32)

    table = people_curve({"any": remembers}, questions, candidates, lengths=(1, 3), seed=0)
    assert table.n_people == 2
    assert lengths_seen == [1, 1, 3, 3]


def test_a_model_without_an_opinion_of_empty_histories_gets_what_chance_gives(
    people: tuple[Questions, Candidates],
) -> None:
    cell = curves({"none": has_no_opinion}, *people, lengths=(0, 3), seed=0)["none"]["0"]
    assert cell.ndcg == pytest.approx(CHANCE)
    assert astuple(cell.of_longest["ndcg@10"]) == pytest.approx((1.0, 1.0, 1.0))


def test_a_share_of_nothing_is_not_told() -> None:
    questions, candidates = evaluation_set([history_of(1, 2), history_of(3, 4)], [9, 19])

    def knows_better(histories: Sequence[History]) -> Floats:
        scores = np.ones((len(histories), N_ITEMS), np.float32)
        scores[:, [9, 19]] = 0.0
        return scores

    cell = curves({"bad": knows_better}, questions, candidates, lengths=(2,), seed=0)["bad"]["2"]
    assert (cell.ndcg, cell.of_longest) == (0.0, {})


def test_intervals_stand_around_their_own_metric() -> None:
    questions, candidates = evaluation_set([history_of(1, 2), history_of(3, 4)], [9, 19])

    def knows_the_first(histories: Sequence[History]) -> Floats:
        scores = np.zeros((len(histories), N_ITEMS), np.float32)
        scores[:, 9], scores[:, 19] = 1.0, -1.0
        return scores

    cell = curves({"one": knows_the_first}, questions, candidates, lengths=(2,), seed=0)["one"]["2"]
    assert (cell.low, cell.ndcg, cell.high) == (0.0, 0.5, 1.0)
    assert (cell.catalogue_low, cell.catalogue_high) == (0.0, 1.0)


def test_nobody_long_enough_gives_no_table() -> None:
    questions, candidates = evaluation_set([history_of(1)], [9])
    assert people_curve({"none": has_no_opinion}, questions, candidates, lengths=(2,), seed=0) == ColdStart()


def test_a_cut_history_holds_all_events_with_the_last_distinct_items() -> None:
    seen: list[list[int]] = []

    def remembers(histories: Sequence[History]) -> Floats:
        seen.extend(history.item_indices.tolist() for history in histories)
        return np.zeros((len(histories), N_ITEMS), np.float32)

    told_the_last(remembers, 2)([history_of(1, 2, 3, 3)])
    assert seen == [[2, 3, 3]]
