"""Read the history of a shop, and what its live log has exported since, as one shop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from models.history import EventKind
from training.base.errors import SourceUnreadable
from training.base.progress import Stages
from training.data.columns import column_lines
from training.data.left_out import RETURNED
from training.data.options import ReadingOptions
from training.data.read import ShopFiles, read_shop
from training.data.removals import UNDONE, without_undone
from training.data.returns import SENT_BACK, without_returns
from training.data.shop import ROWLESS, Shop, assemble_shop

LATER = 2**62
"""An arrival after all others, because an export continues where a history ends."""
SAME_EVENT = ["user_id", "item_id", "time", "kind"]


def read_history_and_export(history: ShopFiles, export: Path | None) -> Shop:
    """Read both together; an event that is in both counts once.

    export: folder that `make export-events` wrote, None for only the history. Events from before a request for
    erasure are left out of the history too; from the export they are gone already. Raises SourceUnreadable if the
    export has no interactions, and whatever the loaders raise.
    """
    shop = history.read()
    if export is None:
        return shop
    if not any((export / "interactions").glob("part-*.parquet")):
        raise SourceUnreadable(
            f"there is no interactions/part-*.parquet in {export}; `make export-events` writes it from the live log, "
            "and without --events (EVENTS= for make) the history is taken alone"
        )
    exported = read_shop(export, options=ReadingOptions(keeps_returns=True))
    return merged(without_forgotten(shop, read_erasures(export)), exported)


def read_with_notes(history: ShopFiles, export: Path | None, stages: Stages) -> Shop:
    """Read both as a stage of a run, and print how they were understood; see `read_history_and_export`."""
    with stages.stage("merge", "Reading the history and the export"):
        shop = read_history_and_export(history, export)
    for line in (*column_lines(shop.columns), *shop.dropped.lines()):
        stages.note(line)
    return shop


def merged(history: Shop, exported: Shop) -> Shop:
    """Merge two shops. Items are the history's; one that only the export has gets no text.

    Removals from the cart in either one undo events of both, and so do returns that the export has.
    """
    history, exported = _without(history, exported.removals, 0), _without(exported, history.removals, LATER)
    new = exported.events.join(history.events, on=SAME_EVENT, how="anti", maintain_order="left")
    n_known = exported.events.height - new.height
    events, n_sent_back = without_returns(pl.concat([history.events, new]))
    n_returns = history.events.height + new.height - events.height
    if n_sent_back:  # the history may tell of the same returns
        is_again = (pl.col("kind") == EventKind.DISLIKE) & ~pl.struct(SAME_EVENT).is_first_distinct()
        n_known, events = n_known + int(events.select(is_again.sum()).item()), events.filter(~is_again)
    dropped = history.dropped.merged(
        replace(
            exported.dropped,
            n_kept=exported.dropped.n_kept - n_known,
            dropped={**exported.dropped.dropped, "exported event that the history has already": n_known},
        )
    )
    dropped = dropped.without(RETURNED, n_returns).with_notes({SENT_BACK: n_sent_back})
    notes = {note: count for note, count in dropped.notes.items() if note != ROWLESS}  # it is counted again
    return assemble_shop(
        history.name,
        events,
        history.items,
        replace(dropped, notes=notes),
        f"{history.layout}, and an export of the live log",
        columns=history.columns + exported.columns,
        has_item_table=history.has_item_table,
        removals=pl.concat([history.removals, exported.removals]),
        attributes=history.attributes,
    )


def _without(shop: Shop, removals: pl.DataFrame, arrival: int) -> Shop:
    """Leave out cart events that removals of another shop undo. arrival: of its events, relative to those."""
    events = without_undone(shop.events.with_columns(arrival=pl.lit(arrival, pl.Int64)), removals)
    dropped = shop.dropped.without(UNDONE, shop.events.height - events.height)
    return replace(shop, events=events.drop("arrival"), dropped=dropped)


def without_forgotten(shop: Shop, erasures: pl.DataFrame) -> Shop:
    """Leave out events up to the moment of each person's request for erasure.

    erasures: user_id and until, Unix seconds; one row per person.
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
    """Return the share of exported interactions since a moment that came from an answer of the service.

    since: Unix seconds. The share is 0 if there are none.
    """
    parts = sorted((export / "interactions").glob("part-*.parquet"))
    fresh = pl.scan_parquet(parts).filter(pl.col("time") >= since)
    share = fresh.select((pl.col("request_id").fill_null("") != "").mean()).collect().item()
    return float(share or 0.0)


def read_erasures(export: Path) -> pl.DataFrame:
    """Read user_id and until (Unix seconds, the latest request's), one row per person; empty without any request."""
    parts = sorted((export / "erasures").glob("part-*.parquet"))
    none = pl.DataFrame(schema={"user_id": pl.String, "until": pl.Int64})
    read = [pl.read_parquet(part, columns=["user_id", "received_ms"]) for part in parts]
    found = [each.select("user_id", until=pl.col("received_ms") // 1000) for each in read]
    return pl.concat([none, *found]).group_by("user_id").agg(pl.col("until").max())
