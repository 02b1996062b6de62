from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BundleInconsistent
from models.history import MAX_COUNT, SECONDS_PER_DAY, Event, EventKind, History, encode_history
from models.kept_history import kept_history
from models.repeats import BASKET_HALF_LIVES, DAY_HALF_LIVES, FLOOR, REPEAT_FEATURES, RepeatModel
from models.student import Student
from tests.models.repeat_features import described_in_numpy
from tests.support.bundles import tiny_items, tiny_student
from tests.support.repeats import a_repeat_model

DAY = int(SECONDS_PER_DAY)
VIEW, PURCHASE = EventKind.VIEW, EventKind.PURCHASE
N_ITEMS = 8
MODEL = a_repeat_model(N_ITEMS, n_moments=12)
EVENTS = st.lists(
    st.builds(
        Event,
        st.integers(0, N_ITEMS - 1),
        st.integers(900 * DAY, 1_000 * DAY),
        st.sampled_from([int(kind) for kind in EventKind]),
    ),
    max_size=40,
)


def person(*events: tuple[int, float, EventKind]) -> History:
    """From (item_index, day, kind)."""
    return History.from_events(Event(item, int(day * DAY), kind) for item, day, kind in events)


def described(history: History, item: int, model: RepeatModel = MODEL) -> dict[str, float]:
    distinct = history.distinct()
    rows = model.describe(history, distinct)
    place = distinct.item_indices.tolist().index(item)
    return dict(zip(REPEAT_FEATURES, rows[place].tolist(), strict=True))


REGULAR = person(
    (3, 900, PURCHASE),
    (5, 900, PURCHASE),
    (3, 907, PURCHASE),
    (3, 907.2, PURCHASE),
    (4, 910, PURCHASE),
    (3, 914, PURCHASE),
    (4, 915, VIEW),
    (6, 915, VIEW),
)


def test_what_was_taken_is_described_basket_by_basket() -> None:
    found = described(REGULAR, 3)
    assert found["log_baskets"] == pytest.approx(np.log1p(3))  # twice on one day is one basket
    assert found["share_of_baskets"] == found["rate_since_first"] == pytest.approx(3 / 4)
    assert found["log_baskets_since"] == 0
    assert found["log_days_since"] == pytest.approx(np.log1p(1))
    for half_life in BASKET_HALF_LIVES:
        sum_ = sum(0.5 ** (age / half_life) for age in (3, 2, 0))
        assert found[f"log_decayed_{half_life:g}_baskets"] == pytest.approx(np.log(sum_ + FLOOR), rel=1e-5)
    for half_life in DAY_HALF_LIVES:
        sum_ = sum(0.5 ** (age / half_life) for age in (15, 8, 1))
        assert found[f"log_decayed_{half_life:g}_days"] == pytest.approx(np.log(sum_ + FLOOR), rel=1e-5)
    assert found["log_interval"] == pytest.approx(np.log1p(7))
    assert found["log_due"] == pytest.approx(np.log1p(7) - np.log1p(1 + 14 / 3), rel=1e-5)
    assert found["strongest_purchase"] == 1
    assert found["log_others"] == 0


def test_the_person_is_described_with_every_item() -> None:
    for item in (3, 6):
        found = described(REGULAR, item)
        assert found["log_n_baskets"] == pytest.approx(np.log1p(4))
        assert found["log_basket_gap"] == pytest.approx(np.log1p(14 / 3))
        assert found["log_basket_size"] == pytest.approx(np.log(5 / 4))
        assert found["log_n_items"] == pytest.approx(np.log(4))


def test_what_was_only_looked_at_was_not_taken() -> None:
    found = described(REGULAR, 6)
    assert not any(found[name] for name in REPEAT_FEATURES[:13])
    assert found["log_others"] == pytest.approx(np.log1p(1))
    assert found["log_days_since_other"] == 0
    assert found["strongest_view"] == 1


def test_the_clock_of_the_item_is_read_where_there_is_one() -> None:
    known, unknown = described(REGULAR, 4), described(REGULAR, 3)
    assert known["log_every"] == pytest.approx(MODEL.clock.log_days[4])
    assert known["log_overdue"] == pytest.approx(np.log1p(5) - MODEL.clock.log_days[4], rel=1e-5)
    share = MODEL.clock.shares[4]
    assert known["share_again"] == pytest.approx(np.log(share / (1 - share)), rel=1e-5)
    assert unknown["log_every"] == unknown["log_overdue"] == 0


def test_items_are_seen_as_they_stood_when_it_was_asked() -> None:
    at_last = described(REGULAR, 3)["log_popularity_7d"]
    later = described(replace(REGULAR, asked_at=1_000 * DAY), 3)["log_popularity_7d"]
    assert at_last == MODEL.timeline.values[9, 3, 0]  # 85 days before the end, in steps of 10
    assert later == MODEL.timeline.values[0, 3, 0]
    assert described(replace(REGULAR, asked_at=1_000 * DAY), 3, MODEL.latest())["log_popularity_7d"] == later


