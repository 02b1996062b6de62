"""What a shop says of each item beside title, text, category and price: brand, size, material, whatever it has.

An attribute has one kind for all items: words (one or several, the steps of a path among them), a number, or a flag.
Arrays lie by item, so that a filter can compare them. For models every value is a term of the item's text
(`models.text.with_terms`): an item that nobody has touched is known by its brand as it is by its title.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt

from models.vocabulary import StringTable

AttributeKind = Literal["words", "number", "flag"]

N_BUCKETS: Final = 8
"""The number of buckets of a number, each with as many distinct values, in which it is a term."""
UNKNOWN_FLAG: Final = -1

PREFIX: Final = "attribute"
CATEGORIES: Final = "categories"
"""The attribute that has all categories of an item, where items have several; filters by category read it."""


class AttributeEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An attribute in a manifest. n_known: items of which it is known. n_values: distinct values."""

    name: str
    kind: AttributeKind
    n_known: int
    n_values: int


@dataclass(frozen=True)
class Words:
    """Words by item.

    values: distinct words, sorted. codes: (n_words,) int32, rows of values, each item's in a row. offsets:
    (n_items + 1,) int64; item i has codes[offsets[i]:offsets[i + 1]], none where nothing is known.
    """

    values: StringTable
    codes: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]

    def of(self, item: int) -> list[str]:
        """Return the words of an item."""
        return [self.values[int(code)] for code in self.codes[self.offsets[item] : self.offsets[item + 1]]]

    def terms(self, item: int) -> list[str]:
        """Return what models read of an item."""
        return self.of(item)

    def take(self, rows: npt.NDArray[np.int64]) -> Words:
        """Keep the items of these rows."""
        counts = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        places = np.repeat(self.offsets[rows] - offsets[:-1], counts) + np.arange(offsets[-1])
        return Words(self.values, self.codes[places], offsets)

    def entry(self, name: str) -> AttributeEntry:
        """Describe the attribute for a manifest."""
        return AttributeEntry(name, "words", int((np.diff(self.offsets) > 0).sum()), len(self.values))

    def arrays(self, prefix: str) -> dict[str, npt.NDArray[np.generic]]:
        """Return the attribute as named arrays, ready for a bundle."""
        return {
            **self.values.arrays(f"{prefix}_values"),
            f"{prefix}.codes": self.codes,
            f"{prefix}.word_offsets": self.offsets,
        }


@dataclass(frozen=True)
class Numbers:
    """Numbers by item. numbers: (n_items,) float32, NaN where unknown. edges: (n_edges,) float32, between buckets."""

    numbers: npt.NDArray[np.float32]
    edges: npt.NDArray[np.float32]

    def terms(self, item: int) -> list[str]:
        """Return what models read of an item: the bucket of its number."""
        number = self.numbers[item]
        return [] if np.isnan(number) else [f"~{int(np.searchsorted(self.edges, number, side='right'))}"]

    def take(self, rows: npt.NDArray[np.int64]) -> Numbers:
        """Keep the items of these rows."""
        return Numbers(self.numbers[rows], self.edges)

    def entry(self, name: str) -> AttributeEntry:
        """Describe the attribute for a manifest."""
        known = self.numbers[~np.isnan(self.numbers)]
        return AttributeEntry(name, "number", len(known), len(np.unique(known)))

    def arrays(self, prefix: str) -> dict[str, npt.NDArray[np.generic]]:
        """Return the attribute as named arrays, ready for a bundle."""
        return {f"{prefix}.numbers": self.numbers, f"{prefix}.edges": self.edges}


