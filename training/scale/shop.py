"""The size of an invented shop, and its catalogue in the order of a bundle.

The catalogue is that of training/generator/catalogue.py: categories, styles and ranks within them, attributes
and titles. Its rows are sorted by cluster and rank; a bundle's items are not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.attributes import ItemAttributes
from models.items import Items, rank_segments
from models.repurchase import RepurchaseClock
from models.text import item_text
from models.vocabulary import StringTable
from training.base.errors import SettingsInvalid
from training.generator.catalogue import Ints, InventedCatalogue, build_catalogue, category_names, item_table
from training.generator.settings import GeneratorSettings
from training.scale.ids import numbered_ids

MAX_CATEGORIES = 200
ITEMS_PER_CATEGORY = 20
"""The smallest mean number of items per category; a small catalogue has fewer than `MAX_CATEGORIES`."""

FILTER_CATEGORY = "one-percent"
"""A category with one item in a hundred, to measure filters."""

BOUNDS: dict[str, tuple[int, int]] = {
    "n_items": (200, 1_000_000),
    "n_people": (1, 10_000_000),
    "seed": (0, 2**63 - 1),
}
"""The lowest and highest value of each setting, both allowed."""


@dataclass(frozen=True)
class ScaleSettings:
    """The size of a shop. Equal settings make equal bundles. Raises `SettingsInvalid` outside `BOUNDS`.

    student_seed: makes another student of the same shop; None takes the shop's seed.
    """

    n_items: int
    n_people: int
    seed: int = 0
    student_seed: int | None = None

    def __post_init__(self) -> None:
        for name, (lowest, highest) in BOUNDS.items():
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise SettingsInvalid(f"{name} is {value:,}; it must be between {lowest:,} and {highest:,}.")

    @property
    def of_the_student(self) -> ScaleSettings:
        """These settings with the student's seed."""
        return self if self.student_seed is None else replace(self, seed=self.student_seed)

    @property
    def generator(self) -> GeneratorSettings:
        """The generator's settings for a catalogue of this size."""
        n_categories = min(MAX_CATEGORIES, self.n_items // ITEMS_PER_CATEGORY)
        return GeneratorSettings(n_items=self.n_items, n_categories=n_categories, seed=self.seed)

    def rng(self, *stream: int) -> np.random.Generator:
        """Return the random generator of one part of the bundle, independent of all other parts."""
        return np.random.default_rng([self.seed, *stream])

    def as_values(self) -> dict[str, Any]:
        """Return the settings for the manifest."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class ScaleCatalogue:
    """An invented catalogue with its items in the order of a bundle.

    invented: by its own rows. rows: (n_items,) int64, the row of each item_index; item_indices: the inverse. titles
    and prices: by number, from which ids are made. texts: only those of text_numbers.
    """

    invented: InventedCatalogue
    rows: Ints
    item_indices: Ints
    titles: pl.Series
    prices: npt.NDArray[np.float32]
    text_numbers: Ints
    texts: list[str]

    def __len__(self) -> int:
        return len(self.rows)

    def in_order(self, order: npt.NDArray[np.integer[Any]]) -> ScaleCatalogue:
        """Return the catalogue with item order[i] as item i."""
        rows = self.rows[order]
        return replace(self, rows=rows, item_indices=np.argsort(rows))

    def indices_of_texts(self) -> Ints:
        """Return the item_index of each text."""
        return np.argsort(self.invented.numbers[self.rows])[self.text_numbers]

    def items(self, popularity: npt.NDArray[np.float32]) -> Items:
        """Return the metadata of a bundle. popularity: (n_items,) by item_index. Segments are the categories."""
        numbers = self.invented.numbers[self.rows]
        codes, names = _categories(self.invented)
        segments = codes[self.rows].astype(np.int32)
        return Items(
            vocabulary=numbered_ids("i", 7, numbers),
            titles=StringTable.from_strings(self.titles[numbers]),
            category_names=StringTable.from_strings(names),
            category_codes=segments,
            prices=self.prices[numbers],
            segments=segments,
            segment_popular=rank_segments(segments, popularity),
            popularity=popularity,
            available=np.ones(len(numbers), np.bool_),
            attributes=ItemAttributes.none(len(numbers)),
            repurchase=RepurchaseClock.none(len(numbers)),
        )


def invent_catalogue(settings: ScaleSettings, n_texts: int) -> ScaleCatalogue:
    """Draw the catalogue with its items by id. n_texts: number of texts kept, spread over all of them."""
    invented = build_catalogue(settings.generator, settings.rng(0))
    table = item_table(invented, settings.generator)  # by number
    text_numbers = np.unique(np.linspace(0, len(invented) - 1, n_texts).astype(np.int64))
    some = table[text_numbers]
    return ScaleCatalogue(
        invented=invented,
        rows=np.argsort(invented.numbers),
        item_indices=invented.numbers,
        titles=table["title"],
        prices=table["price"].to_numpy().astype(np.float32),
        text_numbers=text_numbers,
        texts=[item_text(title, text) for title, text in zip(some["title"], some["text"], strict=True)],
    )


def _categories(invented: InventedCatalogue) -> tuple[Ints, list[str]]:
    """Return codes by catalogue row, and names by code; the smallest large enough category becomes `one-percent`.

    Its items beyond one percent, the least viewed ones, go to its companion category.
    """
    codes = invented.clusters // invented.n_styles
    n_wanted = max(1, round(len(invented) / 100))
    sizes = np.bincount(codes)
    chosen = int(np.argmin(np.where(sizes >= n_wanted, sizes, len(invented) + 1)))
    members = np.flatnonzero(codes == chosen)
    ranks = members - invented.cluster_starts[invented.clusters[members]]
    surplus = members[np.argsort(ranks, kind="stable")][n_wanted:]
    codes[surplus] = invented.companion_categories[chosen]
    names = category_names(invented.is_consumable)
    return codes, [*names[:chosen], FILTER_CATEGORY, *names[chosen + 1 :]]
