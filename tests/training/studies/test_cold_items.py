"""Ranking new items among themselves: exact figures by hand, then a student that reads "block0" and "block1"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from msgspec.structs import astuple

from models.history import Event, History
from models.index import quantize_rows
from models.student import Student
from models.text import TextEncoder
from models.vocabulary import Vocabulary
from tests.support.blocks import N_BLOCKS, block_dataset, block_of_item
from tests.support.bundles import tiny_items, tiny_student, tiny_text_encoder
from training.data.leave_last_out import leave_last_out
from training.data.split import Split
from training.members.content import Content
from training.members.member import Floats
from training.quality.schema import ColdRanking
from training.studies.cold_items import (
    cold_items,
    compare,
    content_scores,
    own_ranking,
    same_for_all,
    student_text_scores,
)
from training.studies.held_out_items import HeldOut, hold_out_items

COLOURS = ["crimson", "azure", "golden", "mossy"]
"""The block shop's word for each block."""
HISTORY = History.from_events([Event(1, 1)])


@pytest.fixture(scope="module")
def split() -> Split:
    return leave_last_out(block_dataset(), new_people_share=0.0, seed=0)


def held_out_questions(
    split: Split, n_items: int, truth: list[list[int]], owned: list[list[int]] | None = None
) -> HeldOut:
    """People of one history each, evaluated on n_items held-out items."""
    return HeldOut(
        split,
        kept=np.arange(4, dtype=np.int32),
        item_indices=4 + np.arange(n_items, dtype=np.int32),
        texts=[f"of block{item % N_BLOCKS}" for item in range(n_items)],
        counts=np.zeros(n_items, np.int64),
        histories=[HISTORY] * len(truth),
        truth=[np.array(items, np.int32) for items in truth],
        owned=[np.array(items, np.int32) for items in owned or [[]] * len(truth)],
    )


def test_the_figures_of_a_rank(split: Split) -> None:
    falling = same_for_all(np.array([5.0, 4.0, 3.0, 2.0, 1.0]))
    found = own_ranking(falling, held_out_questions(split, 5, [[0], [2]]))
    assert found.reciprocal_rank.tolist() == pytest.approx([1.0, 1 / 3])
    assert found.ndcg.tolist() == pytest.approx([1.0, 0.5])
    assert found.auc.tolist() == pytest.approx([1.0, 0.5])


def test_true_items_do_not_stand_in_each_others_way(split: Split) -> None:
    falling = same_for_all(np.array([5.0, 4.0, 3.0]))
    assert own_ranking(falling, held_out_questions(split, 3, [[0, 1]])).reciprocal_rank.tolist() == [1.0]


def test_an_item_that_the_person_has_is_no_rival(split: Split) -> None:
    falling = same_for_all(np.array([5.0, 4.0, 3.0]))
    assert own_ranking(
        falling, held_out_questions(split, 3, [[2]], owned=[[0]])
    ).reciprocal_rank.tolist() == [0.5]


def test_ties_get_what_breaking_them_at_random_gives(split: Split) -> None:
    tied = same_for_all(np.array([0.0, 1.0, 1.0, 1.0, 2.0]))
    found = own_ranking(tied, held_out_questions(split, 5, [[2]]))
    assert found.reciprocal_rank.tolist() == pytest.approx([(1 / 2 + 1 / 3 + 1 / 4) / 3])
    assert found.ndcg.tolist() == pytest.approx([(1 / np.log2([3, 4, 5])).mean()])
    assert found.auc.tolist() == [0.5]


def test_all_alike_is_chance_and_beyond_ten_is_nothing(split: Split) -> None:
    found = own_ranking(same_for_all(np.zeros(40)), held_out_questions(split, 40, [[7]]))
    assert found.ndcg.tolist() == pytest.approx([(1 / np.log2(np.arange(2, 12))).sum() / 40])
    assert found.reciprocal_rank.tolist() == pytest.approx([(1 / np.arange(1, 41)).sum() / 40])


