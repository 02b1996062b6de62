from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.ensemble.meta_features import (
    consensus,
    feature_names,
    member_columns,
    meta_features,
    person_features,
    seen_mask,
)
from models.ensemble.opinions import Opinions
from models.history import SECONDS_PER_DAY, Event, History
from models.repeats import RepeatModel
from tests.support.repeats import a_repeat_model
from training.ensemble.item_timeline import ItemTimeline
from training.members.member import Floats

ITEMS = RepeatModel.unlearned(
    ItemTimeline(np.arange(20, dtype=np.float16).reshape(1, 4, 5), until=100, step_seconds=0)
)
"""Features of item i are 5 i and the four numbers after it; its popularity is 5 i + 2."""
STRANGER = History.empty()
DAY = int(SECONDS_PER_DAY)


def opinions(*scores: list[float], history: History = STRANGER) -> list[Opinions]:
    """Of several members, of one person."""
    return [Opinions.of(np.array([own], np.float32), [history]) for own in scores]


def features_of(scores: list[float], history: History = STRANGER) -> dict[str, Floats]:
    described = meta_features(opinions(scores, history=history), [history], ITEMS)[0]
    return dict(zip(feature_names(["one"]), described.T, strict=True))


def test_scores_are_standardised_over_the_person() -> None:
    z = features_of([1.0, 2.0, 3.0, 6.0])["one_z"]
    assert z.mean() == pytest.approx(0.0, abs=1e-6)
    assert z.std() == pytest.approx(1.0)


def test_the_best_item_has_the_highest_rank_feature() -> None:
    ranks = features_of([1.0, 2.0, 3.0, 6.0])["one_rank"]
    np.testing.assert_allclose(ranks, -np.log1p([4, 3, 2, 1]), rtol=1e-6)


def test_no_opinion_is_the_mean_and_says_so() -> None:
    found = features_of([1.0, np.nan, 3.0, 5.0])
    assert found["one_z"][1] == 0.0
    np.testing.assert_array_equal(found["one_missing"], [0, 1, 0, 0])


def test_a_member_without_any_opinion_leaves_no_nan() -> None:
    described = meta_features(opinions([np.nan] * 4), [STRANGER], ITEMS)
    assert np.isfinite(described).all()


def test_a_member_that_scores_all_alike_leaves_no_nan() -> None:
    assert np.isfinite(features_of([2.0] * 4)["one_z"]).all()


def test_seen_items_do_not_shift_the_others() -> None:
    history = History.from_events([Event(3, 50)])
    low, high = features_of([1.0, 2.0, 3.0, 4.0], history), features_of([1.0, 2.0, 3.0, 400.0], history)
    np.testing.assert_array_equal(low["one_z"][:3], high["one_z"][:3])
    np.testing.assert_array_equal(low["one_rank"][:3], high["one_rank"][:3])


def test_plain_features_follow_the_item_and_the_history() -> None:
    history = History.from_events([Event(0, 10), Event(1, 20)])
    found = features_of([0.0, 1.0, 2.0, 3.0], history)
    np.testing.assert_array_equal(found["log_popularity_7d"], [0, 5, 10, 15])
    np.testing.assert_allclose(found["history_log_length"], np.log1p(2))


def test_the_mask_marks_what_each_person_touched() -> None:
    mask = seen_mask([History.from_events([Event(2, 1)]), STRANGER], 3)
    np.testing.assert_array_equal(mask, [[False, False, True], [False, False, False]])


def test_items_are_described_as_of_each_prediction_time() -> None:
    values = np.stack([np.full((4, 5), moment, np.float16) for moment in (0, 1, 2)])
    timeline = ItemTimeline(values, until=100, step_seconds=10)
    people = [History.from_events([Event(0, time)]) for time in (100, 85)]
    described = meta_features(
        [Opinions.of(np.zeros((2, 4), np.float32), people)], people, RepeatModel.unlearned(timeline)
    )
    column = feature_names(["one"]).index("log_popularity_7d")
    np.testing.assert_array_equal(described[:, :, column], [[0] * 4, [2] * 4])


def test_each_member_has_the_columns_that_bear_its_name() -> None:
    names = feature_names(["one", "two"])
    for member, columns in member_columns(["one", "two"]).items():
        assert [names[column] for column in columns] == [
            f"{member}_{part}" for part in ("z", "rank", "missing")
        ]


def test_a_person_is_described_by_the_length_and_popularity_of_history_and_last_visit() -> None:
    history = History.from_events([Event(0, 0), Event(1, 2 * DAY), Event(3, 2 * DAY)])
    (found,) = person_features([history], ITEMS.timeline)
    np.testing.assert_allclose(found, [np.log1p(3), np.log1p(2), (2 + 7 + 17) / 3, (7 + 17) / 2], rtol=1e-6)


def test_nothing_is_said_of_a_person_without_a_history() -> None:
    known = History.from_events([Event(1, 0)])
    np.testing.assert_array_equal(person_features([STRANGER, known], ITEMS.timeline)[0], np.zeros(4))


def test_the_consensus_is_the_mean_of_the_members_standardised_scores() -> None:
    one, two = [1.0, 2.0, 3.0, 6.0], [60.0, 20.0, 30.0, 10.0]
    expected = sum((np.array(scores) - np.mean(scores)) / np.std(scores) for scores in (one, two)) / 2
    np.testing.assert_allclose(consensus(opinions(one, two))[0], expected, rtol=1e-5)


@pytest.mark.parametrize("step_seconds", [0, 10])
def test_some_items_are_described_as_they_are_among_all(step_seconds: int) -> None:
    repeats = a_repeat_model(4, n_moments=2)
    timeline = ItemTimeline(np.arange(40, dtype=np.float16).reshape(2, 4, 5), 100, step_seconds)
    repeats = replace(repeats, timeline=timeline)
    people = [History.from_events([Event(0, time)]) for time in (100, 85)]
    scores = np.array([[3, 1, np.nan, 2], [1, 1, 5, np.nan]], np.float32)
    items = np.array([[2, 1, 3], [3, 1, 1]])
    every, some = (
        meta_features([Opinions.of(scores, people)], people, repeats, chosen) for chosen in (None, items)
    )
    np.testing.assert_array_equal(some, np.take_along_axis(every, items[:, :, None], axis=1))
