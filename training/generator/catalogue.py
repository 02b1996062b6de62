"""Generate the shop's catalogue: items with attributes, and titles and descriptions written from these.

`generator` calls it. An item belongs to a category and a style; within such a cluster it has a rank, and attention
falls with rank by a power law. Its attributes make a vector in the space of people's tastes, so its text tells who
likes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from training.generator.item_words import (
    BRANDS,
    COLOURS,
    CONSUMABLE_NOUNS,
    MATERIALS,
    NOUNS,
    PLACES,
    SERIES,
    STYLES,
)
from training.generator.settings import GeneratorSettings

TASTE_DIMENSIONS = 8
SECONDS_PER_DAY = 86_400

VISIT_SECONDS = 60
"""The longest that a visit to an item takes, and the least time from one visit of a person to the next."""

REPEAT_DAYS = (7.0, 45.0)
"""The shortest and the longest mean interval at which people buy a consumable again."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class InventedCatalogue:
    """Items ordered by cluster, then by rank within it; a row is not the item's number.

    cluster = category x n_styles + style. Arrays by item are (n_items,), by cluster (n_clusters,).
    numbers: the numbers in item ids, unrelated to cluster and rank.
    vectors: (n_items, TASTE_DIMENSIONS); its product with a taste of unit variance has about unit variance.
    arrival_times, departure_times: seconds after the shop's first day; an item is there from its arrival until just
        before its departure. The first item of each cluster is always there.
    season_log_weights: (n_categories,) added to the categories' log weights by a new season.
    companions: the row of the item that is often viewed next.
    is_consumable: (n_categories,), which categories are of things that are used up and bought again.
    repeat_days: mean days until a person buys the item again; 0 for durables.
    """

    n_styles: int
    cluster_starts: Ints
    cluster_sizes: Ints
    category_vectors: Floats
    style_vectors: Floats
    category_log_weights: Floats
    companion_categories: Ints
    numbers: Ints
    clusters: Ints
    colours: Ints
    materials: Ints
    brands: Ints
    vectors: Floats
    arrival_times: Ints
    departure_times: Ints
    season_log_weights: Floats
    companions: Ints
    prices: Floats
    is_consumable: npt.NDArray[np.bool_]
    repeat_days: Floats

    def __len__(self) -> int:
        return len(self.numbers)

    def is_there(self, items: Ints, times: Ints) -> npt.NDArray[np.bool_]:
        """Return whether a visit at these times finds these rows of items, to its end; both have one shape."""
        return (self.arrival_times[items] <= times) & (times + VISIT_SECONDS <= self.departure_times[items])