def test_log_odds_are_what_the_layers_say() -> None:
    distinct = REGULAR.distinct()
    values = MODEL.describe(REGULAR, distinct).astype(np.float64)
    for number, (weights, bias) in enumerate(zip(MODEL.layers[::2], MODEL.layers[1::2], strict=True)):
        values = values @ weights + bias
        values = values if number == 2 else np.maximum(values, 0)
    np.testing.assert_allclose(MODEL.log_odds(REGULAR, distinct), values[:, 0], rtol=1e-4)
    assert MODEL.log_odds(History.empty(), History.empty()).shape == (0,)


@given(EVENTS)
def test_the_kernel_describes_as_numpy_does(events: list[Event]) -> None:
    history = History.from_events(events)
    distinct = history.distinct()
    if len(distinct):
        values = MODEL.timeline.values[MODEL.timeline.rows([history])[0]]
        expected = described_in_numpy(history, distinct, MODEL.target, MODEL.clock, values)
        np.testing.assert_allclose(MODEL.describe(history, distinct), expected, rtol=1e-5, atol=1e-5)


def test_of_many_events_those_that_are_kept_are_described_as_numpy_does() -> None:
    rng = np.random.default_rng(0)
    n_items = 1_500
    model = a_repeat_model(n_items)
    history = History.from_events(
        Event(int(item), int(time), int(kind))
        for item, time, kind in zip(
            rng.integers(0, n_items, 4_000),
            rng.integers(-50 * DAY, 50 * DAY, 4_000),  # before 1970, too
            rng.choice([int(VIEW), int(PURCHASE)], 4_000),
            strict=True,
        )
    )
    distinct = history.distinct()
    expected = described_in_numpy(history, distinct, PURCHASE, model.clock, model.timeline.values[0])
    np.testing.assert_allclose(model.describe(history, distinct), expected, rtol=1e-5, atol=1e-5)


def test_an_item_that_is_missing_among_the_own_is_said() -> None:
    with pytest.raises(ValueError, match="every item"):
        MODEL.log_odds(REGULAR, REGULAR.last(1))


@given(EVENTS)
def test_only_what_is_kept_of_a_person_counts(events: list[Event]) -> None:
    whole = History.from_events(events)
    one, other = (encode_history(each, log_odds=MODEL.log_odds) for each in (whole, kept_history(whole)))
    np.testing.assert_array_equal(one.repeat_log_odds, other.repeat_log_odds)
    assert np.isfinite(one.repeat_log_odds).all()


def test_a_purchase_more_often_than_is_kept_changes_nothing_before() -> None:
    often = [(1, 900 + day, PURCHASE) for day in range(30)]
    found = described(person(*often), 1)
    assert found["log_baskets"] == pytest.approx(np.log1p(MAX_COUNT))


def test_the_order_of_what_is_encoded_is_that_of_the_items() -> None:
    encoded = encode_history(REGULAR, 2, MODEL.log_odds)
    distinct = REGULAR.distinct()
    expected = dict(
        zip(distinct.item_indices.tolist(), MODEL.log_odds(REGULAR, distinct).tolist(), strict=True)
    )
    assert encoded.repeat_log_odds.tolist() == [expected[row - 1] for row in encoded.item_rows.tolist()]
    assert not encode_history(REGULAR).repeat_log_odds.any()


def test_rows_of_items_may_be_taken() -> None:
    order = np.random.default_rng(1).permutation(N_ITEMS)
    places = np.argsort(order)
    moved = History(places[REGULAR.item_indices].astype(np.int32), REGULAR.times, REGULAR.kinds)
    np.testing.assert_array_equal(
        MODEL.take(order).log_odds(moved, moved.distinct()), MODEL.log_odds(REGULAR, REGULAR.distinct())
    )


def test_what_was_written_says_the_same() -> None:
    read = RepeatModel.from_arrays(MODEL.arrays())
    distinct = REGULAR.distinct()
    np.testing.assert_array_equal(read.log_odds(REGULAR, distinct), MODEL.log_odds(REGULAR, distinct))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("values", np.zeros((1, N_ITEMS, 4), np.float16)),
        ("values", np.zeros((1, N_ITEMS + 1, 5), np.float16)),
        ("first", np.zeros((3, 8), np.float32)),
        ("second_bias", np.zeros(5, np.float32)),
        ("last", np.zeros((4, 2), np.float32)),
        ("shares", np.zeros(N_ITEMS - 1, np.float32)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, wrong: np.ndarray) -> None:
    with pytest.raises(BundleInconsistent):
        RepeatModel.from_arrays({**MODEL.arrays(), name: wrong})


def test_a_student_reads_the_model_of_its_files() -> None:
    files = replace(tiny_student(tiny_items()), repeats=a_repeat_model(40))
    history = person((3, 900, PURCHASE), (30, 907, VIEW))
    expected = encode_history(history, log_odds=files.repeats.log_odds).repeat_log_odds
    np.testing.assert_array_equal(Student(files).encode(history).repeat_log_odds, expected)
    assert expected.all()
