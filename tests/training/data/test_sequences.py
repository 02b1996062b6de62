from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.base.errors import SourceUnreadable, TooLittleData
from training.data.sequences import DAY, read_sequences
from training.data.split import Split

SEQUENCES = """1 10 11 12 13
2 12 10
3 11 13 11

4 14
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "beauty.txt"
    file.write_text(SEQUENCES)
    return file


def ids(split: Split, item_indices: np.ndarray[tuple[int], np.dtype[np.int32]]) -> list[str]:
    return split.dataset.items.ids_of(item_indices.tolist())


def test_the_last_item_is_the_target_and_the_one_before_it_validates(file: Path) -> None:
    split = read_sequences(file)
    assert [ids(split, truth) for truth in split.test.truth] == [["13"], ["11"]]
    assert [ids(split, history.item_indices) for history in split.test.histories] == [
        ["10", "11", "12"],
        ["11", "13"],
    ]
    assert [ids(split, truth) for truth in split.validation.truth] == [["12"], ["13"]]
    assert [ids(split, history.item_indices) for history in split.validation.histories] == [
        ["10", "11"],
        ["11"],
    ]


def test_people_with_fewer_than_three_items_are_learned_from_and_not_evaluated(file: Path) -> None:
    split = read_sequences(file)
    assert np.diff(split.past.histories.offsets).tolist() == [2, 2, 1, 1]
    assert split.test.user_indices.tolist() == split.validation.user_indices.tolist() == [0, 2]


def test_made_up_times_tell_the_order_and_nothing_else(file: Path) -> None:
    split = read_sequences(file)
    assert split.past.histories.times.max() == split.past.until - DAY
    for interactions, questions in ((split.past, split.validation), (split.past_and_validation, split.test)):
        assert interactions.prediction_time == "now"
        for history in questions.histories:
            assert history.times[-1] == interactions.until - DAY
            assert set(np.diff(history.times).tolist()) <= {DAY}
    last_in_past = [history.times[-1] for history in split.past.histories]
    assert set(last_in_past) == {split.past.until - DAY}


def test_texts_are_found_by_the_ids_of_the_data(file: Path) -> None:
    items = file.with_name("items.csv")
    items.write_text("item_id,title,description\n12,Soap,smells of roses\n")
    catalogue = read_sequences(file, items).dataset.catalogue
    assert catalogue.texts == ["", "", "Soap smells of roses", "", ""]


def test_new_people_are_drawn_only_on_request(file: Path) -> None:
    assert not read_sequences(file).is_new.any()
    assert read_sequences(file, new_people_share=0.25).is_new.sum() == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 10 11\n2\n", r"beauty\.txt, line 2, names a person and no item: '2'"),
        ("1 10 11\n1 12 13\n", r"beauty\.txt, line 2, begins with a person who had a line before"),
    ],
)
def test_a_bad_line_is_refused_by_name_number_and_remedy(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(SourceUnreadable, match=message):
        read_sequences(file)


def test_a_file_that_asks_nothing_is_refused(file: Path) -> None:
    file.write_text("1 10 11\n2 12 13\n")
    with pytest.raises(TooLittleData, match="needs people with three items or more"):
        read_sequences(file)
