"""Items as they stood, on events of which every count can be done in the head."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from models.history import SECONDS_PER_DAY, Event, History
from models.item_timeline import ITEM_FEATURES
from tests.support.blocks import block_dataset
from tests.support.shops import interactions_of
from training.data.dataset import Interactions, PredictionTime, interactions_among
from training.ensemble import item_timeline
from training.ensemble.item_timeline import LONGEST_DAYS, MAX_MOMENTS, ItemTimeline
from training.members.popularity import decayed_popularity

DAY = int(SECONDS_PER_DAY)
UNTIL = 21
"""Days; the week before it has no event."""
NEVER = 3
"""An item that nobody touched."""


def history(*events: tuple[int, float]) -> History:
    """From (item_index, day)."""
    return History.from_events(Event(item, round(day * DAY)) for item, day in events)


def three_weeks(prediction_time: PredictionTime = "last_event") -> Interactions:
    """Item 0 on days 0, 7 and 14, item 1 on day 7, item 2 on day 7.5; item 3 never."""
    people = (history((0, 0), (1, 7), (2, 7.5)), history((0, 7), (0, 14)))
    return interactions_of(*people, n_items=4, until=UNTIL * DAY, prediction_time=prediction_time)


def features_at(timeline: ItemTimeline, day: float) -> dict[str, npt.NDArray[np.float32]]:
    """Of all items, as seen by somebody whose last event was on this day."""
    (features,) = timeline.at([history((1, day))])
    return dict(zip(ITEM_FEATURES, features.T, strict=True))


@pytest.fixture(scope="module")
def timeline() -> ItemTimeline:
    return ItemTimeline.of(three_weeks())


def close(found: npt.NDArray[np.float32], expected: list[float]) -> None:
    """Equal up to float16."""
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_popularity_halves_with_each_half_life_since_an_event(timeline: ItemTimeline) -> None:
    found = features_at(timeline, UNTIL)
    close(np.expm1(found["log_popularity_7d"][:2]), [1 / 8 + 1 / 4 + 1 / 2, 1 / 4])
    expected = [2 ** (-21 / 30) + 2 ** (-14 / 30) + 2 ** (-7 / 30), 2 ** (-14 / 30)]
    close(np.expm1(found["log_popularity_30d"][:2]), expected)
    close(np.expm1(found["log_popularity_all"]), [3, 1, 1, 0])


def test_a_question_sees_what_happened_strictly_before_it(timeline: ItemTimeline) -> None:
    found = features_at(timeline, 7)
    close(np.expm1(found["log_popularity_7d"]), [1 / 2, 0, 0, 0])
    close(np.expm1(found["log_popularity_all"]), [1, 0, 0, 0])


def test_between_two_moments_a_question_sees_the_earlier_one(timeline: ItemTimeline) -> None:
    just_before, just_after = features_at(timeline, 7.99), features_at(timeline, 8)
    close(np.expm1(just_before["log_popularity_all"]), [1, 0, 0, 0])
    close(np.expm1(just_after["log_popularity_all"]), [2, 1, 1, 0])


def test_an_item_is_idle_since_its_last_event_and_old_since_its_first(timeline: ItemTimeline) -> None:
    found = features_at(timeline, 15)
    close(found["item_idle_log_days"], np.log1p([1, 8, 7.5, LONGEST_DAYS]).tolist())
    close(found["item_age_log_days"], np.log1p([15, 8, 7.5, 0]).tolist())


def test_before_its_first_event_an_item_is_like_one_that_nobody_touches(timeline: ItemTimeline) -> None:
    (features,) = timeline.at([history((1, 7))])
    np.testing.assert_array_equal(features[1], features[NEVER])


def test_an_empty_history_is_predicted_at_the_end(timeline: ItemTimeline) -> None:
    empty, late = timeline.at([History.empty(), history((1, UNTIL))])
    np.testing.assert_array_equal(empty, late)


def test_people_see_each_their_own_moment(timeline: ItemTimeline) -> None:
    days = (UNTIL, 0, 8)
    together = timeline.at([history((1, day)) for day in days])
    for row, day in enumerate(days):
        np.testing.assert_array_equal(together[row : row + 1], timeline.at([history((1, day))]))


def test_whoever_comes_before_all_others_sees_nothing(timeline: ItemTimeline) -> None:
    found = features_at(timeline, -400)
    assert not found["log_popularity_all"].any()


def test_predicted_now_all_people_share_the_last_moment() -> None:
    now, grid = ItemTimeline.of(three_weeks("now")), ItemTimeline.of(three_weeks())
    found = now.at([history((1, 3)), history((1, UNTIL))])
    assert len(found) == len(now.values) == 1
    np.testing.assert_array_equal(found, grid.at([history((1, UNTIL))]))


@pytest.mark.parametrize("prediction_time", ["now", "last_event"])
def test_the_last_moment_counts_as_the_popularity_member_does(prediction_time: PredictionTime) -> None:
    dataset = block_dataset()
    until = int(dataset.histories.times.max()) + 1
    everything = np.ones(len(dataset.histories.times), np.bool_)
    past = interactions_among(dataset, everything, until=until, prediction_time=prediction_time)
    latest = ItemTimeline.of(past).values[0].astype(np.float64)
    for column, half_life_days in enumerate((7.0, 30.0, np.inf)):
        expected = decayed_popularity(past, half_life_days)
        np.testing.assert_allclose(np.expm1(latest[:, column]), expected, rtol=4e-3)


def test_a_long_past_has_fewer_moments_and_the_first_is_before_all_events() -> None:
    years = interactions_of(
        history((0, 0), (1, 4000)), n_items=2, until=4100 * DAY, prediction_time="last_event"
    )
    timeline = ItemTimeline.of(years)
    assert len(timeline.values) <= MAX_MOMENTS
    assert timeline.step_seconds > 10 * DAY
    assert not features_at(timeline, 0)["log_popularity_all"].any()
    close(np.expm1(features_at(timeline, 3999)["log_popularity_all"]), [1, 0])
    close(np.expm1(features_at(timeline, 4100)["log_popularity_all"]), [1, 1])


def test_a_past_without_events_is_one_moment_of_nothing() -> None:
    timeline = ItemTimeline.of(interactions_of(n_items=3, until=DAY, prediction_time="last_event"))
    assert timeline.values.shape == (1, 3, len(ITEM_FEATURES))
    assert not features_at(timeline, 1)["log_popularity_all"].any()


def test_a_large_catalogue_has_fewer_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_timeline, "MOST_VALUES", 30)
    days = interactions_of(history((0, 0), (1, 90)), n_items=3, until=100 * DAY, prediction_time="last_event")
    timeline = ItemTimeline.of(days)
    assert len(timeline.values) <= 10
    close(np.expm1(features_at(timeline, 100)["log_popularity_all"]), [1, 1, 0])
