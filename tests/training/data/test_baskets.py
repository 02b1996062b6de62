"""Small files in the layout of the next-basket literature, and each way in which such files go wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from training.base.errors import SourceUnreadable, TooLittleData
from training.data import baskets as module
from training.data.baskets import basket_columns, basket_files, read_baskets
from training.data.sequences import DAY, MADE_UP_END
from training.data.split import Questions, Split
from training.metrics.protocols import draw_candidates, measure

HISTORY: dict[str, list[list[int]]] = {
    "u1": [[1, 2], [2, 3], [4, 1]],
    "u2": [[2], [5, 3]],
    "u3": [[4]],
    "u4": [[1], [3]],
}
FUTURE: dict[str, list[list[int]]] = {"u1": [[2, 5]], "u2": [[3, 1, 4]], "u3": [[4]]}


class Files:
    """The two files, rewritten by a test to what it needs."""

    def __init__(self, folder: Path) -> None:
        self.history, self.future = folder / "shop_history.json", folder / "shop_future.json"
        self.write(HISTORY, FUTURE)

    def write(self, history: object = HISTORY, future: object = FUTURE) -> None:
        for path, told in ((self.history, history), (self.future, future)):
            path.write_text(told if isinstance(told, str) else json.dumps(told))

    def read(self, *, items: Path | None = None, new_people_share: float = 0.0) -> tuple[Split, list[str]]:
        return read_baskets(self.history, self.future, items, new_people_share=new_people_share)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def targets(split: Split, questions: Questions) -> dict[str, set[str]]:
    return {
        split.dataset.people.id_of(int(user_index)): set(split.dataset.items.ids_of(truth.tolist()))
        for user_index, truth in zip(questions.user_indices, questions.truth, strict=True)
    }


def known(split: Split, questions: Questions) -> dict[str, list[set[str]]]:
    """Return the known baskets of each person, oldest first."""
    return {
        split.dataset.people.id_of(int(user_index)): [
            set(split.dataset.items.ids_of(history.item_indices[history.times == time].tolist()))
            for time in np.unique(history.times)
        ]
        for user_index, history in zip(questions.user_indices, questions.histories, strict=True)
    }


def test_the_whole_future_basket_is_predicted_from_the_whole_history(files: Files) -> None:
    split, notes = files.read()
    assert targets(split, split.test) == {"u1": {"2", "5"}, "u2": {"3", "1", "4"}, "u3": {"4"}}
    assert known(split, split.test) == {
        "u1": [{"1", "2"}, {"2", "3"}, {"4", "1"}],
        "u2": [{"2"}, {"5", "3"}],
        "u3": [{"4"}],
    }
    assert notes == ["people without a future basket, learned from: 1"]


def test_the_last_known_basket_validates_and_is_not_in_the_past(files: Files) -> None:
    split, _ = files.read()
    assert targets(split, split.validation) == {"u1": {"4", "1"}, "u2": {"5", "3"}, "u4": {"3"}}
    assert known(split, split.validation)["u1"] == [{"1", "2"}, {"2", "3"}]
    assert np.diff(split.past.histories.offsets).tolist() == [4, 1, 1, 1]
    assert np.diff(split.past_and_validation.histories.offsets).tolist() == [6, 3, 1, 2]


def test_items_that_a_person_had_may_be_answered(files: Files) -> None:
    split, _ = files.read()
    assert split.test.known_items == "rank"
    assert split.validation.known_items == "rank"
    assert split.protocol == "published"


def test_made_up_times_tell_the_order_and_nothing_else(files: Files) -> None:
    split, _ = files.read()
    for interactions, questions in ((split.past, split.validation), (split.past_and_validation, split.test)):
        assert interactions.prediction_time == "now"
        assert interactions.histories.times.max() == interactions.until - DAY
        several = [history for history in questions.histories if len(np.unique(history.times)) > 1]
        for history in several:
            assert set(np.diff(np.unique(history.times)).tolist()) == {DAY}
    assert split.past_and_validation.until == MADE_UP_END


@pytest.mark.parametrize("mark", [-1, "-1"])
def test_marks_at_the_ends_are_no_baskets(files: Files, mark: object) -> None:
    without, _ = files.read()
    files.write(
        {user: [[mark], *baskets, [mark]] for user, baskets in HISTORY.items()},
        {user: [[mark], *baskets, [mark]] for user, baskets in FUTURE.items()},
    )
    marked, _ = files.read()
    assert (marked.dataset.histories.times == without.dataset.histories.times).all()
    assert (marked.dataset.histories.item_indices == without.dataset.histories.item_indices).all()
    assert targets(marked, marked.test) == targets(without, without.test)


@pytest.mark.parametrize(
    "history", [[[1], [-1], [2]], [[1, -1], [2]], [[-1], [-1], [2], [-1]], [[1], [2, "-1"]]]
)
def test_a_mark_among_the_baskets_is_refused(files: Files, history: list[object]) -> None:
    files.write(HISTORY | {"u2": history})
    with pytest.raises(SourceUnreadable, match=r"shop_history\.json, person 'u2': -1"):
        files.read()


def test_texts_are_ids_like_numbers(files: Files) -> None:
    as_text = {
        user: [[f"{item:03}" for item in basket] for basket in baskets] for user, baskets in HISTORY.items()
    }
    files.write(as_text, {"u1": [["002", " 005 "]]})
    split, _ = files.read()
    assert targets(split, split.test) == {"u1": {"002", "005"}}


@pytest.mark.parametrize(
    ("history", "future"),
    [
        (HISTORY, FUTURE | {"u2": [["3"]]}),
        (HISTORY | {"u2": [[2], ["5"]]}, FUTURE),
    ],
)
def test_numbers_beside_texts_are_refused(files: Files, history: object, future: object) -> None:
    files.write(history, future)
    with pytest.raises(SourceUnreadable, match=r"two types: 1 in .*history\.json and '[35]' in"):
        files.read()


def test_somebody_without_history_is_refused_by_name(files: Files) -> None:
    files.write(HISTORY | {"u8": [[], []]}, FUTURE | {"u8": [[1]], "u9": [[1]]})
    with pytest.raises(SourceUnreadable, match=r"asks about 2 people who have no basket in .*'u8' among"):
        files.read()


def test_empty_baskets_are_left_out_and_counted(files: Files) -> None:
    files.write(HISTORY | {"u2": [[2], [], [5, 3], []]}, FUTURE | {"u3": [[]]})
    split, notes = files.read()
    assert known(split, split.test)["u2"] == [{"2"}, {"5", "3"}]
    assert "u3" not in targets(split, split.test)
    assert notes == [
        "empty baskets, left out: 3",
        "people without a future basket, learned from: 2",
    ]


def test_item_that_no_history_has_is_a_true_item_and_counted(files: Files) -> None:
    files.write(future=FUTURE | {"u2": [[77, 78]], "u3": [[77]]})
    split, notes = files.read()
    assert targets(split, split.test)["u2"] == {"77", "78"}
    assert notes[-1] == "items of future baskets that no history has, which only texts can find: 2"
    assert split.past_and_validation.item_counts()[split.dataset.items.ids_of(range(7)).index("77")] == 0


def test_item_that_stands_twice_in_a_basket_counts_once(files: Files) -> None:
    files.write(HISTORY | {"u2": [[2, 2, 2], [5, 3]]}, FUTURE | {"u3": [[4, 4]]})
    split, notes = files.read()
    assert len(split.dataset.histories.times) == 18
    assert targets(split, split.test)["u3"] == {"4"}
    assert notes[0] == "repetitions of an item in its basket, counted once: 3"


def test_somebody_who_stands_twice_is_refused(files: Files) -> None:
    files.write('{"u1": [[1], [2]], "u1": [[3], [4]]}')
    with pytest.raises(SourceUnreadable, match="names 'u1' twice"):
        files.read()


def test_several_future_baskets_are_refused(files: Files) -> None:
    files.write(future=FUTURE | {"u2": [[3], [1]]})
    with pytest.raises(SourceUnreadable, match="has 2 baskets of 'u2', one is predicted"):
        files.read()


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("", "is no JSON"),
        ("{", "is no JSON"),
        ("user item item", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("{}", "holds no JSON object of people"),
        ("[[1], [2]]", "holds no JSON object of people"),
        ({"u1": 3}, "has no list of baskets for 'u1': 3"),
        ({"u1": {"a": [1]}}, "has no list of baskets for 'u1'"),
        ({"u1": [1, 2]}, "1 is no basket"),
        ({"u1": [{"a": 1}]}, "is no basket"),
        ({"u1": [[1.5]]}, "1.5 is no id of an item"),
        ({"u1": [[True]]}, "True is no id of an item"),
        ({"u1": [[None]]}, "None is no id of an item"),
        ({"u1": [["  "]]}, "is no id of an item"),
        ({"u1": [[[1]]]}, "is no id of an item"),
        ({"u1": [[float("nan")]]}, "nan is no id of an item"),
        ({" ": [[1]]}, "a person with a blank id"),
    ],
)
def test_what_is_no_file_of_baskets_is_refused(files: Files, told: object, message: str) -> None:
    files.write(told)
    with pytest.raises(SourceUnreadable, match=message):
        files.read()


def test_file_that_is_not_there_is_named(files: Files) -> None:
    files.future.unlink()
    with pytest.raises(SourceUnreadable, match=r"no file .*shop_future\.json"):
        files.read()


def test_file_beyond_the_bound_is_refused_before_it_is_read(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 20)
    with pytest.raises(SourceUnreadable, match=r"shop_history\.json has \d+ bytes, at most 20"):
        files.read()


def test_histories_of_one_basket_cannot_be_validated_on(files: Files) -> None:
    files.write({"u1": [[1]]}, {"u1": [[1]]})
    with pytest.raises(TooLittleData, match="people with two baskets or more"):
        files.read()


def test_new_people_are_asked_about_and_not_learned_from(files: Files) -> None:
    split, _ = files.read(new_people_share=0.5)
    assert split.is_new.sum() == 2
    assert (np.diff(split.past_and_validation.histories.offsets)[split.is_new] == 0).all()
    assert set(targets(split, split.test)) == {"u1", "u2", "u3"}


def test_texts_of_items_are_read(files: Files, tmp_path: Path) -> None:
    (tmp_path / "items.tsv").write_text("item_id\ttitle\n1\tMilk\n")
    split, _ = files.read(items=tmp_path / "items.tsv")
    assert split.dataset.catalogue.titles == ["Milk", "2", "3", "4", "5"]


def test_figures_are_of_the_whole_basket(files: Files) -> None:
    files.write({"u1": [list(range(10, 40)), [10]]}, {"u1": [[10, 11, 38, 39]]})
    split, _ = files.read()
    n_items = len(split.dataset.items)
    # Lower ids first: of the four true items, 10 and 11 stand in the first ten, at its head.
    measured = measure(
        lambda histories: np.tile(-np.arange(n_items, dtype=np.float32), (len(histories), 1)),
        split.test,
        draw_candidates(split.test, n_items, seed=0),
    )
    assert measured.catalogue_recall_10.tolist() == [0.5]
    gains = 1 / np.log2(np.arange(2, 6))
    assert measured.catalogue_ndcg_10.tolist() == pytest.approx([gains[:2].sum() / gains.sum()])


def test_folder_holds_both_files(files: Files, tmp_path: Path) -> None:
    assert basket_files(tmp_path, None) == (files.history, files.future)
    assert basket_files(files.future, files.history) == (files.future, files.history)


@pytest.mark.parametrize("names", [[], ["other_future.json"]])
def test_folder_with_none_or_several_is_refused(files: Files, tmp_path: Path, names: list[str]) -> None:
    if not names:
        files.future.unlink()
    for name in names:
        (tmp_path / name).write_text("{}")
    with pytest.raises(SourceUnreadable, match=r"one \.json file that has 'future' in its name"):
        basket_files(tmp_path, None)


def test_columns_say_what_the_files_are_for(files: Files) -> None:
    uses = {(use.table, use.column): use.use for use in basket_columns(files.history, files.future)}
    assert uses["shop_history.json", "baskets"] == "items in order"
    assert uses["shop_future.json", "baskets"] == "true items"
