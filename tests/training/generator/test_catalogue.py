import numpy as np
import pytest

from training.generator.catalogue import build_catalogue, category_names, change_time, item_table
from training.generator.item_words import BRANDS, COLOURS, CONSUMABLE_NOUNS, MATERIALS, NOUNS
from training.generator.settings import BOUNDS, GeneratorSettings


@pytest.mark.parametrize(("n_items", "n_categories"), [(1, 1), (12, 12), (500, 7), (5_000, 200)])
def test_every_cluster_has_an_item_that_is_there_from_the_start(n_items: int, n_categories: int) -> None:
    settings = GeneratorSettings(n_items=n_items, n_categories=n_categories, new_item_share=0.9)
    catalogue = build_catalogue(settings, np.random.default_rng(0))
    assert len(catalogue) == n_items
    assert catalogue.cluster_sizes.min() >= 1
    assert catalogue.cluster_sizes.sum() == n_items
    assert np.array_equal(
        catalogue.clusters[catalogue.cluster_starts], np.arange(len(catalogue.cluster_starts))
    )
    assert (catalogue.arrival_times[catalogue.cluster_starts] == 0).all()


def test_a_visit_ends_before_its_item_leaves_and_begins_when_it_has_come() -> None:
    settings = GeneratorSettings(change_day=60, turnover=0.5)
    catalogue = build_catalogue(settings, np.random.default_rng(0))
    change = change_time(settings)
    leaving = np.flatnonzero(catalogue.departure_times == change)[:1]
    arriving = np.flatnonzero(catalogue.arrival_times == change)[:1]
    assert catalogue.is_there(leaving, np.array([change - 60])).all()
    assert not catalogue.is_there(leaving, np.array([change - 59])).any()
    assert catalogue.is_there(arriving, np.array([change])).all()
    assert not catalogue.is_there(arriving, np.array([change - 1])).any()


def test_companions_are_of_the_same_style_in_the_category_that_goes_with_it() -> None:
    catalogue = build_catalogue(GeneratorSettings(), np.random.default_rng(0))
    styles, categories = catalogue.clusters % catalogue.n_styles, catalogue.clusters // catalogue.n_styles
    assert np.array_equal(styles[catalogue.companions], styles)
    assert np.array_equal(categories[catalogue.companions], catalogue.companion_categories[categories])


def test_vectors_and_a_taste_of_unit_variance_give_affinities_of_about_unit_variance() -> None:
    catalogue = build_catalogue(GeneratorSettings(n_items=5_000), np.random.default_rng(0))
    tastes = np.random.default_rng(1).standard_normal((500, catalogue.vectors.shape[1]))
    assert (tastes @ catalogue.vectors.T).std() == pytest.approx(1.0, abs=0.2)


def test_items_that_share_attributes_are_closer_than_others() -> None:
    catalogue = build_catalogue(GeneratorSettings(n_items=5_000), np.random.default_rng(0))
    one, other = np.random.default_rng(1).integers(0, 5_000, (2, 200_000))
    products = (catalogue.vectors[one] * catalogue.vectors[other]).sum(axis=1)
    shares = (catalogue.colours[one] == catalogue.colours[other]) & (
        catalogue.materials[one] == catalogue.materials[other]
    )
    assert products[shares].mean() > products[~shares].mean() + 0.3


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_category_names_are_distinct_up_to_the_bound(share: float) -> None:
    most = int(BOUNDS["n_categories"][1])
    settings = GeneratorSettings(n_categories=most, consumable_share=share)
    is_consumable = build_catalogue(settings, np.random.default_rng(0)).is_consumable
    assert len(set(category_names(is_consumable))) == most


def test_the_share_of_consumables_is_kept_and_they_are_named_as_such() -> None:
    for seed in range(5):
        settings = GeneratorSettings(n_categories=12, consumable_share=0.25, seed=seed)
        is_consumable = build_catalogue(settings, np.random.default_rng(0)).is_consumable
        names = category_names(is_consumable)
        assert is_consumable.sum() == 3
        assert {name for name, used_up in zip(names, is_consumable, strict=True) if used_up} <= {
            *CONSUMABLE_NOUNS
        }
    assert not {*CONSUMABLE_NOUNS} & {*NOUNS}


def test_consumables_have_intervals_of_their_own_and_durables_have_none() -> None:
    settings = GeneratorSettings()
    catalogue = build_catalogue(settings, np.random.default_rng(0))
    is_consumable = catalogue.is_consumable[catalogue.clusters // catalogue.n_styles]
    days = catalogue.repeat_days[is_consumable]
    assert (catalogue.repeat_days[~is_consumable] == 0).all()
    assert (days.min(), days.max()) == (pytest.approx(7, abs=0.5), pytest.approx(45, abs=2))
    assert len(np.unique(days)) > 0.9 * len(days)


def test_item_table_is_ordered_and_tells_the_attributes() -> None:
    settings = GeneratorSettings(n_items=100, n_categories=3)
    catalogue = build_catalogue(settings, np.random.default_rng(0))
    table = item_table(catalogue, settings)
    assert table["item_id"].to_list() == [f"i{number:07d}" for number in range(100)]
    item = int(np.flatnonzero(catalogue.numbers == 42)[0])
    row = table.row(42, named=True)
    for column, words, codes in (
        ("colour", COLOURS, catalogue.colours),
        ("material", MATERIALS, catalogue.materials),
        ("brand", BRANDS, catalogue.brands),
    ):
        assert row[column] == words[codes[item]]
        assert row[column] in row["text"]
        assert row[column] in row["title"]