def build_catalogue(settings: GeneratorSettings, rng: np.random.Generator) -> InventedCatalogue:
    """Draw the catalogue. Categories differ in size by a power law; every cluster has at least one item."""
    n_categories, n_items = settings.n_categories, settings.n_items
    n_styles = int(np.clip(n_items // (4 * n_categories), 1, len(STYLES)))
    category_weights = np.arange(1, n_categories + 1, dtype=np.float64) ** -0.5
    category_weights /= category_weights.sum()
    clusters = _draw_clusters(n_items, n_styles, category_weights, rng)
    sizes = np.bincount(clusters, minlength=n_categories * n_styles)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    companion_categories = (np.arange(n_categories) + 1) % n_categories
    colours, materials, brands = (
        rng.integers(0, len(words), n_items) for words in (COLOURS, MATERIALS, BRANDS)
    )
    changes = np.random.default_rng([settings.seed, 2])  # so that a shop with changes is otherwise the same
    departures, replaced = _draw_turnover(settings, starts, changes)
    is_consumable = _draw_consumables(settings)
    season = np.float32(settings.new_season) * changes.standard_normal(n_categories, dtype=np.float32)
    return InventedCatalogue(
        n_styles=n_styles,
        cluster_starts=starts,
        cluster_sizes=sizes,
        category_vectors=_directions(n_categories, rng),
        style_vectors=_directions(n_styles, rng),
        category_log_weights=np.log(category_weights).astype(np.float32),
        companion_categories=companion_categories,
        numbers=rng.permutation(n_items),
        clusters=clusters,
        colours=colours,
        materials=materials,
        brands=brands,
        vectors=_item_vectors(colours, materials, brands, rng),
        arrival_times=np.where(replaced, change_time(settings), _draw_arrivals(settings, starts, rng)),
        departure_times=departures,
        season_log_weights=season,
        companions=_companions(clusters, starts, sizes, companion_categories, n_styles),
        prices=np.exp(rng.normal(2.5, 0.8, n_items)).round(2).astype(np.float32),
        is_consumable=is_consumable,
        repeat_days=_draw_repeat_days(settings, is_consumable[clusters // n_styles]),
    )


def item_table(catalogue: InventedCatalogue, settings: GeneratorSettings) -> pl.DataFrame:
    """Write the items in Stillroom's own layout, ordered by id, with their attributes and times of arrival."""
    categories = catalogue.clusters // catalogue.n_styles
    is_consumable = catalogue.is_consumable
    return (
        pl.DataFrame({"number": catalogue.numbers, "price": catalogue.prices})
        .with_columns(
            noun=_worded([noun for _, noun in _category_words(is_consumable)], categories),
            category=_worded(category_names(is_consumable), categories),
            made=_worded(["packed in" if each else "of" for each in is_consumable], categories),
            style=_worded(STYLES, catalogue.clusters % catalogue.n_styles),
            colour=_worded(COLOURS, catalogue.colours),
            material=_worded(MATERIALS, catalogue.materials),
            brand=_worded(BRANDS, catalogue.brands),
            series=_worded(SERIES, catalogue.numbers % len(SERIES)),
            arrival_time=settings.start_time + pl.Series(catalogue.arrival_times),
        )
        .sort("number")
        .select(
            item_id=item_ids(pl.col("number")),
            title=pl.format("{} {} {} {} {}", "brand", "series", "colour", "material", "category"),
            text=pl.format(
                "A {} {} {} {}, in {}. From the {} collection by {}, for people who like it {}.",
                *("style", "noun", "made", "material", "colour", "series", "brand", "style"),
            ),
            category="category",
            brand="brand",
            colour="colour",
            material="material",
            price="price",
            arrival_time="arrival_time",
        )
    )


def item_ids(numbers: pl.Expr) -> pl.Expr:
    """Make ids from item numbers, such as i0000042."""
    return pl.format("i{}", numbers.cast(pl.String).str.zfill(7))


def category_names(is_consumable: npt.NDArray[np.bool_]) -> list[str]:
    """Return the names of categories: lantern, soap ... and, when nouns run out, garden lantern, garden soap ...

    is_consumable: (n_categories,), which of them are named as consumables.
    """
    return [f"{place} {noun}".strip() for place, noun in _category_words(is_consumable)]


def _draw_consumables(settings: GeneratorSettings) -> npt.NDArray[np.bool_]:
    """Draw which categories are consumables, (n_categories,), spread evenly over large and small ones."""
    start = np.random.default_rng([settings.seed, 3]).random()
    # The floor rises by one at each consumable, so that any run of categories has its share of them.
    places = start + np.arange(settings.n_categories + 1) * settings.consumable_share
    is_consumable: npt.NDArray[np.bool_] = np.diff(np.floor(places)) > 0
    return is_consumable


def _category_words(is_consumable: npt.NDArray[np.bool_]) -> list[tuple[str, str]]:
    """Return the place, which may be empty, and the noun of each category."""
    durables, consumables = (
        iter([(place, noun) for place in ("", *PLACES) for noun in nouns])
        for nouns in (NOUNS, CONSUMABLE_NOUNS)
    )
    return [next(consumables if each else durables) for each in is_consumable]


def _draw_repeat_days(settings: GeneratorSettings, is_consumable: npt.NDArray[np.bool_]) -> Floats:
    """Draw the mean intervals of consumables, evenly on a logarithmic scale; 0 where is_consumable is false."""
    rng = np.random.default_rng(
        [settings.seed, 4]
    )  # a stream of its own leaves the rest of the catalogue as it is
    shortest, longest = REPEAT_DAYS
    days = shortest * (longest / shortest) ** rng.random(len(is_consumable))
    return np.where(is_consumable, days, 0.0).astype(np.float32)


def _draw_clusters(
    n_items: int, n_styles: int, category_weights: npt.NDArray[np.float64], rng: np.random.Generator
) -> Ints:
    n_clusters = len(category_weights) * n_styles
    categories = rng.choice(len(category_weights), n_items - n_clusters, p=category_weights)
    drawn = categories * n_styles + rng.integers(0, n_styles, n_items - n_clusters)
    return np.sort(np.concatenate([np.arange(n_clusters), drawn]))


def _directions(count: int, rng: np.random.Generator) -> Floats:
    """Draw (count, TASTE_DIMENSIONS) vectors of about unit length."""
    scale = np.float32(TASTE_DIMENSIONS**-0.5)
    return rng.standard_normal((count, TASTE_DIMENSIONS), dtype=np.float32) * scale


def _item_vectors(colours: Ints, materials: Ints, brands: Ints, rng: np.random.Generator) -> Floats:
    """Make item vectors mostly of attributes in the text, and a little of noise; the squared weights sum to 1."""
    vectors = np.float32(0.35) * _directions(len(colours), rng)
    for weight, words, codes in (
        (0.46, COLOURS, colours),
        (0.42, MATERIALS, materials),
        (0.70, BRANDS, brands),  # most of all, people are loyal to brands
    ):
        vectors += np.float32(weight) * _directions(len(words), rng)[codes]
    return vectors


def _draw_arrivals(settings: GeneratorSettings, cluster_starts: Ints, rng: np.random.Generator) -> Ints:
    is_new = rng.random(settings.n_items) < settings.new_item_share
    is_new[cluster_starts] = False
    days = rng.integers(0, settings.n_days, settings.n_items)
    return np.where(is_new, days, 0) * SECONDS_PER_DAY


def change_time(settings: GeneratorSettings) -> int:
    """Return the seconds after the shop's first day at which all changes happen, the largest int64 for never."""
    return settings.change_day * SECONDS_PER_DAY if settings.change_day else int(np.iinfo(np.int64).max)


def _draw_turnover(
    settings: GeneratorSettings, cluster_starts: Ints, rng: np.random.Generator
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Draw when each item leaves, and which items arrive on the day of the change instead of their own day."""
    dice = rng.random(settings.n_items)
    dice[cluster_starts] = 0.5  # neither leaves nor arrives then
    share = settings.turnover if settings.change_day else 0.0
    never = np.iinfo(np.int64).max
    departures: Ints = np.where(dice < share, change_time(settings), never)
    return departures, dice > 1 - share


def _companions(clusters: Ints, starts: Ints, sizes: Ints, companion_categories: Ints, n_styles: int) -> Ints:
    """Return each item's companion: at the same relative rank, of the same style, in the companion category."""
    relative_rank = (np.arange(len(clusters)) - starts[clusters]) / sizes[clusters]
    targets = companion_categories[clusters // n_styles] * n_styles + clusters % n_styles
    companions: Ints = starts[targets] + (relative_rank * sizes[targets]).astype(np.int64)
    return companions


def _worded(words: list[str], codes: Ints) -> pl.Series:
    return pl.Series(words).gather(codes)
