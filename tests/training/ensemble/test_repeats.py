from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.history import SECONDS_PER_DAY, Event, EventKind, History
from models.repeats import N_FEATURES, RepeatModel, describe_items
from tests.support.shops import interactions_of
from training.base.errors import NotFinite
from training.ensemble import repeats
from training.ensemble.repeats import (
    RepeatSettings,
    earlier_baskets,
    fit_repeats,
    load_repeats,
    save_repeats,
)
from training.members.member import Floats

DAY = int(SECONDS_PER_DAY)
VIEW, PURCHASE = EventKind.VIEW, EventKind.PURCHASE
MILK, FRIDGE = 0, 1
SETTINGS = RepeatSettings(n_epochs=30, batch_size=64)


def shopper(seed: int) -> History:
    """Buys milk every week, one fridge in the first week, and another of ten items each week."""
    rng = np.random.default_rng(seed)
    events = [Event(FRIDGE, 3 * DAY, PURCHASE)]
    for week in range(8):
        moment = week * 7 * DAY + int(rng.integers(DAY))
        events += [Event(MILK, moment, PURCHASE), Event(2 + int(rng.integers(10)), moment, PURCHASE)]
    return History.from_events(events)


@pytest.fixture(scope="module")
def learned() -> RepeatModel:
    shop = interactions_of(*map(shopper, range(60)), n_items=12, until=60 * DAY)
    return fit_repeats(shop, SETTINGS, seed=0)


def odds(model: RepeatModel, history: History) -> dict[int, float]:
    distinct = history.distinct()
    found = model.log_odds(history, distinct)
    return dict(zip(distinct.item_indices.tolist(), found.tolist(), strict=True))


def test_milk_comes_back_and_fridges_do_not(learned: RepeatModel) -> None:
    found = odds(learned, shopper(1_000))
    assert found[MILK] > 2
    assert found[FRIDGE] < -2
    others = [value for item, value in found.items() if item not in (MILK, FRIDGE)]
    assert found[FRIDGE] < np.mean(others) < found[MILK]


def test_it_is_a_probability(learned: RepeatModel) -> None:
    """Of ten items each week one is drawn, so one of those bought before comes back with a probability of .1."""
    found = [
        value
        for seed in range(1_000, 1_040)
        for item, value in odds(learned, shopper(seed)).items()
        if item not in (MILK, FRIDGE)
    ]
    assert np.mean(1 / (1 + np.exp(-np.array(found)))) == pytest.approx(0.1, abs=0.03)


def test_baskets_are_asked_about_from_what_was_before_their_day() -> None:
    events = [
        (0, 0, PURCHASE),
        (1, 0.5, PURCHASE),
        (2, 3.1, VIEW),
        (2, 3.2, PURCHASE),
        (3, 3.9, PURCHASE),
        (4, 5, VIEW),
        (0, 9.5, PURCHASE),
    ]
    history = History.from_events(Event(item, int(day * DAY), kind) for item, day, kind in events)
    first, second = earlier_baskets(history, PURCHASE, 10)
    assert (first[0].item_indices.tolist(), first[1], first[2].tolist()) == ([0, 1], 3 * DAY, [2, 3])
    assert second[0].item_indices.tolist() == [0, 1, 2, 2, 3, 4]
    assert (second[1], second[2].tolist()) == (9 * DAY, [0])
    assert [each[1] for each in earlier_baskets(history, PURCHASE, 1)] == [9 * DAY]
    assert earlier_baskets(History.empty(), PURCHASE, 10) == []


def test_of_many_baskets_early_ones_are_asked_about_too() -> None:
    history = History.from_events(Event(item, item * DAY, PURCHASE) for item in range(31))
    asked = [int(truth[0]) for _, _, truth in earlier_baskets(history, PURCHASE, 8)]
    assert asked == [1, 2, 4, 8, 27, 28, 29, 30]
    assert [int(each[2][0]) for each in earlier_baskets(history, PURCHASE, 1)] == [30]


