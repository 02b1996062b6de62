"""Choose what models predict, and tell ratings that speak for an item from those that speak against it."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from models.history import EventKind
from training.base.errors import SettingsInvalid

MIN_TARGET_PEOPLE = 50
"""The fewest people with two target events each; with fewer, too little is left to learn from and to measure on."""

PREFERENCE = (EventKind.PURCHASE, EventKind.CART, EventKind.RATING, EventKind.CLICK, EventKind.VIEW)
"""Targets from the one that means most to a shop to the one that means least."""


class Target(NamedTuple):
    """kind: what is predicted. reason: a sentence that says why."""

    kind: EventKind
    reason: str


def choose_target(events: pl.DataFrame, asked: EventKind | None = None) -> Target:
    """Choose the kind of event that means most to a shop and of which there is enough.

    events: with user_id and kind. asked: the kind that the settings name. Raises SettingsInvalid if no event has it.
    """
    n_events = {EventKind(kind): n for kind, n in events["kind"].value_counts().rows()}
    said = ", ".join(f"{n:,} {kind.name.lower()}s" for kind, n in sorted(n_events.items()))
    if asked is not None:
        if asked not in n_events:
            raise SettingsInvalid(
                f"target = {asked.name.lower()!r}, but no event is of this kind; there are {said or 'no events'}. "
                "Name one of these, or leave `target` at auto"
            )
        return Target(asked, f"the settings name it; there are {said}")
    per_person = events.group_by("kind", "user_id").len()
    of_kind = per_person.filter(pl.col("len") >= 2)["kind"].value_counts()
    n_people = {EventKind(kind): n for kind, n in of_kind.rows()}
    for kind in PREFERENCE:
        if n_people.get(kind, 0) >= MIN_TARGET_PEOPLE:
            return Target(kind, f"{n_people[kind]:,} people have two or more; there are {said}")
    possible = [kind for kind in PREFERENCE if kind in n_events]
    if not possible:
        return Target(
            EventKind.PURCHASE, f"there is nothing else to predict: there are {said or 'no events'}"
        )
    most = max(possible, key=lambda kind: (n_people.get(kind, 0), n_events[kind]))
    reason = (
        f"no kind has {MIN_TARGET_PEOPLE} people with two events, and this one has the most; there are {said}"
    )
    return Target(most, reason)


def lowest_liked(events: pl.DataFrame) -> float | None:
    """Return the lowest rating that speaks for an item: the first of the scale that is not below the mean rating.

    events: with kind and value. None if there are no ratings with a value, or all are the same.
    """
    ratings = events.filter(pl.col("kind") == EventKind.RATING)["value"].drop_nulls().drop_nans()
    if ratings.n_unique() < 2:
        return None
    mean = ratings.mean()
    assert isinstance(mean, float)
    return float(str(ratings.filter(ratings >= mean).min()))


def with_dislikes(events: pl.DataFrame, liked_from: float | None) -> pl.DataFrame:
    """Turn ratings below `liked_from` into dislikes; a rating without a value speaks for its item."""
    if liked_from is None:
        return events
    is_low = (pl.col("kind") == EventKind.RATING) & (pl.col("value") < liked_from)
    kind = pl.when(is_low).then(pl.lit(EventKind.DISLIKE, pl.UInt8)).otherwise(pl.col("kind"))
    return events.with_columns(kind=kind)
