"""The smallest parts of the schema: figures, and what several rooms count or name the same way."""

from __future__ import annotations

import json

import msgspec

Number = int | float
"""A setting: whole numbers stay whole in the file."""
Metrics = dict[str, float]
"""Metric -> value."""
Interval = tuple[float, float]
"""Both ends of a 95 % interval."""
Intervals = dict[str, dict[str, Interval]]
"""Difference or ratio of two models -> metric -> interval."""


def to_json(part: msgspec.Struct) -> str:
    """The text of a file. Not by msgspec.json, which writes null for infinity and 1e-5 for 1e-05."""
    return json.dumps(msgspec.to_builtins(part), indent=1)


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of the schema. What has a default and keeps it is left out of the file."""


class Figure(Part, frozen=True):
    """A value between the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def interval(self) -> Interval:
        """Both ends."""
        return self.low, self.high


class Retained(Figure, frozen=True):
    """What a student keeps of its teacher on some people, as a ratio of means."""

    n_people: int


class Segment(Part, frozen=True):
    """One segment of people or of asked items, n of them."""

    n: int
    ndcg: float = msgspec.field(name="ndcg@10")
    catalogue_ndcg: float = msgspec.field(name="catalogue_ndcg@20")


def headline(part: Segment | ColdPoint, metric: str) -> float:
    """One of both headline metrics by its name."""
    return part.ndcg if metric == "ndcg@10" else part.catalogue_ndcg


Segments = dict[str, dict[str, Segment]]
"""Dimension -> segment -> figures."""


class ColdPoint(Part, frozen=True):
    """One model's quality when so many items of a new person are known; of_longest: ratio to the longest history.

    low and high are of NDCG@10.
    """

    ndcg: float = msgspec.field(name="ndcg@10")
    catalogue_ndcg: float = msgspec.field(name="catalogue_ndcg@20")
    low: float
    high: float
    catalogue_low: float
    catalogue_high: float
    of_longest: dict[str, Figure]

    def interval(self, metric: str) -> Interval:
        """Of one of both headline metrics."""
        return (self.low, self.high) if metric == "ndcg@10" else (self.catalogue_low, self.catalogue_high)


class ColumnUse(Part, frozen=True):
    """One column of one table. use: what it is taken for, in a few words; "" where it is not used."""

    table: str
    column: str
    use: str


class LeftOut(msgspec.Struct, frozen=True):
    """True items that may not be recommended, and people who took nothing else and are therefore not asked."""

    items: int = 0
    people: int = 0