def first_week(seed: int) -> History:
    history = shopper(seed)
    kept = history.times < 7 * DAY
    return History(history.item_indices[kept], history.times[kept], history.kinds[kept])


def odds_of(model: RepeatModel, history: History) -> dict[int, float]:
    distinct = history.distinct()
    odds = model.log_odds(history, distinct).tolist()
    return dict(zip(distinct.item_indices.tolist(), odds, strict=True))


def test_of_who_has_been_there_for_a_week_as_much_is_known(learned: RepeatModel) -> None:
    """Everybody there has eight weeks; somebody new has their first."""
    odds = odds_of(learned, first_week(99))
    assert odds[MILK] > 1.0
    assert odds[FRIDGE] < -1.5


def test_a_small_shop_learns_long_enough_to_tell_milk_from_fridges() -> None:
    shop = interactions_of(*map(shopper, range(60)), n_items=12, until=60 * DAY)
    odds = odds_of(fit_repeats(shop, RepeatSettings(), seed=0), first_week(99))
    assert odds[MILK] > odds[FRIDGE] + 4.0


def test_some_questions_tell_of_targets_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a person whose purchases are all that a shop sends, the model must know what to say."""
    looked = [Event(item, week * 7 * DAY - 1, VIEW) for week in range(1, 8) for item in range(3)]
    shop = interactions_of(
        *(shopper(seed).extended(History.from_events(looked)) for seed in range(60)), n_items=12
    )
    seen = []

    def describe(*args: Any) -> Floats:
        seen.append(bool((args[0].kinds == VIEW).any()))
        return describe_items(*args)

    monkeypatch.setattr(repeats, "describe_items", describe)
    fit_repeats(shop, SETTINGS, seed=0)
    assert 0.6 < np.mean(seen) < 0.9


def test_a_basket_does_not_see_how_its_items_sell_from_its_day_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Popularity of the very basket would tell the answer: an item is bought once, by everybody, on one day."""
    shop = interactions_of(
        *(
            History.from_events(
                [Event(item, 0, PURCHASE) for item in range(10)]
                + [Event(min(seed % 10, seed % 3), 20 * DAY, PURCHASE)]
            )
            for seed in range(60)
        ),
        n_items=10,
        until=40 * DAY,
    )
    seen = []

    def describe(*args: Any) -> Floats:
        seen.append(args[-1])
        return describe_items(*args)

    monkeypatch.setattr(repeats, "describe_items", describe)
    fit_repeats(shop, SETTINGS, seed=0)
    assert len(seen) == 60
    assert all(np.ptp(values[:, 0].astype(float)) == 0 for values in seen)


def test_where_nothing_comes_back_all_are_alike() -> None:
    once = [History.from_events([Event(item, item * DAY, PURCHASE) for item in range(5)]) for _ in range(40)]
    model = fit_repeats(interactions_of(*once, n_items=5, until=9 * DAY), SETTINGS, seed=0)
    assert set(odds(model, once[0]).values()) == {0.0}


def test_equal_seeds_learn_the_same() -> None:
    shop = interactions_of(*map(shopper, range(20)), n_items=12, until=60 * DAY)
    few = RepeatSettings(n_epochs=2)
    one, same, other = (fit_repeats(shop, few, seed=seed) for seed in (1, 1, 2))
    history = shopper(5)
    assert odds(one, history) == odds(same, history) != odds(other, history)


def test_what_was_saved_says_the_same(learned: RepeatModel, tmp_path: Path) -> None:
    save_repeats(learned, tmp_path)
    assert odds(load_repeats(tmp_path), shopper(7)) == odds(learned, shopper(7))


def test_a_loss_that_diverges_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = interactions_of(*map(shopper, range(20)), n_items=12, until=60 * DAY)
    monkeypatch.setattr(
        repeats,
        "describe_items",
        lambda _, distinct, *__: np.full((len(distinct), N_FEATURES), np.nan, np.float32),
    )
    with pytest.raises(NotFinite, match="learning_rate"):
        fit_repeats(shop, RepeatSettings(n_epochs=1), seed=0)
