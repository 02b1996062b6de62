"""What follows from a purchase: consumables are bought again at their own intervals, some durables come back."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from models.history import EventKind
from models.removals import RETURN
from training.generator.behaviour import simulate_people
from training.generator.catalogue import SECONDS_PER_DAY, InventedCatalogue, build_catalogue
from training.generator.purchases import PURCHASE_STEP, Visits, _rates_by_taste, follow_up, place_stays
from training.generator.settings import GeneratorSettings

SETTINGS = GeneratorSettings(n_people=6_000, n_items=600)


def events_of(settings: GeneratorSettings) -> tuple[InventedCatalogue, pl.DataFrame]:
    """Simulate a chunk: person, item, day, kind, and the item's mean interval."""
    catalogue = build_catalogue(settings, np.random.default_rng([settings.seed, 0]))
    events = simulate_people(catalogue, settings, settings.n_people, np.random.default_rng(2))
    return catalogue, pl.DataFrame(
        {
            "person": events.people,
            "item": events.items,
            "day": events.times / SECONDS_PER_DAY,
            "kind": events.kinds,
            "repeat_days": catalogue.repeat_days[events.items],
        }
    )


@pytest.fixture(scope="module")
def events() -> pl.DataFrame:
    return events_of(SETTINGS)[1]


@pytest.fixture(scope="module")
def purchases(events: pl.DataFrame) -> pl.DataFrame:
    """Select purchases; say whether the item was bought before, how long ago, and in which half."""
    middle = ((pl.min("day") + pl.max("day")) / 2).over("person")
    bought = events.with_columns(is_late=pl.col("day") > middle).filter(kind=int(EventKind.PURCHASE))
    return bought.with_columns(
        is_repeated=pl.int_range(pl.len()).over("person", "item") > 0,
        gap=pl.col("day").diff().over("person", "item"),
    )


def test_consumables_are_bought_again_and_durables_hardly_ever(purchases: pl.DataFrame) -> None:
    consumables = purchases.filter(pl.col("repeat_days") > 0)
    durables = purchases.filter(repeat_days=0.0)
    assert consumables["is_repeated"].mean() > 0.4  # type: ignore[operator]
    assert durables["is_repeated"].mean() < 0.01  # type: ignore[operator]
    assert min(consumables.height, durables.height) > 1_000


def test_in_the_later_half_of_histories_about_a_third_is_bought_again(purchases: pl.DataFrame) -> None:
    assert 0.25 < purchases.filter("is_late")["is_repeated"].mean() < 0.4  # type: ignore[operator]


def test_an_item_comes_back_at_its_own_interval(purchases: pl.DataFrame) -> None:
    gaps = purchases.drop_nulls("gap").filter(pl.col("repeat_days") > 0)
    items = gaps.group_by("item").agg(pl.median("gap"), pl.first("repeat_days"), n=pl.len())
    often = items.filter(pl.col("n") >= 15)
    assert often.height > 20
    assert often.select(pl.corr("gap", "repeat_days")).item() > 0.8
    ratio = (often["gap"] / often["repeat_days"]).median()
    assert ratio == pytest.approx(1.0, abs=0.15)


def test_people_keep_their_own_pace(purchases: pl.DataFrame) -> None:
    gaps = purchases.drop_nulls("gap").filter(pl.col("repeat_days") > 0)
    habits = gaps.group_by("person", "item").agg(
        n=pl.len(),
        pace=(pl.mean("gap") / pl.first("repeat_days")),
        unevenness=pl.std("gap") / pl.mean("gap"),
    )
    habits = habits.filter(pl.col("n") >= 4)
    assert habits["unevenness"].median() < 0.25  # type: ignore[operator]
    assert habits["pace"].std() > 0.15  # type: ignore[operator]


def test_habits_last_as_long_as_the_person_is_around() -> None:
    _, events = events_of(replace(SETTINGS, consumable_share=1.0, n_days=120, stay_days=40))
    spans = events.group_by("person").agg(days=pl.max("day").floor() - pl.min("day").floor())
    assert spans["days"].max() <= 40  # type: ignore[operator]
    assert spans["days"].max() >= 38  # type: ignore[operator]


def test_without_consumables_hardly_anything_is_bought_again() -> None:
    _, events = events_of(replace(SETTINGS, consumable_share=0.0))
    bought = events.filter(kind=int(EventKind.PURCHASE))
    assert bought.unique(["person", "item"]).height > 0.99 * bought.height


@pytest.mark.parametrize(
    "changes",
    [
        {"consumable_share": 0.0},
        {"consumable_share": 1.0},
        {"return_rate": 0.5},
        {"n_days": 1_000},
        {"stay_days": 60},
        {"mean_events_per_person": 100.0, "n_people": 2_000},
    ],
)
def test_what_follows_from_purchases_is_part_of_the_mean_number_of_events(changes: dict[str, float]) -> None:
    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]
    _, events = events_of(settings)
    assert events.height / settings.n_people == pytest.approx(settings.mean_events_per_person, rel=0.1)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.4])
