import numpy as np
import pytest

from training.generator.catalogue import build_catalogue, category_names, item_table
from training.generator.item_words import BRANDS, COLOURS, MATERIALS
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


def test_category_names_are_distinct_up_to_the_bound() -> None:
    most = int(BOUNDS["n_categories"][1])
    assert len(set(category_names(most))) == most


def test_item_table_is_ordered_and_tells_the_attributes() -> None:
    settings = GeneratorSettings(n_items=100, n_categories=3)
    catalogue = build_catalogue(settings, np.random.default_rng(0))
    table = item_table(catalogue, settings)
    assert table["item_id"].to_list() == [f"i{number:07d}" for number in range(100)]
    row = int(np.flatnonzero(catalogue.numbers == 42)[0])
    text = table.row(42, named=True)["text"]
    for words, codes in (
        (COLOURS, catalogue.colours),
        (MATERIALS, catalogue.materials),
        (BRANDS, catalogue.brands),
    ):
        assert words[codes[row]] in text