def test_no_opinion_ranks_last(split: Split) -> None:
    unknown = same_for_all(np.array([np.nan, -9.0, -8.0]))
    assert own_ranking(
        unknown, held_out_questions(split, 3, [[0]])
    ).reciprocal_rank.tolist() == pytest.approx([1 / 3])


def test_each_answer_reaches_its_person_across_chunks(split: Split) -> None:
    held_out = held_out_questions(split, 2, [[0]] * 300 + [[1]])
    found = own_ranking(same_for_all(np.array([1.0, 0.0])), held_out)
    assert found.reciprocal_rank.tolist() == [1.0] * 300 + [0.5]


def test_the_student_places_a_new_item_by_its_text(split: Split) -> None:
    score = student_text_scores(
        Student(tiny_student(tiny_items())), tiny_text_encoder(), ["block2", "of block1"]
    )
    [scores] = score([HISTORY])  # item 1 is of block 1
    assert scores[1] > scores[0]


def test_content_scores_in_the_rows_of_the_whole_catalogue(split: Split) -> None:
    held_out = hold_out_items(split, share=0.2, seed=0)
    content = Content().fit(split.past_and_validation, seed=0)
    scores = content_scores(content, held_out)(held_out.histories[:1])[0]
    block = block_of_item(int(held_out.kept[held_out.histories[0].item_indices[0]]))
    is_own = np.array([block_of_item(int(item)) == block for item in held_out.item_indices])
    assert scores[is_own].min() > np.nanmax(scores[~is_own])


def test_the_comparison_is_paired_and_against_the_student(split: Split) -> None:
    def only_for_some(histories: Sequence[History]) -> Floats:
        return np.tile(np.array([1.0, 0.0, 0.0], np.float32), (len(histories), 1))

    held_out = held_out_questions(split, 3, [[0]] * 5)
    table = compare(
        {"student_text": only_for_some, "other": same_for_all(np.array([0.0, 1.0, 2.0]))}, held_out, seed=0
    )
    assert (table.n_items, table.n_questions) == (3, 5)
    assert table.models["student_text"] == ColdRanking(1.0, 1.0, 1.0, 1.0, 1.0)
    assert list(table.differences) == ["student_text_minus_other"]
    assert astuple(table.differences["student_text_minus_other"]["ndcg@10"]) == pytest.approx((0.5, 0.5, 0.5))


def test_a_whole_study_asks_a_student_that_was_taught_without_the_items(split: Split) -> None:
    taught_on: list[Split] = []

    def teach(smaller: Split) -> tuple[Student, TextEncoder]:
        """A student in whose rows the remaining items stand by their block; the encoder reads colours."""
        taught_on.append(smaller)
        blocks = np.array([block_of_item(int(item_id[-3:])) for item_id in ids(smaller)], np.int32)
        items = replace(tiny_items(len(blocks)), segments=blocks)
        return Student(tiny_student(items)), colour_encoder()

    table = cold_items(split, teach, Content(), share=0.2, seed=0)
    [smaller] = taught_on
    assert table is not None
    assert len(ids(smaller)) + table.n_items == len(split.dataset.items)
    assert list(table.models) == ["student_text", "content", "popular_withheld", "popular", "random"]
    assert table.models["popular"] == table.models["random"]
    assert table.differences["student_text_minus_random"]["ndcg@10"].low > 0
    assert table.models["student_text"].ndcg == pytest.approx(table.models["content"].ndcg)


def test_nobody_to_ask_gives_no_table(split: Split) -> None:
    def never(smaller: Split) -> tuple[Student, TextEncoder]:
        raise AssertionError("nothing is to be taught where nothing is evaluated")

    assert cold_items(split, never, Content(), share=0.0, seed=0) is None


def ids(split: Split) -> list[str]:
    return split.dataset.items.ids_of(range(len(split.dataset.items)))


def colour_encoder() -> TextEncoder:
    """Each colour one-hot at its block."""
    return TextEncoder(Vocabulary.from_ids(COLOURS), *quantize_rows(np.eye(N_BLOCKS, dtype=np.float32)))
