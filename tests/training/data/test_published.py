"""Small files in the layout of the NCF paper's data, and each way in which such files go wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.base.errors import SourceUnreadable
from training.data.published import N_VALIDATION_ITEMS, n_lines_with_target, read_published
from training.data.sequences import DAY
from training.data.split import Questions, Split
from training.metrics.protocols import draw_candidates, measure

BEGAN = 1_000_000_000
TRAIN = [
    ("u1", "a", 100),
    ("u1", "b", 300),
    ("u1", "c", 200),
    ("u2", "b", 150),
    ("u2", "d", 160),
    ("u3", "a", 170),
]
TEST = [("u1", "d", 400), ("u2", "x", 410), ("u3", "c", 420)]
NEGATIVES = {"u1": ["x", "y"], "u2": ["a", "c"], "u3": ["b", "z"]}


class Files:
    """The three files, rewritten by a test to what it needs."""

    def __init__(self, folder: Path) -> None:
        self.train, self.test, self.candidates = (
            folder / f"ml.{name}" for name in ("train", "test", "negative")
        )
        self.train.write_text("".join(f"{user}\t{item}\t4\t{BEGAN + time}\n" for user, item, time in TRAIN))
        self.test.write_text("".join(f"{user}\t{item}\t5\t{BEGAN + time}\n" for user, item, time in TEST))
        self.candidates.write_text(
            "".join("\t".join([f"({user},{item})", *NEGATIVES[user]]) + "\n" for user, item, _ in TEST)
        )

    def read(self, *, seed: int = 0, new_people_share: float = 0.0) -> Split:
        return read_published(
            train=self.train,
            test=self.test,
            candidates=self.candidates,
            n_negatives=2,
            seed=seed,
            new_people_share=new_people_share,
        )


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def targets(split: Split, questions: Questions) -> dict[str, list[str]]:
    return {
        split.dataset.people.id_of(int(user_index)): split.dataset.items.ids_of(truth.tolist())
        for user_index, truth in zip(questions.user_indices, questions.truth, strict=True)
    }


def known(split: Split, questions: Questions) -> dict[str, list[str]]:
    return {
        split.dataset.people.id_of(int(user_index)): split.dataset.items.ids_of(history.item_indices.tolist())
        for user_index, history in zip(questions.user_indices, questions.histories, strict=True)
    }


def test_the_test_file_is_predicted_from_all_of_the_train_file_in_order_of_time(files: Files) -> None:
    split = files.read()
    assert targets(split, split.test) == {"u1": ["d"], "u2": ["x"], "u3": ["c"]}
    assert known(split, split.test) == {"u1": ["a", "c", "b"], "u2": ["b", "d"], "u3": ["a"]}


def test_the_last_train_events_validate_one_by_one_from_what_came_before(files: Files) -> None:
    split = files.read()
    validation = split.validation
    of_each = [
        (
            split.dataset.people.id_of(int(validation.user_indices[row])),
            split.dataset.items.ids_of(validation.histories[row].item_indices.tolist()),
            split.dataset.items.ids_of(validation.truth[row].tolist()),
        )
        for row in range(len(validation))
    ]
    assert of_each == [("u1", ["a"], ["c"]), ("u1", ["a", "c"], ["b"]), ("u2", ["b"], ["d"])]


def test_members_of_the_ensemble_see_no_event_that_validates(files: Files) -> None:
    past = files.read().past.histories
    assert np.diff(past.offsets).tolist() == [1, 1, 1]


def test_at_most_half_of_what_came_before_validates_beside_the_last_event(files: Files) -> None:
    files.train.write_text("".join(f"u1\ti{time}\t4\t{BEGAN + time}\n" for time in range(20)))
    files.test.write_text("u1\td\t5\t400\n")
    files.candidates.write_text("(u1,d)\ti1\ti2\n")
    assert len(files.read().validation) == N_VALIDATION_ITEMS
    files.train.write_text("".join(f"u1\ti{time}\t4\t{BEGAN + time}\n" for time in range(3)))
    assert len(files.read().validation) == 2


def test_fits_see_the_train_file_and_nothing_of_the_test_file(files: Files) -> None:
    split = files.read()
    assert len(split.past_and_validation.histories.times) == len(TRAIN)
    assert split.past_and_validation.histories.times.max() == BEGAN + 300


def test_items_that_only_test_or_candidates_name_are_in_the_catalogue(files: Files) -> None:
    split = files.read()
    assert split.dataset.items.ids_of(range(len(split.dataset.items))) == ["a", "b", "c", "d", "x", "y", "z"]


def test_the_candidates_follow_their_test_line(files: Files) -> None:
    split = files.read()
    assert split.test.negatives is not None
    named = [split.dataset.items.ids_of(rows[0].tolist()) for rows in split.test.negatives]
    assert named == [NEGATIVES[user] for user in ("u1", "u2", "u3")]


def test_several_test_lines_of_a_person_keep_each_their_own_candidates(files: Files) -> None:
    files.test.write_text("u2\tx\nu1\td\nu2\ta\n")
    files.candidates.write_text("(u2,x)\ty\tz\n(u1,d)\tx\ty\n(u2,a)\tc\tz\n")
    split = files.read()
    assert targets(split, split.test) == {"u1": ["d"], "u2": ["x", "a"]}
    assert split.test.negatives is not None
    named = [split.dataset.items.ids_of(row.tolist()) for row in split.test.negatives[1]]
    assert named == [["y", "z"], ["c", "z"]]


def test_predictions_are_made_at_the_last_event_and_without_times_now(files: Files) -> None:
    assert files.read().past.prediction_time == "last_event"
    files.train.write_text("".join(f"{user}\t{item}\n" for user, item, _ in TRAIN))
    assert files.read().past.prediction_time == "now"


def test_without_times_predictions_are_made_a_day_after_their_last_event(files: Files) -> None:
    files.train.write_text("".join(f"{user}\t{item}\t1\t0\n" for user, item, _ in TRAIN))
    split = files.read()
    ends = {int(history.times[-1]) for history in split.test.histories if len(history) > 1}
    assert ends == {split.past_and_validation.until - DAY}
    assert split.past.histories.times.max() == split.past.until - DAY


def test_without_times_what_validates_is_predicted_from_all_the_rest(files: Files) -> None:
    files.train.write_text("".join(f"{user}\t{item}\n" for user, item, _ in TRAIN))
    split = files.read()
    everything = {"u1": set("abc"), "u2": set("bd")}
    for row, truth in enumerate(split.validation.truth):
        user = split.dataset.people.id_of(int(split.validation.user_indices[row]))
        known_items = split.dataset.items.ids_of(split.validation.histories[row].item_indices.tolist())
        assert {*known_items, *split.dataset.items.ids_of(truth.tolist())} == everything[user]
        assert len(known_items) == len(everything[user]) - 1


def test_without_times_the_seed_and_not_the_file_says_what_came_last(files: Files) -> None:
    files.train.write_text("".join(f"u{person}\t{item}\n" for person in range(1, 30) for item in "abcd"))
    first = files.read(seed=1)
    assert {item for truth in targets(first, first.validation).values() for item in truth} == set("abcd")
    again, other = files.read(seed=1), files.read(seed=2)
    assert targets(first, first.validation) == targets(again, again.validation)
    assert targets(first, first.validation) != targets(other, other.validation)


def test_events_of_one_second_have_no_order(files: Files) -> None:
    files.train.write_text(
        "".join(f"u{person}\t{item}\t5\t{7 + person}\n" for person in range(1, 30) for item in "abcd")
    )
    split = files.read()
    assert {item for truth in targets(split, split.validation).values() for item in truth} == set("abcd")


def test_new_people_are_drawn_only_on_request(files: Files) -> None:
    assert not files.read().is_new.any()
    split = files.read(new_people_share=0.34)
    assert split.is_new.sum() == 1
    assert (np.diff(split.past_and_validation.histories.offsets)[split.is_new] == 0).all()
    assert len(split.test) == 3


def test_without_candidates_none_are_given(files: Files) -> None:
    split = read_published(train=files.train, test=files.test)
    assert split.test.negatives is None
    assert split.protocol == "published"


def test_texts_are_found_by_the_ids_of_the_data(files: Files, tmp_path: Path) -> None:
    (tmp_path / "items.tsv").write_text("a\tApple\tred fruit\nunheard\tOf\tanywhere\n")
    split = read_published(train=files.train, test=files.test, items=tmp_path / "items.tsv")
    assert split.dataset.catalogue.titles[0] == "Apple"
    assert split.dataset.catalogue.texts[:2] == ["Apple red fruit", ""]
    assert split.dataset.items.find("unheard") is None


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "train",
            "u1\ta\t4\t100\nu1 b 4 200\n",
            r"ml\.train, line 2, does not name a user and an item.*'u1 b",
        ),
        ("train", "\n\nu1\t\t4\t100\n", r"line 3, does not name a user and an item"),
        ("train", "u1\ta\t4\t100\nu1\tb\t4\n", r"line 2, has a time that cannot be read, or none"),
        ("train", "user\titem\trating\ttime\nu1\ta\t4\t100\n", r"line 1, has a time.*no header"),
        ("train", "", r"ml\.train is empty"),
        ("test", "u1\td\n" * 3, r"ml\.test, line 2 \(and 1 more\), repeats a user and an item"),
        ("test", "u1\td\nu9\tx\nu3\tc\n", r"ml\.test, line 2, asks about a user who has no line in .*train"),
        ("negative", "(u1,d)\tx\ty\n", r"ml\.negative has 1 lines and .*ml\.test has 3"),
        (
            "negative",
            "(u1,d)\tx\ty\n(u3,c)\ta\tc\n(u2,x)\ta\ta\n",
            r"line 2 .*does not begin with the \(user,item\)",
        ),
        ("negative", "(u1,d)\tx\ty\n(u2,x)\ta\n(u3,c)\tb\tz\n", r"line 2, does not hold 2 negatives"),
        ("negative", "(u1,d)\tx\ty\n(u2,x)\ta\tb\tc\n(u3,c)\tb\tz\n", r"line 2, does not hold 2 negatives"),
    ],
)
def test_a_bad_line_is_refused_by_name_number_and_remedy(
    files: Files, name: str, text: str, message: str
) -> None:
    (files.train.parent / f"ml.{name}").write_text(text)
    with pytest.raises(SourceUnreadable, match=message):
        files.read()


def test_a_line_that_holds_its_own_true_item_has_one_negative_fewer(files: Files) -> None:
    """156 of the 6,040 lines of the published MovieLens 1M are such; its code counts the item once."""
    files.candidates.write_text("(u1,d)\tx\td\n(u2,x)\ta\tc\n(u3,c)\tb\tz\n")
    split = files.read()
    assert n_lines_with_target(split.test) == 1
    n_items = len(split.dataset.items)
    equal = measure(
        lambda histories: np.zeros((len(histories), n_items), np.float32),
        split.test,
        draw_candidates(split.test, n_items, seed=0),
    )
    # A model without any opinion is in each place alike: u1's item among two, the others' among three.
    assert equal.ndcg.tolist() == pytest.approx([_mean_gain(2), _mean_gain(3), _mean_gain(3)])


def _mean_gain(n_candidates: int) -> float:
    return float(np.mean([1 / np.log2(place + 2) for place in range(n_candidates)]))


def test_places_instead_of_times_are_an_order_and_not_one_visit(files: Files) -> None:
    files.train.write_text("u1\ta\t4\t1\nu1\tb\t4\t3\nu1\tc\t4\t2\nu2\tb\t4\t1\nu2\td\t4\t2\nu3\ta\t4\t1\n")
    split = files.read()
    assert known(split, split.test)["u1"] == ["a", "c", "b"]
    assert np.diff(split.dataset.histories.times[:3]).tolist() == [DAY, DAY]


def test_a_file_that_is_not_there_is_named(files: Files) -> None:
    files.test.unlink()
    with pytest.raises(SourceUnreadable, match=r"no file .*ml\.test"):
        files.read()
