"""The smallest parts of the schema: figures, and what several rooms count or name in the same way."""

from __future__ import annotations

import json

import msgspec

Number = int | float
"""A setting's value; whole numbers stay whole in the file."""
Metrics = dict[str, float]
"""Maps metric -> value."""
Interval = tuple[float, float]
"""The two ends of a 95 % interval."""
Intervals = dict[str, dict[str, Interval]]
"""Maps difference or ratio of two models -> metric -> interval."""


def to_json(part: msgspec.Struct) -> str:
    """Write a part as a file's text. msgspec.json is not used: it writes null for infinity and 1e-5 for 1e-05."""
    return json.dumps(msgspec.to_builtins(part), indent=1)


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of the schema. A field that keeps its default is left out of the file."""


class Figure(Part, frozen=True):
    """A value between the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def interval(self) -> Interval:
        """Return both ends."""
        return self.low, self.high


class EvidenceFigures(Part, frozen=True):
    """What is predicted, and what the other kinds of events say about it.

    weights: by kind, beside 1 of the target. tried: NDCG@20 of item-kNN over the whole catalogue, on validation, by
    kind and by the weight that was tried, with the other kinds as they were chosen before.
    """

    target: str
    weights: dict[str, float] = {}
    tried: dict[str, dict[str, float]] = {}


class Retained(Figure, frozen=True):
    """The share of its teacher's quality that a student keeps on some people, as a ratio of means."""

    n_people: int


class Segment(Part, frozen=True):
    """One segment of n people or n target items."""

    n: int
    ndcg: float = msgspec.field(name="ndcg@10")
    catalogue_ndcg: float = msgspec.field(name="catalogue_ndcg@20")


def headline(part: Segment | ColdPoint, metric: str) -> float:
    """Return one of the two headline metrics by its name."""
    return part.ndcg if metric == "ndcg@10" else part.catalogue_ndcg


Segments = dict[str, dict[str, Segment]]
"""Maps dimension -> segment -> figures."""


class ColdPoint(Part, frozen=True):
    """One model's quality when a certain number of a new person's items is known.

    low and high are of NDCG@10. of_longest: the ratio to the quality with the longest history.
    """

    ndcg: float = msgspec.field(name="ndcg@10")
    catalogue_ndcg: float = msgspec.field(name="catalogue_ndcg@20")
    low: float
    high: float
    catalogue_low: float
    catalogue_high: float
    of_longest: dict[str, Figure]

    def interval(self, metric: str) -> Interval:
        """Return the interval of one of the two headline metrics."""
        return (self.low, self.high) if metric == "ndcg@10" else (self.catalogue_low, self.catalogue_high)


class ColumnUse(Part, frozen=True):
    """One column of one table. use: what it is used for, in a few words; "" if it is not used."""

    table: str
    column: str
    use: str


class LeftOut(msgspec.Struct, frozen=True):
    """True items that may not be recommended, and people who took no others and are therefore not evaluated."""

    items: int = 0
    people: int = 0
