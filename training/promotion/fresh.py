"""The history of a shop and what its live log has exported since, as one shop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from training.base.errors import SourceUnreadable
from training.data.read import ShopFiles, read_shop
from training.data.removals import UNDONE, without_undone
from training.data.shop import ROWLESS, Shop, assemble_shop

LATER = 2**62
"""An arrival after every other: an export goes on where a history ends."""
SAME_EVENT = ["user_id", "item_id", "time", "kind"]


def read_history_and_export(history: ShopFiles, export: Path | None) -> Shop:
    """Both together; an event that stands in both counts once. export: folder that `make export-events` wrote, None
    for the history alone.

    What people did before they were to be forgotten is left out of the history too; of the export it is gone already.
    Raises SourceUnreadable where the export holds no interactions, and what the loaders raise.
    """
    shop = history.read()
    if export is None:
        return shop
    if not any((export / "interactions").glob("part-*.parquet")):
        raise SourceUnreadable(
            f"there is no interactions/part-*.parquet in {export}; `make export-events` writes it from the live log, "
            "and without --events (EVENTS= for make) the history is taken alone"
        )
    return merged(without_forgotten(shop, read_erasures(export)), read_shop(export))


def merged(history: Shop, exported: Shop) -> Shop:
    """One shop of two. Items are the history's; one that only the export knows has no text.

    What either took out of the cart is taken out of both.
    """
    history, exported = _without(history, exported.removals, 0), _without(exported, history.removals, LATER)
    new = exported.events.join(history.events, on=SAME_EVENT, how="anti", maintain_order="left")
    n_known = exported.events.height - new.height
    dropped = history.dropped.merged(
        replace(
            exported.dropped,
            n_kept=exported.dropped.n_kept - n_known,
            dropped={**exported.dropped.dropped, "exported event that the history has already": n_known},
        )
    )
    notes = {note: count for note, count in dropped.notes.items() if note != ROWLESS}  # found out again
    return assemble_shop(
        history.name,
        pl.concat([history.events, new]),
        history.items,
        replace(dropped, notes=notes),
        f"{history.layout}, and an export of the live log",
        columns=history.columns + exported.columns,
        has_item_table=history.has_item_table,
        removals=pl.concat([history.removals, exported.removals]),
    )


def _without(shop: Shop, removals: pl.DataFrame, arrival: int) -> Shop:
    """The shop without the carts that removals of another one undo. arrival: of its events, beside those."""
    events = without_undone(shop.events.with_columns(arrival=pl.lit(arrival, pl.Int64)), removals)
    dropped = shop.dropped.without(UNDONE, shop.events.height - events.height)
    return replace(shop, events=events.drop("arrival"), dropped=dropped)


def without_forgotten(shop: Shop, erasures: pl.DataFrame) -> Shop:
    """Leave out what people did up to the moment at which they were to be forgotten.

    erasures: user_id and until, Unix seconds; one row a person.
    """
    marked = shop.events.join(erasures, on="user_id", how="left", maintain_order="left")
    kept = marked.filter(pl.col("until").is_null() | (pl.col("time") > pl.col("until"))).drop("until")
    n_forgotten = shop.events.height - kept.height
    dropped = replace(
        shop.dropped,
        n_kept=shop.dropped.n_kept - n_forgotten,
        dropped={**shop.dropped.dropped, "event of a person who was to be forgotten": n_forgotten},
    )
    return replace(shop, events=kept, dropped=dropped)


def prompted_share(export: Path, since: int) -> float:
    """Of exported interactions from this moment on (Unix seconds), how many came from an answer of the service; 0
    where there are none.
    """
    parts = sorted((export / "interactions").glob("part-*.parquet"))
    fresh = pl.scan_parquet(parts).filter(pl.col("time") >= since)
    share = fresh.select((pl.col("request_id").fill_null("") != "").mean()).collect().item()
    return float(share or 0.0)


def read_erasures(export: Path) -> pl.DataFrame:
    """user_id and until (Unix seconds, the latest request's), one row a person; empty where nobody asked."""
    parts = sorted((export / "erasures").glob("part-*.parquet"))
    none = pl.DataFrame(schema={"user_id": pl.String, "until": pl.Int64})
    read = [pl.read_parquet(part, columns=["user_id", "received_ms"]) for part in parts]
    found = [each.select("user_id", until=pl.col("received_ms") // 1000) for each in read]
    return pl.concat([none, *found]).group_by("user_id").agg(pl.col("until").max())
