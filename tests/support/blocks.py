"""Block (checkerboard) shops with a known answer, and one that has lost some of its items."""

from __future__ import annotations

import polars as pl

from training.data.shop import Shop, assemble_shop
from training.generator.blocks import (
    DAY,
    N_BLOCKS,
    N_EVENTS,
    N_ITEMS,
    N_PEOPLE,
    NEW_ITEM,
    START,
    block_dataset,
    block_of_item,
    block_shop,
)

__all__ = [
    "DAY",
    "GONE_FROM",
    "NEW_ITEM",
    "N_BLOCKS",
    "N_EVENTS",
    "N_ITEMS",
    "N_PEOPLE",
    "START",
    "block_dataset",
    "block_of_item",
    "block_shop",
    "may_be_recommended",
    "shop_with_items_gone",
]

GONE_FROM = 56
"""Of `shop_with_items_gone`: the first item that its table does not have."""


def shop_with_items_gone(*, n_people: int = N_PEOPLE, seed: int = 0) -> Shop:
    """The block shop whose item table has lost four items, and has four others as not available."""
    shop = block_shop(n_people=n_people, seed=seed)
    number = pl.col("item_id").str.strip_prefix("item-").cast(pl.Int32, strict=False)
    kept = shop.items.filter((number < GONE_FROM).fill_null(True))
    kept = kept.with_columns(available=~(number < N_BLOCKS).fill_null(False))
    return assemble_shop(shop.name, shop.events, kept, shop.dropped, "made for a test", has_item_table=True)


def may_be_recommended(item_id: str) -> bool:
    """Of `shop_with_items_gone`."""
    return item_id == NEW_ITEM or N_BLOCKS <= int(item_id.removeprefix("item-")) < GONE_FROM
