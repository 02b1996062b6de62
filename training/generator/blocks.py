"""Block (checkerboard) shops with a known answer: people of a block touch only items of that block.

The contract of members, and most tests of training, are checked on them.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from models.history import EventKind
from training.data.dataset import Dataset, index_shop
from training.data.shop import DropReport, Shop, assemble_shop

N_PEOPLE, N_ITEMS, N_BLOCKS, N_EVENTS = 120, 60, 4, 8
START, DAY = 1_600_000_000, 86_400
NEW_ITEM = "item-new"
"""An item of block 0 that nobody has touched."""


def block_of_item(item_index: int) -> int:
    """Return an item's block; ids sort in the order of creation, and the new item sorts last."""
    return item_index % N_BLOCKS if item_index < N_ITEMS else 0


def block_shop(*, n_people: int = N_PEOPLE, seed: int = 0) -> Shop:
    """Make a shop in which person p takes N_EVENTS of the 15 items of block p % 4, daily from one of ten days on."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(n_people):
        block = person % N_BLOCKS
        taken = rng.choice(np.arange(block, N_ITEMS, N_BLOCKS), N_EVENTS, replace=False)
        first_day = int(rng.integers(0, 10))
        for step, item in enumerate(taken):
            time = START + (first_day + step) * DAY + person
            rows.append((f"user-{person:03}", f"item-{item:03}", time, int(EventKind.PURCHASE), 1.0))
    events = pl.DataFrame(
        rows, schema=["user_id", "item_id", "time", "kind", "value"], orient="row"
    ).with_columns(pl.col("kind").cast(pl.UInt8), pl.col("value").cast(pl.Float32))
    item_ids = [f"item-{item:03}" for item in range(N_ITEMS)] + [NEW_ITEM]
    blocks = [*(item % N_BLOCKS for item in range(N_ITEMS)), 0]
    words = ["crimson teapot", "azure lantern", "golden ribbon", "mossy basket"]
    items = pl.DataFrame(
        {
            "item_id": item_ids,
            "title": [f"{words[block]} {item_id}" for block, item_id in zip(blocks, item_ids, strict=True)],
            "text": [words[block] for block in blocks],
            "category": [None] * len(item_ids),
            "price": [1.0] * len(item_ids),
        },
        schema_overrides={"category": pl.String, "price": pl.Float32},
    )
    n_rows = events.height
    return assemble_shop("blocks", events, items, DropReport(n_rows, n_rows), "made for a test")


def block_dataset(*, n_people: int = N_PEOPLE, seed: int = 0) -> Dataset:
    """Return the block shop as arrays."""
    return index_shop(block_shop(n_people=n_people, seed=seed))
