"""Files that are whole and do not fit together: each fault is refused by the name of a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

import models.bundles.consistency
from models.bundles.bundle import read_bundle, read_manifest, write_bundle
from models.bundles.golden import Golden, GoldenRequest, GoldenText
from models.bundles.manifest import SharesEntry
from models.cooccurrence import COOCCURRENCE_ARRAYS
from models.errors import BundleInconsistent, VocabularyMismatch
from models.member_shares import MEMBER_ARRAYS
from models.vocabulary import StringTable, Vocabulary
from tests.models.forging import ARRAYS, array_of, reseal
from tests.support.bundles import tiny_contents

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


def narrower(array: Array) -> Array:
    return array[:, :-1]


def backwards(array: Array) -> Array:
    return array[::-1]


def emptied(array: Array) -> Array:
    return array[:0]


VOCABULARIES = ("item_ids", "user_ids", "text_terms")
TEXT_TABLES = ("text_projection", "text_scales", "answer_text_map", "history_text_map")
OFFSETS = (
    "item_ids.offsets",
    "item_titles.offsets",
    "category_names.offsets",
    "user_ids.offsets",
    "histories.offsets",
    "text_terms.offsets",
)

FAULTS = [
    *((name, fault) for name in OFFSETS for fault in (put(0, 1), put(1, 1_000), put(-1, 1_000), put(2, -1), emptied)),
    *((f"{ids}.keys", fault) for ids in VOCABULARIES for fault in (backwards, put(0, 7), shorter, longer)),
    *((f"{ids}.rows", fault) for ids in VOCABULARIES for fault in (put(3, -1), put(3, 40), shorter, longer)),
    *((name, fault) for name in ("item_titles.offsets", "histories.offsets") for fault in (shorter, longer)),
    *((name, fault) for name in ("item_prices", "item_popularity", "item_vectors") for fault in (shorter, longer)),
    *((name, fault) for name in ("history_vectors", "history_scales") for fault in (shorter, longer)),
    *((name, fault) for name in COOCCURRENCE_ARRAYS for fault in (shorter, longer)),
    *((name, fault) for name in ("item_scales",) for fault in (shorter, longer, put(3, np.inf))),
    *((name, narrower) for name in ("neighbour_items", "neighbour_weights")),
    *((name, put(-1, np.nan)) for name in ("neighbour_weights", "neighbour_scales", "event_decays")),
    *((name, put(-1, np.nan)) for name in ("own_weights", "own_decays")),
    ("neighbour_items", put((3, 1), 40)),
    *((name, fault) for name in ("histories.kinds", "histories.item_indices") for fault in (shorter, longer)),
    *((name, fault) for name in TEXT_TABLES for fault in (shorter, longer)),
    *((name, narrower) for name in TEXT_TABLES if name != "text_scales"),
    *((name, put(0, np.nan)) for name in TEXT_TABLES if name != "text_projection"),
    *((name, fault) for name in MEMBER_ARRAYS for fault in (shorter, longer, narrower, put(0, np.nan))),
    ("member_weights", lambda weights: weights[:, :, :-1]),
    *((name, fault) for name in ("item_blocks", "block_scales") for fault in (shorter, longer, backwards)),
    ("item_blocks", put((1, 0, 3, 2), 7)),
    ("item_blocks", lambda blocks: blocks.reshape(3, 1, 4, 16)),
    ("block_scales", put(3, np.nan)),
    ("block_scales", put(3, 1.0)),
    ("text_terms.data", put(0, 0xFF)),
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
    *((name, fault) for name in ("attribute_1.numbers", "attribute_2.flags") for fault in (shorter, longer)),
    *(("attribute_0.word_offsets", fault) for fault in (put(0, 1), put(1, 1_000), put(-1, 1_000), shorter, longer)),
    *(("attribute_0.codes", fault) for fault in (put(0, 3), put(-1, -1), shorter, longer)),
    *(("attribute_0_values.offsets", fault) for fault in (put(0, 1), put(-1, 1_000), shorter)),
    ("attribute_0_values.data", put(0, 0xFF)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "spoil"), FAULTS)
def test_array_that_contradicts_another_is_refused(
    bundle: Path, name: str, spoil: Callable[[Array], Array]
) -> None:
    spoilt = reseal(bundle, arrays={name: spoil(array_of(bundle, name))})
    with pytest.raises(BundleInconsistent, match=r"\.npy: "):
        read_bundle(spoilt)


def test_item_may_be_of_no_category(bundle: Path) -> None:
    of_none = put(0, -1)(array_of(bundle, "item_categories"))
    read = read_bundle(reseal(bundle, arrays={"item_categories": of_none}))
    assert read.items.category_codes[0] == -1


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
        (
            "answer_text_map",
            narrower,
            r"^answer_text_map\.npy: 3 columns, item_vectors\.npy has 4",
        ),
        ("neighbour_items", put((0, 0), 40), r"^neighbour_items\.npy: it holds 40, must be below 40"),
        ("neighbour_weights", narrower, r"^neighbour_weights\.npy: 1 columns, neighbour_items\.npy has 2"),
        ("event_decays", shorter, r"^event_decays\.npy: 11 rows, must be 12"),
        ("own_decays", shorter, r"^own_decays\.npy: 11 rows, must be 12"),
        ("own_weights", shorter, r"^own_weights\.npy: 40 rows, must be 41"),
        ("history_text_map", shorter, r"^history_text_map\.npy: 4 rows, must be 5"),
        ("member_item_map", shorter, r"^member_item_map\.npy: 3 rows, must be 4"),
        ("member_levels", shorter, r"^member_levels\.npy: 39 rows, must be 40"),
        ("member_levels", narrower, r"^member_levels\.npy: it is \(40, 2\), must be \(40, 3\)"),
        ("member_weights", shorter, r"^member_weights\.npy: it is \(2, 5, 7\), must be \(3, 5, 7\)"),
        ("member_user_map", narrower, r"^member_weights\.npy: it is \(3, 5, 7\), must be \(3, 4, 7\)"),
        ("item_vectors", put((0, 0), np.nan), r"^item_vectors\.npy: a number is not finite"),
    ],
)
def test_message_names_the_file_the_value_and_the_limit(
    bundle: Path, name: str, spoil: Callable[[Array], Array], message: str
) -> None:
    spoilt = reseal(bundle, arrays={name: spoil(array_of(bundle, name))})
    with pytest.raises(BundleInconsistent, match=message):
        read_bundle(spoilt)


@pytest.mark.parametrize("name", [f"{ids}.rows" for ids in VOCABULARIES])
def test_ids_that_their_own_keys_do_not_find_are_refused(bundle: Path, name: str) -> None:
    spoilt = reseal(bundle, arrays={name: array_of(bundle, name)[::-1]})
    with pytest.raises(BundleInconsistent, match="is not found by its key"):
        read_bundle(spoilt)


@pytest.mark.parametrize("name", [f"{ids}.rows" for ids in VOCABULARIES])
def test_row_that_two_keys_share_is_refused(bundle: Path, name: str) -> None:
    spoilt = reseal(bundle, arrays={name: put(0, array_of(bundle, name)[1])(array_of(bundle, name))})
    with pytest.raises(BundleInconsistent, match=f"^{name}.npy: two keys have the same row"):
        read_bundle(spoilt)


@pytest.mark.parametrize("name", ARRAYS)
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
    ("members", "message"),
    [
        ((), r"are of the members \[\], must be one or more"),
        (("blocks", "popular", "popular"), "'popular', 'popular'.*each named once"),
        (("blocks", "popular"), r"^member_weights\.npy: it is \(3, 5, 7\), must be \(2, 5, 7\)"),
    ],
)
def test_shares_of_members_that_the_manifest_names_otherwise_are_refused(
    bundle: Path, members: tuple[str, ...], message: str
) -> None:
    shares = SharesEntry(members, {}, 0.0)
    student = msgspec.structs.replace(read_manifest(bundle).student, shares=shares)
    with pytest.raises(BundleInconsistent, match=message):
        read_bundle(reseal(bundle, student=student))


PLACED = GoldenText("", [0.0] * 4, [0.0] * 4, [0.0] * 4)


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
    golden = Golden(requests, [PLACED])
    with pytest.raises(BundleInconsistent, match=rf"^golden\.json.*{message}"):
        read_bundle(reseal(bundle, blobs={"golden.json": msgspec.json.encode(golden)}))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "holds no texts"),
        (
            [PLACED, msgspec.structs.replace(PLACED, text_vector=[0.0] * 3)],
            r"text 1 .*\[3, 4, 4\] .*\[4, 4, 4\]",
        ),
        ([msgspec.structs.replace(PLACED, answer_vector=[0.0] * 5)], r"text 0 .*\[4, 5, 4\]"),
        ([msgspec.structs.replace(PLACED, history_vector=[])], r"text 0 .*\[4, 4, 0\]"),
    ],
)
def test_golden_texts_that_cannot_be_compared_are_refused(
    bundle: Path, texts: list[GoldenText], message: str
) -> None:
    golden = Golden([GoldenRequest([], [1], [1.0])], texts)
    with pytest.raises(BundleInconsistent, match=rf"^golden\.json.*{message}"):
        read_bundle(reseal(bundle, blobs={"golden.json": msgspec.json.encode(golden)}))


@pytest.mark.parametrize("vector", ["text_vector", "answer_vector", "history_vector"])
def test_golden_text_whose_vector_is_not_finite_is_not_written(tmp_path: Path, vector: str) -> None:
    contents = tiny_contents()
    contents.golden.texts[2] = msgspec.structs.replace(PLACED, **{vector: [0.0, np.nan, 0.0, 0.0]})
    with pytest.raises(BundleInconsistent, match=r"^golden\.json: text 2 .* not finite"):
        write_bundle(tmp_path, contents)


@pytest.mark.parametrize("chunk", [1, 2, 7])
def test_bundle_is_whole_whatever_the_size_of_a_chunk(
    bundle: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models.bundles.consistency, "CHUNK", chunk)
    assert len(read_bundle(bundle).people.people) == 12


@pytest.mark.parametrize(
    ("name", "position"), [("user_ids.offsets", 7), ("histories.times", 13), ("item_ids.keys", 8)]
)
def test_fault_at_the_edge_of_a_chunk_is_seen(
    bundle: Path, name: str, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt = reseal(bundle, arrays={name: put(position, 0)(array_of(bundle, name))})
    for chunk in range(1, 15):
        monkeypatch.setattr(models.bundles.consistency, "CHUNK", chunk)
        with pytest.raises(BundleInconsistent, match=f"^{name}"):
            read_bundle(spoilt)


def test_ids_in_another_order_fit_together_but_are_not_the_manifests(bundle: Path) -> None:
    others = Vocabulary.from_ids([f"item-{39 - row}" for row in range(40)])
    with pytest.raises(VocabularyMismatch, match=r"the items hash to .* \(40 ids\)"):
        read_bundle(reseal(bundle, arrays=others.arrays("item_ids")))
