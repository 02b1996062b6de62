"""Generate a plausible shop of up to ten million people and a million items, the same for the same seed.

`GeneratorSettings` go in; a folder in Stillroom's own layout comes out: interactions/part-*.parquet, items.parquet
and shop.json. People are simulated and written in chunks, so memory holds one chunk and the catalogue.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl

from models.history import EventKind
from models.removals import RETURN
from training.base.errors import SettingsInvalid
from training.generator.behaviour import SimulatedEvents, simulate_people
from training.generator.catalogue import InventedCatalogue, build_catalogue, item_ids, item_table
from training.generator.settings import GeneratorSettings

Progress = Callable[[int, int], None]

LAYOUT_VERSION = 1


def generate_shop(settings: GeneratorSettings, directory: Path, on_progress: Progress | None = None) -> Path:
    """Write the shop to `directory`, which must not exist yet, and return it.

    on_progress: called after each chunk with the people written so far and their total. The folder gets its name only
    when it is complete. Raises `SettingsInvalid` if the directory exists.
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
    """Write one part per chunk of people; each chunk has its own random stream."""
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
    events: SimulatedEvents, catalogue: InventedCatalogue, settings: GeneratorSettings, first_person: int
) -> pl.DataFrame:
    """Make a table of Stillroom's own columns; value is the price for a purchase or a return and 0 for all else."""
    is_priced = np.isin(events.kinds, (EventKind.PURCHASE, RETURN))
    return pl.DataFrame(
        {
            "person": events.people + first_person,
            "number": catalogue.numbers[events.items],
            "time": events.times + settings.start_time,
            "kind": events.kinds,
            "value": np.where(is_priced, catalogue.prices[events.items], np.float32(0)),
        }
    ).select(
        user_id=pl.format("u{}", pl.col("person").cast(pl.String).str.zfill(8)),
        item_id=item_ids(pl.col("number")),
        time="time",
        kind="kind",
        value="value",
    )
