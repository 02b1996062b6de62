"""Files that are whole and do not fit together: each fault is refused by the name of a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

import models.consistency
from models.bundle import read_bundle, read_manifest
from models.consistency import LAYOUT
from models.errors import BundleInconsistent, VocabularyMismatch
from models.golden import GoldenRequest
from models.vocabulary import StringTable, Vocabulary
from tests.models.forging import array_of, reseal

Array = npt.NDArray[Any]


def put(position: Any, value: float) -> Callable[[Array], Array]:
    """Put a value at a position."""

    def spoil(array: Array) -> Array:
        array[position] = value
        return array

    return spoil


def shorter(array: Array) -> Array:
    return array[:-1]


def longer(array: Array) -> Array:
    return np.concatenate([array, array[-1:]])


def backwards(array: Array) -> Array:
    return array[::-1]


def emptied(array: Array) -> Array:
    return array[:0]


VOCABULARIES = ("item_ids", "user_ids")
OFFSETS = (
    "item_ids.offsets",
    "item_titles.offsets",
    "category_names.offsets",
    "user_ids.offsets",
    "histories.offsets",
)

FAULTS = [
    *((name, fault) for name in OFFSETS for fault in (put(0, 1), put(1, 1_000), put(-1, 1_000), put(2, -1), emptied)),
    *((f"{ids}.keys", fault) for ids in VOCABULARIES for fault in (backwards, put(0, 7), shorter, longer)),
    *((f"{ids}.rows", fault) for ids in VOCABULARIES for fault in (put(3, -1), put(3, 40), shorter, longer)),
    *((name, fault) for name in ("item_titles.offsets", "histories.offsets") for fault in (shorter, longer)),
    *((name, fault) for name in ("item_prices", "item_popularity", "item_vectors") for fault in (shorter, longer)),
    *((name, fault) for name in ("history_vectors", "history_scales") for fault in (shorter, longer)),
    *((name, fault) for name in ("histories.kinds", "histories.item_indices") for fault in (shorter, longer)),
    ("item_ids.data", put(0, 0xFF)),
    ("user_ids.data", put(-1, 0xC3)),
    ("item_titles.data", put(5, 0x80)),
    ("item_categories", put(0, 4)),
    ("item_categories", put(0, -2)),
    ("item_segments", put(0, 4)),
    ("item_segments", put(0, -1)),
    ("segment_popular", put((0, 0), 40)),
    ("segment_popular", put((0, 0), -2)),
    ("item_popularity", put(0, -1)),
    ("item_popularity", put(0, np.nan)),
    ("item_popularity", put(0, np.inf)),
    ("item_vectors", put((3, 1), np.nan)),
    ("history_vectors", put((3, 1), np.inf)),
    ("history_scales", put(3, np.nan)),
    ("histories.item_indices", put(0, 40)),
    ("histories.item_indices", put(-1, -1)),
    ("histories.kinds", put(0, 5)),
    ("histories.times", put(1, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "spoil"), FAULTS)
def test_array_that_contradicts_another_is_refused(
    bundle: Path, name: str, spoil: Callable[[Array], Array]
) -> None:
    spoilt = reseal(bundle, arrays={name: spoil(array_of(bundle, name))})
    with pytest.raises(BundleInconsistent, match=r"\.npy: "):
        read_bundle(spoilt)


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("item_prices", shorter, r"^item_prices\.npy: 39 rows, must be 40"),
        ("item_vectors", longer, r"^item_vectors\.npy: 41 rows, must be 40"),
        ("history_vectors", shorter, r"^history_vectors\.npy: 40 rows, must be 41"),
        (
            "histories.item_indices",
            put(0, 40),
            r"^histories\.item_indices\.npy: it holds 40, must be below 40",
        ),
        ("histories.offsets", put(-1, 99), r"^histories\.offsets\.npy: it ends at 99, there are 36 values"),
        ("histories.times", put(1, 0), r"^histories\.times\.npy: a person's events do not lie oldest first"),
        ("item_vectors", put((0, 0), np.nan), r"^item_vectors\.npy: a number is not finite"),
    ],
)
def test_message_names_the_file_the_value_and_the_limit(
    bundle: Path, name: str, spoil: Callable[[Array], Array], message: str
) -> None:
    spoilt = reseal(bundle, arrays={name: spoil(array_of(bundle, name))})
    with pytest.raises(BundleInconsistent, match=message):
        read_bundle(spoilt)


@pytest.mark.parametrize("name", ["item_ids.rows", "user_ids.rows"])
def test_ids_that_their_own_keys_do_not_find_are_refused(bundle: Path, name: str) -> None:
    spoilt = reseal(bundle, arrays={name: array_of(bundle, name)[::-1]})
    with pytest.raises(BundleInconsistent, match="is not found by its key"):
        read_bundle(spoilt)


@pytest.mark.parametrize("name", ["item_ids.rows", "user_ids.rows"])
def test_row_that_two_keys_share_is_refused(bundle: Path, name: str) -> None:
    spoilt = reseal(bundle, arrays={name: put(0, array_of(bundle, name)[1])(array_of(bundle, name))})
    with pytest.raises(BundleInconsistent, match=f"^{name}.npy: two keys have the same row"):
        read_bundle(spoilt)


@pytest.mark.parametrize("name", [*LAYOUT, "history_vectors"])
@pytest.mark.parametrize("change", ["dtype", "axes"])
def test_array_of_another_kind_is_refused_and_never_converted(bundle: Path, name: str, change: str) -> None:
    array = array_of(bundle, name)
    other = array.astype(np.float64) if change == "dtype" else array[..., None]
    with pytest.raises(BundleInconsistent, match=f"^{name}.npy: it is "):
        read_bundle(reseal(bundle, arrays={name: other}))


def test_string_that_begins_inside_a_character_is_refused(bundle: Path) -> None:
    titles = StringTable.from_strings(["é"] * 40).arrays("item_titles")
    titles["item_titles.offsets"] = put(1, 1)(titles["item_titles.offsets"])
    with pytest.raises(
        BundleInconsistent, match=r"^item_titles\.offsets\.npy: a string begins inside a character"
    ):
        read_bundle(reseal(bundle, arrays=titles))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_factors": 5}, "4 factors, manifest.json says 5"),
        ({"max_events": 0}, "reads 0 events"),
        ({"precision": "fp16"}, "precision is 'fp16'"),
        ({"precision": "int8"}, r"^history_vectors\.npy: it is <f4"),
    ],
)
def test_student_that_the_manifest_describes_otherwise_is_refused(
    bundle: Path, changes: dict[str, Any], message: str
) -> None:
    student = msgspec.structs.replace(read_manifest(bundle).student, **changes)
    with pytest.raises(BundleInconsistent, match=message):
        read_bundle(reseal(bundle, student=student))


@pytest.mark.parametrize(
    ("requests", "message"),
    [
        ([], "holds no requests"),
        ([GoldenRequest([(40, 0, 0)], [1], [1.0])], "request 0 names an item beyond"),
        ([GoldenRequest([(-1, 0, 0)], [1], [1.0])], "request 0 names an item beyond"),
        ([GoldenRequest([], [1], [1.0]), GoldenRequest([], [40], [1.0])], "request 1 names an item beyond"),
        ([GoldenRequest([(0, 0, 9)], [1], [1.0])], "kind that does not exist"),
        ([GoldenRequest([], [1, 2], [1.0])], "one finite score an item"),
    ],
)
def test_golden_requests_that_cannot_be_asked_are_refused(
    bundle: Path, requests: list[GoldenRequest], message: str
) -> None:
    with pytest.raises(BundleInconsistent, match=rf"^golden\.json.*{message}"):
        read_bundle(reseal(bundle, blobs={"golden.json": msgspec.json.encode(requests)}))


@pytest.mark.parametrize("chunk", [1, 2, 7])
def test_bundle_is_whole_whatever_the_size_of_a_chunk(
    bundle: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models.consistency, "CHUNK", chunk)
    assert len(read_bundle(bundle).people.people) == 12


@pytest.mark.parametrize(
    ("name", "position"), [("user_ids.offsets", 7), ("histories.times", 13), ("item_ids.keys", 8)]
)
def test_fault_at_the_edge_of_a_chunk_is_seen(
    bundle: Path, name: str, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt = reseal(bundle, arrays={name: put(position, 0)(array_of(bundle, name))})
    for chunk in range(1, 15):
        monkeypatch.setattr(models.consistency, "CHUNK", chunk)
        with pytest.raises(BundleInconsistent, match=f"^{name}"):
            read_bundle(spoilt)


def test_ids_in_another_order_fit_together_but_are_not_the_manifests(bundle: Path) -> None:
    others = Vocabulary.from_ids([f"item-{39 - row}" for row in range(40)])
    with pytest.raises(VocabularyMismatch, match=r"the items hash to .* \(40 ids\)"):
        read_bundle(reseal(bundle, arrays=others.arrays("item_ids")))
