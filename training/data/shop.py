"""What every loader returns: a shop's events and items as clean tables, with an account of dropped rows.

Loaders build a `Shop` with `assemble_shop`; the pipeline checks it with `require_trainable`, splits it by
time and indexes it. Nothing here knows a file format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from training.base.errors import TooLittleData
from training.data.removals import REMOVAL_SCHEMA
from training.quality.figures import ColumnUse

EVENT_SCHEMA = pl.Schema(
    {"user_id": pl.String, "item_id": pl.String, "time": pl.Int64, "kind": pl.UInt8, "value": pl.Float32}
)
ITEM_SCHEMA = pl.Schema(
    {"item_id": pl.String, "title": pl.String, "text": pl.String, "category": pl.String, "price": pl.Float32}
)
SHOP_ITEM_SCHEMA = pl.Schema(dict(ITEM_SCHEMA) | {"available": pl.Boolean, "is_listed": pl.Boolean})
"""available: false if the shop says that it does not sell the item now. is_listed: false if there is an item table
and the item has no row in it."""

NO_ATTRIBUTES = pl.DataFrame(schema={"item_id": pl.String})


@dataclass(frozen=True)
class DropReport:
    """Rows of interactions read, kept, and dropped by reason, in the order in which reasons are checked.

    A row is counted under the first reason that applies, so read == kept + sum(dropped).
    notes: what was noticed without dropping a row, and how often. examples: where the first row of a reason stands.
    """

    n_read: int = 0
    n_kept: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.n_read != self.n_kept + self.n_dropped:
            raise ValueError(f"{self.n_read} rows read, but {self.n_kept} kept and {self.n_dropped} dropped")

    @property
    def n_dropped(self) -> int:
        return sum(self.dropped.values())

    def merged(self, other: DropReport) -> DropReport:
        """Return the account of both sources together; reasons keep the order of their first appearance."""
        return DropReport(
            self.n_read + other.n_read,
            self.n_kept + other.n_kept,
            _added(self.dropped, other.dropped),
            _added(self.notes, other.notes),
            {**other.examples, **self.examples},
        )

    def with_notes(self, notes: Mapping[str, int]) -> DropReport:
        """Return this account with these notes added; a note whose count is 0 is left out."""
        noticed = {note: count for note, count in notes.items() if count}
        return replace(self, notes=_added(self.notes, noticed))

    def with_examples(self, examples: Mapping[str, str]) -> DropReport:
        """Return this account with a place for each of these reasons."""
        return replace(self, examples={**self.examples, **examples})

    def without(self, reason: str, count: int) -> DropReport:
        """Return this account after count more rows, kept so far, were dropped for this reason."""
        dropped = _added(self.dropped, {reason: count})
        return replace(self, n_kept=self.n_kept - count, dropped=dropped)

    def lines(self) -> list[str]:
        """Return a line for the totals, one per reason that dropped rows, and one per note; plain text, aligned."""
        share = self.n_kept / self.n_read if self.n_read else 0.0
        total = f"{self.n_kept:,} of {self.n_read:,} rows kept ({share:.1%})"
        reasons = [
            f"  {count:>12,}  {reason}{self._place(reason)}"
            for reason, count in self.dropped.items()
            if count
        ]
        notes = [f"  {count:>12,}  {note} (kept)" for note, count in self.notes.items()]
        return [total, *reasons, *notes]

    def _place(self, reason: str) -> str:
        return f" ({self.examples[reason]})" if reason in self.examples else ""


@dataclass(frozen=True)
class Shop:
    """A shop's history, ready to be split and indexed.

    events: `EVENT_SCHEMA`; time in Unix seconds, kind an `EventKind` code. Sorted by user_id, then time;
        events of one person and one second keep the order of the source, which is often the order of the
        basket. Breaking ties by item_id instead would make the last item of every basket predictable.
    items: `SHOP_ITEM_SCHEMA`; item_id unique and sorted, one row for every item that has events (and perhaps more);
        text holds all useful text about the item, its title included.
    attributes: item_id, and a column for each attribute of items, whose type is its kind: List(String) for words,
        Float32, or Boolean; null where unknown. An item without a row has none.
    has_item_table: whether the shop gave a table of its items in addition to its events.
    removals: `REMOVAL_SCHEMA`, removals from the cart; the events that they undo are left out already.
    layout: the layout that the loader recognised, in words. columns: what each column of the tables was used for.
    """

    name: str
    events: pl.DataFrame
    items: pl.DataFrame
    dropped: DropReport
    layout: str = ""
    columns: tuple[ColumnUse, ...] = ()
    has_item_table: bool = False
    removals: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REMOVAL_SCHEMA))
    attributes: pl.DataFrame = field(default_factory=NO_ATTRIBUTES.clone)

    @property
    def n_people(self) -> int:
        return self.events["user_id"].n_unique()

    def recommendable(self, *, unlisted_too: bool) -> pl.Series:
        """Return whether each of `items` may be recommended: it is available, and listed unless unlisted_too."""
        is_listed = self.items["is_listed"] | unlisted_too
        return (self.items["available"] & is_listed).rename("recommendable")


_SORT_KEY = "__sort_key__"
ROWLESS = "event of an item that has no row in the item table"


def assemble_shop(
    name: str,
    events: pl.DataFrame,
    items: pl.DataFrame,
    dropped: DropReport,
    layout: str,
    *,
    columns: tuple[ColumnUse, ...] = (),
    has_item_table: bool = False,
    removals: pl.DataFrame | None = None,
    attributes: pl.DataFrame | None = None,
) -> Shop:
    """Bring cleaned tables into the common form: types, order, and one row for each touched item.

    items: `ITEM_SCHEMA`; items are available and listed unless they say otherwise. An item without a row gets its id
    as title and an empty text; if there is an item table it is unlisted, and its events are counted as a note.
    removals: kept with the shop, to be applied to whatever it is merged with. attributes: see `Shop`.
    """
    events = events.select(EVENT_SCHEMA.names()).cast(EVENT_SCHEMA)
    events = in_order_of_people(events)
    said = {name: pl.lit(True) for name in ("available", "is_listed") if name not in items.columns}
    items = items.with_columns(**said).select(SHOP_ITEM_SCHEMA.names()).cast(SHOP_ITEM_SCHEMA)
    touched = events.lazy().group_by("item_id").len("n_events").collect(engine="streaming")
    rowless = touched.join(items, on="item_id", how="anti")
    bare = _bare_items(rowless["item_id"], is_listed=not has_item_table)
    items = pl.concat([items, bare]).sort("item_id")
    noted = dropped.with_notes({ROWLESS: int(rowless["n_events"].sum())}) if has_item_table else dropped
    kept = pl.DataFrame(schema=REMOVAL_SCHEMA) if removals is None else removals
    return Shop(
        name=name,
        events=events,
        items=items,
        dropped=noted,
        layout=layout,
        columns=columns,
        has_item_table=has_item_table,
        removals=kept,
        attributes=NO_ATTRIBUTES if attributes is None else attributes,
    )


def in_order_of_people(events: pl.DataFrame) -> pl.DataFrame:
    """Sort by user_id, then time; events of one person and one second keep their order.

    One integer of both sorts in less than half the time that the texts of ids take.
    """
    if events.is_empty():
        return events
    people = events.lazy().select("user_id").unique().collect(engine="streaming")["user_id"].sort()
    first, last = events["time"].min(), events["time"].max()
    span = int(str(last)) - int(str(first)) + 1
    if len(people) * span >= 2**63:
        return events.sort("user_id", "time", maintain_order=True)
    places = pl.col("user_id").cast(pl.Enum(people)).to_physical().cast(pl.Int64)
    key = (places * span + (pl.col("time") - first)).alias(_SORT_KEY)
    return events.with_columns(key).sort(_SORT_KEY, maintain_order=True).drop(_SORT_KEY)


def require_trainable(
    shop: Shop,
    *,
    min_people: int = 50,
    min_events_per_person: int = 5,
    min_items: int = 50,
    unlisted_too: bool = False,
) -> None:
    """Raise `TooLittleData` unless there is enough to train on and to measure with.

    It needs `min_people` people with at least `min_events_per_person` events each, `min_items` items that somebody
    touched and as many touched items that may be recommended, and some time between the first event and the last. The
    error names all that is missing. unlisted_too: items without a row in the item table may be recommended.
    """
    counts = shop.events["user_id"].value_counts()["count"]
    n_people = int((counts >= min_events_per_person).sum())
    n_items = shop.events["item_id"].n_unique()
    missing = []
    if n_people < min_people:
        missing.append(
            f"{n_people:,} people have {min_events_per_person} events or more, {min_people:,} needed"
        )
    if n_items < min_items:
        missing.append(f"{n_items:,} items were touched, {min_items:,} needed")
    elif (said := _too_few_recommendable(shop, min_items, unlisted_too)) is not None:
        missing.append(said)
    if shop.events.height and shop.events["time"].n_unique() < 2:
        missing.append("all events carry the same time, so nothing can be held out as the future")
    if missing:
        summary = "; ".join(line.strip() for line in shop.dropped.lines())
        raise TooLittleData(
            f"{shop.name}: {'; '.join(missing)}. Bring a longer period or more people, or see whether "
            f"too much was dropped: {summary}."
        )


def _too_few_recommendable(shop: Shop, min_items: int, unlisted_too: bool) -> str | None:
    """Say what is missing if too few touched items may be recommended, with ids to compare; None if enough may."""
    touched = shop.items.with_columns(shop.recommendable(unlisted_too=unlisted_too)).join(
        shop.events, on="item_id", how="semi"
    )
    n_recommendable = int(touched["recommendable"].sum())
    if n_recommendable >= min_items:
        return None
    listed, unlisted = (
        shop.items.filter(pl.col("is_listed") == is_listed)["item_id"].head(3).to_list()
        for is_listed in (True, False)
    )
    ids = (
        f" (ids of the item table are {listed}, of events without a row there {unlisted})" if unlisted else ""
    )
    return (
        f"{n_recommendable:,} of the {touched.height:,} items that were touched may be recommended, {min_items:,} "
        f"needed; the others are not available or have no row in the item table{ids}"
    )


def _bare_items(item_ids: pl.Series, *, is_listed: bool) -> pl.DataFrame:
    bare = pl.DataFrame({"item_id": item_ids})
    return bare.select(
        "item_id",
        title="item_id",
        text=pl.lit(""),
        category=pl.lit(None, pl.String),
        price=pl.lit(None, pl.Float32),
        available=pl.lit(True),
        is_listed=pl.lit(is_listed),
    )


def _added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in {**one, **other}}
