"""The invented catalogue: the generator's, in the order of a bundle, with a category for filters."""

from __future__ import annotations

import numpy as np
import pytest

from models.items import Items
from training.base.errors import SettingsInvalid
from training.generator.catalogue import item_table
from training.scale.shop import FILTER_CATEGORY, ScaleCatalogue, ScaleSettings, invent_catalogue


def described(catalogue: ScaleCatalogue) -> Items:
    return catalogue.items(np.arange(len(catalogue), dtype=np.float32))


@pytest.mark.parametrize("n_items", [200, 500, 3_000])
def test_one_percent_holds_one_item_in_a_hundred(n_items: int) -> None:
    items = described(invent_catalogue(ScaleSettings(n_items, 1), 10))
    assert items.allowed(categories=[FILTER_CATEGORY]).sum() == n_items / 100


def test_every_item_is_in_a_category_of_its_own_name(catalogue: ScaleCatalogue) -> None:
    items = described(catalogue)
    names = [items.category_names[code] for code in items.category_codes]
    assert len(set(names)) == len(items.category_names) == 25
    is_named = [name in items.titles[row] for row, name in enumerate(names) if name != FILTER_CATEGORY]
    assert np.mean(is_named) > 0.9  # what is beyond one percent went to another category


@pytest.mark.parametrize("is_reordered", [False, True])
def test_what_is_said_of_an_item_is_what_the_generator_says(
    settings: ScaleSettings, catalogue: ScaleCatalogue, is_reordered: bool
) -> None:
    order = np.random.default_rng(0).permutation(len(catalogue))
    items = described(catalogue.in_order(order) if is_reordered else catalogue)
    table = item_table(catalogue.invented, settings.generator)
    rows = items.vocabulary.indices_of(table["item_id"], unknown="raise").tolist()
    assert sorted(rows) == list(range(500))
    assert (rows == list(range(500))) is not is_reordered
    assert [items.titles[row] for row in rows] == table["title"].to_list()
    np.testing.assert_array_equal(items.prices[rows], table["price"].to_numpy())


def test_texts_are_of_the_items_named(catalogue: ScaleCatalogue) -> None:
    reordered = catalogue.in_order(np.arange(500)[::-1])
    items = described(reordered)
    for item_index, text in zip(reordered.indices_of_texts(), reordered.texts, strict=True):
        assert text.startswith(items.titles[int(item_index)])


@pytest.mark.parametrize(
    ("n_items", "n_people", "seed", "named"),
    [(199, 1, 0, "n_items is 199"), (200, 0, 0, "n_people is 0"), (10**6 + 1, 1, 0, "n_items"), (200, 1, -1, "seed")],
)  # fmt: skip
def test_size_out_of_bounds_is_refused(n_items: int, n_people: int, seed: int, named: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"{named}.*must be between"):
        ScaleSettings(n_items, n_people, seed)
