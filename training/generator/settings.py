"""The settings of a generated shop."""

from __future__ import annotations

from dataclasses import dataclass

from training.base.errors import SettingsInvalid
from training.generator.item_words import NOUNS, PLACES


@dataclass(frozen=True)
class GeneratorSettings:
    """The shop to generate. Raises `SettingsInvalid` if a value is outside `BOUNDS`."""

    n_people: int = 10_000
    n_items: int = 2_000
    mean_events_per_person: float = 20.0
    """Most people have fewer, a few have ten times as many."""
    n_days: int = 180
    """The period in which people come and items arrive."""
    n_categories: int = 12
    seed: int = 0
    people_per_chunk: int = 20_000
    """People simulated together and written as one part. Raising it takes memory (about 10 kB a person at 20
    events) and changes the draw."""
    taste_drift: float = 0.3
    """How far tastes turn over the period: 0 never, 1 to something unrelated."""
    taste_strength: float = 2.0
    """How much choice follows taste; 0 leaves only popularity."""
    popularity_exponent: float = 0.8
    """Attention falls with rank to this power; raising it narrows what is seen to the best-known items."""
    new_item_share: float = 0.15
    """Share of items that arrive during the period; nobody touches one before its day."""
    consumable_share: float = 0.25
    """Share of categories that are consumables, such as milk, which people buy again; raising it makes more of all
    purchases repetitions. The others are durables, which the same person hardly ever buys twice."""
    return_rate: float = 0.08
    """Share of purchases of durables that are returned within a month; raising it makes more of them come back."""
    start_time: int = 1_704_067_200
    """Unix seconds of the first day, 2024-01-01."""
    stay_days: int = 0
    """Days from a person's first event to their last; 0 keeps everybody to the end, so that there are more and more
    people. With it the shop is the same at all times, but for its first and last stay_days."""
    change_day: int = 0
    """The day on which the changes below happen, all at once; 0 for never."""
    taste_shift: float = 0.0
    """How far everybody's taste turns on that day: 1 to something unrelated."""
    new_season: float = 0.0
    """How much attention moves between categories on that day: the spread of the logarithm of their weights."""
    turnover: float = 0.0
    """Share of items that leave on that day; as many others arrive on it."""

    def __post_init__(self) -> None:
        for name, (lowest, highest) in BOUNDS.items():
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise SettingsInvalid(f"{name} is {value}; it must be between {lowest:,} and {highest:,}.")
        if self.n_items < self.n_categories:
            raise SettingsInvalid(
                f"n_items is {self.n_items}, n_categories {self.n_categories}; each category needs an item."
            )


BOUNDS: dict[str, tuple[float, float]] = {
    "n_people": (1, 10_000_000),
    "n_items": (1, 1_000_000),
    "mean_events_per_person": (1, 1_000),
    "n_days": (1, 3_650),
    "n_categories": (1, len(NOUNS) * (1 + len(PLACES))),
    "seed": (0, 2**63 - 1),
    "people_per_chunk": (1, 1_000_000),
    "taste_drift": (0, 1),
    "taste_strength": (0, 5),
    "popularity_exponent": (0, 2),
    "new_item_share": (0, 0.9),
    "consumable_share": (0, 1),
    "return_rate": (0, 0.5),
    "start_time": (631_152_000, 3_700_000_000),
    "stay_days": (0, 3_650),
    "change_day": (0, 3_650),
    "taste_shift": (0, 1),
    "new_season": (0, 5),
    "turnover": (0, 0.5),
}
"""The lowest and highest value of each setting, both allowed."""