def test_the_chosen_share_of_durables_is_returned_within_a_month(rate: float) -> None:
    settings = replace(SETTINGS, return_rate=rate, consumable_share=0.25)
    _, events = events_of(settings)
    returns = events.filter(kind=RETURN)
    first = (
        events.filter(kind=int(EventKind.PURCHASE))
        .group_by("person", "item")
        .agg(bought=pl.min("day"), repeat_days=pl.first("repeat_days"))
    )
    early = first.filter((pl.col("repeat_days") == 0) & (pl.col("bought") < settings.n_days - 32))
    returned = early.join(returns, on=["person", "item"], how="semi")
    assert returned.height / early.height == pytest.approx(rate, abs=0.02)
    assert (returns["repeat_days"] == 0).all()
    delays = returns.join(first, on=["person", "item"], how="left").select(pl.col("day") - pl.col("bought"))
    assert delays["day"].null_count() == 0
    if rate:
        assert delays["day"].min() > 1  # type: ignore[operator]


def test_items_that_do_not_suit_are_returned_more_often_and_those_that_suit_are_kept_as_habits() -> None:
    settings = replace(SETTINGS, return_rate=0.2)
    catalogue = build_catalogue(settings, np.random.default_rng(0))
    n_people = 8_000
    people = np.arange(n_people)
    suits = people % 2 == 0
    counts = {}
    for name, is_wanted in (
        ("durable", catalogue.repeat_days == 0),
        ("consumable", catalogue.repeat_days > 0),
    ):
        item = np.flatnonzero(is_wanted & (catalogue.departure_times > 10**12))[0]
        bought = Visits(
            people,
            items=np.full(n_people, item),
            times=np.full(n_people, 40 * SECONDS_PER_DAY),
            affinities=np.where(suits, 1.0, -1.0).astype(np.float32),
            first_steps=np.zeros(n_people, np.int64),
            n_steps=np.full(n_people, PURCHASE_STEP + 1),
        )
        stays = place_stays(settings, np.zeros(n_people))
        visits = follow_up(catalogue, settings, bought, stays, np.random.default_rng(1))
        later = visits.taken(visits.times > 41 * SECONDS_PER_DAY)
        touched = np.isin(people, later.people)
        counts[name] = touched[suits].mean(), touched[~suits].mean()
    assert counts["durable"][1] > 2 * counts["durable"][0] > 0
    assert counts["consumable"][0] > 1.5 * counts["consumable"][1] > 0


def test_rates_by_taste_have_the_mean_that_was_asked_for() -> None:
    affinities = np.random.default_rng(0).normal(1.5, 0.7, 10_000).astype(np.float32)
    rates = _rates_by_taste(0.5, affinities, -0.8)
    assert rates.mean() == pytest.approx(0.5, abs=0.005)
    assert rates.max() == 1
    assert (np.diff(rates[np.argsort(affinities)]) <= 0).all()


def test_nothing_happens_before_an_item_arrives_or_after_it_has_left() -> None:
    settings = replace(SETTINGS, change_day=60, turnover=0.5, new_item_share=0.5, mean_events_per_person=60)
    catalogue, events = events_of(settings)
    items = events["item"].to_numpy()
    seconds = np.round(events["day"].to_numpy() * SECONDS_PER_DAY).astype(np.int64)
    assert (seconds >= catalogue.arrival_times[items]).all()
    assert (seconds < catalogue.departure_times[items]).all()
    assert (catalogue.departure_times < 10**12).any()


def test_people_are_loyal_to_brands_more_than_to_colours() -> None:
    catalogue, events = events_of(replace(SETTINGS, mean_events_per_person=60))
    clicked = events.filter(kind=int(EventKind.CLICK)).unique(["person", "item"], maintain_order=True)
    items = clicked["item"].to_numpy()
    brands = preference(clicked["person"], catalogue.brands[items])
    assert brands > 1.2
    assert brands > preference(clicked["person"], catalogue.colours[items]) + 0.03


def preference(people: pl.Series, codes: np.ndarray) -> float:
    """How often two items of one person share an attribute, against two items of different people."""
    table = pl.DataFrame({"person": people, "code": codes})
    counts = table.group_by("person", "code").len().with_columns(n=pl.sum("len").over("person"))
    people_of_many = counts.filter(pl.col("n") >= 5)
    agreement = (
        people_of_many.group_by("person")
        .agg(same=(pl.col("len") * (pl.col("len") - 1)).sum() / (pl.first("n") * (pl.first("n") - 1)))["same"]
        .to_numpy()
    )
    shares = np.bincount(codes) / len(codes)
    return float(agreement.mean() / (shares**2).sum())
