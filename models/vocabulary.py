"""Ids and their row numbers, in arrays that any number of processes can share by memory map.

An id is found by its 64-bit key (BLAKE2b) in a sorted array and then compared byte for byte, so ten million
people need no Python dictionary. Every lookup says what an unknown id means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from math import isqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

from models.errors import StillroomError, UnknownId

MAX_ID_CHARACTERS = 256
"""The longest id, in characters, that a shop may use for a person or an item."""

INTERPOLATED_FROM = 1 << 16
"""The number of ids from which `find` guesses a key's place. A plain search of fewer reads at most 0.5 MB."""


def id_key(text: str) -> int:
    """Return the 64-bit key of an id; the same in every process, bundle and version.

    A lone surrogate has a key too: no vocabulary holds it, so asking for it finds nothing and raises nothing.
    """
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


@dataclass(frozen=True)
class StringTable:
    """Strings by row, as one run of UTF-8 bytes.

    data: (n_bytes,) uint8. offsets: (n_rows + 1,) int64.
    """

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]

    @staticmethod
    def from_strings(strings: Iterable[str]) -> StringTable:
        """Pack strings in the order given. Raises StillroomError for one that is not valid Unicode."""
        try:
            encoded = [text.encode() for text in strings]
        except UnicodeEncodeError as error:
            raise StillroomError(
                f"{error.object!r} holds a lone surrogate and is not valid Unicode; correct it at its source"
            ) from error
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(text) for text in encoded], out=offsets[1:])
        return StringTable(np.frombuffer(b"".join(encoded), np.uint8), offsets)

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[np.generic]], prefix: str) -> StringTable:
        """Read what `arrays(prefix)` returned, as plain views: indexing np.memmap itself costs microseconds."""
        return StringTable(
            np.asarray(arrays[f"{prefix}.data"], np.uint8),
            np.asarray(arrays[f"{prefix}.offsets"], np.int64),
        )

    def arrays(self, prefix: str) -> dict[str, npt.NDArray[np.generic]]:
        """Return the table as named arrays, ready for a bundle."""
        return {f"{prefix}.data": self.data, f"{prefix}.offsets": self.offsets}

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> str:
        if row < 0:  # -1 means "no such row" everywhere here, never the last one
            raise IndexError(f"row {row} of {len(self)} strings")
        return self.data[self.offsets[row] : self.offsets[row + 1]].tobytes().decode()


class Vocabulary:
    """The ids of one kind (items or people); the row number of an id is its index everywhere else.

    strings: the ids by row. keys: (n,) uint64, sorted. rows: (n,) int32, the row of each key.
    """

    def __init__(
        self, strings: StringTable, keys: npt.NDArray[np.uint64], rows: npt.NDArray[np.int32]
    ) -> None:
        self._strings = strings
        self._keys = keys
        self._rows = rows

    @staticmethod
    def from_ids(ids: Sequence[str]) -> Vocabulary:
        """Index ids in the order given. Raises StillroomError on a duplicate id, a collision of keys, or an id
        that is not valid Unicode. Ids that differ in any character, as é and e + ´ do, are different ids.
        """
        strings = StringTable.from_strings(ids)
        keys = np.fromiter((id_key(text) for text in ids), np.uint64, count=len(ids))
        rows = np.argsort(keys, kind="stable").astype(np.int32)
        keys = keys[rows]
        for position in np.flatnonzero(keys[1:] == keys[:-1]):
            first, second = strings[rows[position]], strings[rows[position + 1]]
            raise StillroomError(
                f"ids {first!r} and {second!r} are the same or share a key; ids must be unique"
            )
        return Vocabulary(strings, keys, rows)

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[np.generic]], prefix: str) -> Vocabulary:
        """Read what `arrays(prefix)` returned, without copying it."""
        return Vocabulary(
            StringTable.from_arrays(arrays, prefix),
            np.asarray(arrays[f"{prefix}.keys"], np.uint64),
            np.asarray(arrays[f"{prefix}.rows"], np.int32),
        )

    def arrays(self, prefix: str) -> dict[str, npt.NDArray[np.generic]]:
        """Return the vocabulary as named arrays, ready for a bundle."""
        return {**self._strings.arrays(prefix), f"{prefix}.keys": self._keys, f"{prefix}.rows": self._rows}

    def __len__(self) -> int:
        return len(self._strings)

    def id_of(self, index: int) -> str:
        """Return the id of a row. Raises IndexError for -1 and for a row that does not exist."""
        return self._strings[index]

    def ids_of(self, indices: Iterable[int]) -> list[str]:
        """Return the ids of several rows, in order."""
        return [self._strings[index] for index in indices]

    def find(self, text: str) -> int | None:
        """Return the row of an id, or None if it is unknown."""
        key = id_key(text)
        position = self._position(key)
        if position == len(self._keys):
            return None
        row = int(self._rows[position])
        return row if self._strings[row] == text else None

    def _position(self, key: int) -> int:
        """Return the place of a key among the sorted ones, or where it would be.

        Keys are uniform, so the first guess is off by some √n rows, and a second one from there by some √√n. The rest
        is searched in two or three pages of the file, where a plain binary search among ten million keys reads
        fifteen: this matters while a bundle is not in the page cache.
        """
        keys, n_keys = self._keys, len(self._keys)
        if n_keys > INTERPOLATED_FROM:
            guess = min(key * n_keys >> 64, n_keys - 1)
            guess += (key - int(keys[guess])) * n_keys >> 64
            reach = 8 * isqrt(isqrt(n_keys))
            low, high = guess - reach, guess + reach
            if low >= 0 and high < n_keys:
                position = low + int(keys[low:high].searchsorted(np.uint64(key)))
                if low < position < high:
                    return position
        return int(keys.searchsorted(np.uint64(key)))

    def indices_of(
        self, ids: Iterable[str], *, unknown: Literal["raise", "drop", "mark"]
    ) -> npt.NDArray[np.int32]:
        """Return the rows of ids, in order.

        unknown: "raise" raises UnknownId, "drop" leaves the id out, "mark" puts -1 in its place.
        """
        indices = []
        for text in ids:
            index = self.find(text)
            if index is None:
                if unknown == "raise":
                    raise UnknownId(f"unknown id {text!r}; the vocabulary holds {len(self):,} ids")
                if unknown == "drop":
                    continue
                index = -1
            indices.append(index)
        return np.array(indices, np.int32)

    def indices_of_keys(self, keys: npt.NDArray[np.uint64], *, n_bits: int = 64) -> npt.NDArray[np.int32]:
        """Return the rows of 64-bit keys, -1 if no id of this vocabulary has the key. Shape (n,) to (n,).

        n_bits: how many of the highest bits count; the others must be 0 in `keys`. If two ids share these, the first
        by key is returned.
        """
        if not len(self._keys):
            return np.full(len(keys), -1, np.int32)
        positions = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        found = self._keys[positions]
        if n_bits < 64:
            found &= np.uint64(2**64 - 2 ** (64 - n_bits))
        return np.where(found == keys, self._rows[positions], -1).astype(np.int32)

    def keys_by_index(self) -> npt.NDArray[np.uint64]:
        """Return the 64-bit key of every row; (n,) uint64. Data stored by key outlives a bundle's row numbers."""
        keys = np.empty(len(self), np.uint64)
        keys[self._rows] = self._keys
        return keys

    def sha256(self) -> str:
        """Hash all ids in row order; two vocabularies agree on every index exactly if their hashes agree."""
        digest = sha256(np.ascontiguousarray(self._strings.offsets).data)
        digest.update(np.ascontiguousarray(self._strings.data).data)
        return digest.hexdigest()