@dataclass(frozen=True)
class Flags:
    """Yes or no by item. flags: (n_items,) int8, 1 for yes, 0 for no, `UNKNOWN_FLAG` where unknown."""

    flags: npt.NDArray[np.int8]

    def terms(self, item: int) -> list[str]:
        """Return what models read of an item."""
        flag = int(self.flags[item])
        return [] if flag == UNKNOWN_FLAG else ["yes" if flag else "no"]

    def take(self, rows: npt.NDArray[np.int64]) -> Flags:
        """Keep the items of these rows."""
        return Flags(self.flags[rows])

    def entry(self, name: str) -> AttributeEntry:
        """Describe the attribute for a manifest."""
        known = self.flags[self.flags != UNKNOWN_FLAG]
        return AttributeEntry(name, "flag", len(known), len(np.unique(known)))

    def arrays(self, prefix: str) -> dict[str, npt.NDArray[np.generic]]:
        """Return the attribute as named arrays, ready for a bundle."""
        return {f"{prefix}.flags": self.flags}


Attribute = Words | Numbers | Flags


@dataclass(frozen=True)
class ItemAttributes:
    """All attributes of a catalogue, by name, in the order of the shop's columns. n_items: of the catalogue."""

    n_items: int
    by_name: Mapping[str, Attribute]

    @staticmethod
    def none(n_items: int) -> ItemAttributes:
        """Return the attributes of a catalogue that has none."""
        return ItemAttributes(n_items, {})

    @staticmethod
    def from_arrays(
        arrays: Mapping[str, npt.NDArray[np.generic]], entries: Sequence[AttributeEntry], n_items: int
    ) -> ItemAttributes:
        """Read what `arrays()` returned, without copying it. entries: of the manifest."""
        found = {
            entry.name: _from_arrays(arrays, f"{PREFIX}_{row}", entry) for row, entry in enumerate(entries)
        }
        return ItemAttributes(n_items, found)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return all attributes as named arrays, ready for a bundle: they are numbered, as names hold any sign."""
        found: dict[str, npt.NDArray[np.generic]] = {}
        for row, attribute in enumerate(self.by_name.values()):
            found |= attribute.arrays(f"{PREFIX}_{row}")
        return found

    def entries(self) -> tuple[AttributeEntry, ...]:
        """Describe the attributes for a manifest."""
        return tuple(attribute.entry(name) for name, attribute in self.by_name.items())

    def terms(self, item: int) -> list[str]:
        """Return what models read of an item: one term for each value, such as `brand=acme`."""
        return [
            f"{name}={value}" for name, attribute in self.by_name.items() for value in attribute.terms(item)
        ]

    def take(self, rows: npt.NDArray[np.int64]) -> ItemAttributes:
        """Keep the items of these rows."""
        return ItemAttributes(len(rows), {name: each.take(rows) for name, each in self.by_name.items()})

    def without(self, name: str) -> ItemAttributes:
        """Return the same attributes without one."""
        return ItemAttributes(self.n_items, {key: each for key, each in self.by_name.items() if key != name})


def edges_of(numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the edges between buckets of distinct numbers; (<= N_BUCKETS - 1,) float32, rising. NaN is ignored."""
    distinct = np.unique(numbers[~np.isnan(numbers)])
    if len(distinct) <= 1:
        return np.zeros(0, np.float32)
    shares = np.arange(1, N_BUCKETS) / N_BUCKETS
    return np.unique(np.quantile(distinct, shares, method="higher")).astype(np.float32)


def _from_arrays(
    arrays: Mapping[str, npt.NDArray[np.generic]], prefix: str, entry: AttributeEntry
) -> Attribute:
    if entry.kind == "words":
        return Words(
            StringTable.from_arrays(arrays, f"{prefix}_values"),
            np.asarray(arrays[f"{prefix}.codes"], np.int32),
            np.asarray(arrays[f"{prefix}.word_offsets"], np.int64),
        )
    if entry.kind == "number":
        numbers = cast(npt.NDArray[np.float32], np.asarray(arrays[f"{prefix}.numbers"], np.float32))
        return Numbers(numbers, np.asarray(arrays[f"{prefix}.edges"], np.float32))
    return Flags(np.asarray(arrays[f"{prefix}.flags"], np.int8))
