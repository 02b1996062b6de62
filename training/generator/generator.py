"""A plausible shop of any size up to ten million people and a million items, the same for the same seed.

In come `GeneratorSettings`; out goes a folder in Stillroom's own layout: interactions/part-*.parquet,
items.parquet and shop.json. People are simulated and written in chunks, so memory holds one chunk and the
catalogue.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from models.history import EventKind
from training.base.errors import SettingsInvalid
from training.generator.behaviour import Events, simulate_people
from training.generator.catalogue import InventedCatalogue, build_catalogue, item_ids, item_table
from training.generator.item_words import NOUNS, PLACES

Progress = Callable[[int, int], None]

LAYOUT_VERSION = 1


@dataclass(frozen=True)
class GeneratorSettings:
    """The shop to make. Raises `SettingsInvalid` where a value is out of `BOUNDS`."""

    n_people: int = 10_000
    n_items: int = 2_000
    mean_events_per_person: float = 20.0
    """Most have fewer, a few have ten times as many."""
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
    """How much choice follows taste; 0 leaves popularity alone."""
    popularity_exponent: float = 0.8
    """Attention falls with rank to this power; raising it narrows what is seen to the best-known items."""
    new_item_share: float = 0.15
    """Share of items that arrive during the period; nobody touches one before its day."""
    start_time: int = 1_704_067_200
    """Unix seconds of the first day, 2024-01-01."""
    stay_days: int = 0
    """Days from a person's first event to their last; 0 keeps everybody to the end, so that there are more and more
    people. With it the shop is the same at all times, but for its first and last stay_days."""
    change_day: int = 0
    """The day on which what follows happens, all at once; 0 for never."""
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
    "start_time": (631_152_000, 3_700_000_000),
    "stay_days": (0, 3_650),
    "change_day": (0, 3_650),
    "taste_shift": (0, 1),
    "new_season": (0, 5),
    "turnover": (0, 0.5),
}
"""The lowest and highest value of each setting, both allowed."""


def generate_shop(settings: GeneratorSettings, directory: Path, on_progress: Progress | None = None) -> Path:
    """Write the shop to `directory`, which must not exist yet, and return it.

    on_progress: called after each chunk with the people written so far and their total. The folder appears
    under its name only when it is whole. Raises `SettingsInvalid` where the directory is taken.
    """
    if directory.exists():
        raise SettingsInvalid(f"{directory} exists already; name another folder or remove it.")
    unfinished = directory.with_name(directory.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    (unfinished / "interactions").mkdir(parents=True)
    catalogue = build_catalogue(settings, np.random.default_rng([settings.seed, 0]))
    item_table(catalogue, settings).write_parquet(unfinished / "items.parquet")
    n_events = _write_interactions(catalogue, settings, unfinished / "interactions", on_progress)
    summary = {"layout_version": LAYOUT_VERSION, "n_events": n_events, "settings": asdict(settings)}
    (unfinished / "shop.json").write_text(json.dumps(summary, indent=2) + "\n")
    return unfinished.rename(directory)


def _write_interactions(
    catalogue: InventedCatalogue, settings: GeneratorSettings, folder: Path, on_progress: Progress | None
) -> int:
    """Write one part a chunk of people; each chunk has a stream of random numbers of its own."""
    n_events = 0
    for part, first_person in enumerate(range(0, settings.n_people, settings.people_per_chunk)):
        n_people = min(settings.people_per_chunk, settings.n_people - first_person)
        rng = np.random.default_rng([settings.seed, 1, part])
        events = simulate_people(catalogue, settings, n_people, rng)
        table = _event_table(events, catalogue, settings, first_person)
        table.write_parquet(folder / f"part-{part:05d}.parquet", row_group_size=250_000)
        n_events += table.height
        if on_progress:
            on_progress(first_person + n_people, settings.n_people)
    return n_events


def _event_table(
    events: Events, catalogue: InventedCatalogue, settings: GeneratorSettings, first_person: int
) -> pl.DataFrame:
    """Stillroom's own columns; value is the price for a purchase and 0 for all else."""
    is_purchase = events.kinds == EventKind.PURCHASE
    return pl.DataFrame(
        {
            "person": events.people + first_person,
            "number": catalogue.numbers[events.items],
            "time": events.times + settings.start_time,
            "kind": events.kinds,
            "value": np.where(is_purchase, catalogue.prices[events.items], np.float32(0)),
        }
    ).select(
        user_id=pl.format("u{}", pl.col("person").cast(pl.String).str.zfill(8)),
        item_id=item_ids(pl.col("number")),
        time="time",
        kind="kind",
        value="value",
    )
