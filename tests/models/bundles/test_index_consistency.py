"""An index that does not fit its bundle: other vectors, other lists, other numbers than the manifest has."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from models.bundles.bundle import read_bundle, read_manifest, write_bundle
from models.bundles.golden import replay_golden
from models.bundles.manifest import IndexEntry
from models.errors import BundleInconsistent
from models.index import inverted_index, quantize_rows
from tests.models.forging import array_of, reseal
from tests.support.bundles import tiny_contents

Array = npt.NDArray[Any]


def with_lists(bundle: Path, spoilt: Mapping[str, Array] | None = None, **entry: Any) -> Path:
    """The bundle with its 40 items in three lists, two of which a search looks into.

    spoilt: arrays of the index that are others. entry: what the manifest says of the index otherwise.
    """
    rng = np.random.default_rng(0)
    item_vectors = array_of(bundle, "item_vectors").astype(np.float32)
    index = inverted_index(
        *quantize_rows(item_vectors),
        np.array([0, 18, 18, 40], np.int32),
        rng.normal(size=(3, 4)).astype(np.float32),
        2,
    )
    told: dict[str, Any] = {"kind": "inverted", "n_lists": 3, "n_probes": 2, "recall": 1.0} | entry
    student = msgspec.structs.replace(read_manifest(bundle).student, index=IndexEntry(**told))
    return reseal(bundle, arrays=index.arrays() | dict(spoilt or {}), student=student)


def test_bundle_with_lists_is_read_and_answers_as_without_them(bundle: Path) -> None:
    read = read_bundle(with_lists(bundle))
    assert (read.student_files.index.n_lists, read.student_files.index.n_probes) == (3, 2)
    replay_golden(read.load_student(), read.text_encoder, read.golden)


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        ({"list_offsets": [0, 18, 17, 40]}, r"^list_offsets\.npy: offsets fall"),
        ({"list_offsets": [1, 18, 18, 40]}, r"^list_offsets\.npy: the first offset is 1, must be 0"),
        ({"list_offsets": [0, 18, 18, 39]}, r"^list_offsets\.npy: it ends at 39, there are 40 values"),
        ({"list_offsets": [0, 18, 18, 41]}, r"^list_offsets\.npy: it ends at 41, there are 40 values"),
        ({"list_offsets": [0, 18, 40]}, r"inverted with 3 lists, list_offsets\.npy has 2"),
        ({"list_offsets": [0]}, r"inverted with 3 lists, list_offsets\.npy has 0"),
    ],
)
def test_lists_that_do_not_hold_the_catalogue_are_refused(
    bundle: Path, spoilt: dict[str, list[int]], message: str
) -> None:
    arrays = {name: np.array(values, np.int32) for name, values in spoilt.items()}
    with pytest.raises(BundleInconsistent, match=message):
        read_bundle(with_lists(bundle, arrays))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("centroid_blocks", (2, 1, 16, 4), r"it is \(2, 1, 16, 4\), must be \(1, 1, 16, 4\)"),
        ("centroid_blocks", (1, 2, 16, 4), r"it is \(1, 2, 16, 4\), must be \(1, 1, 16, 4\)"),
        ("centroid_blocks", (0, 1, 16, 4), r"it is \(0, 1, 16, 4\), must be \(1, 1, 16, 4\)"),
        ("centroid_scales", (3,), "3 rows, must be 16"),
        ("centroid_scales", (32,), "32 rows, must be 16"),
    ],
)
def test_centroids_that_are_not_one_a_list_are_refused(
    bundle: Path, name: str, shape: tuple[int, ...], message: str
) -> None:
    other = np.ones(shape, np.uint8 if name == "centroid_blocks" else np.float32)
    with pytest.raises(BundleInconsistent, match=rf"^{name}\.npy: {message}"):
        read_bundle(with_lists(bundle, {name: other}))


def test_centroids_whose_scale_is_not_finite_are_refused(bundle: Path) -> None:
    scales = np.full(16, np.inf, np.float32)
    with pytest.raises(BundleInconsistent, match=r"^centroid_scales\.npy: a number is not finite"):
        read_bundle(with_lists(bundle, {"centroid_scales": scales}))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"n_probes": 0}, "0 of 3 lists are looked into, must be 1 to 3"),
        ({"n_probes": 4}, "4 of 3 lists are looked into, must be 1 to 3"),
        ({"n_lists": 2}, r"the index is inverted with 2 lists, list_offsets\.npy has 3"),
        ({"kind": "flat"}, r"the index is flat with 3 lists, list_offsets\.npy has 3"),
        ({"kind": "flat", "n_lists": 0}, r"the index is flat with 0 lists, list_offsets\.npy has 3"),
    ],
)
def test_index_that_the_manifest_describes_otherwise_is_refused(
    bundle: Path, entry: dict[str, Any], message: str
) -> None:
    with pytest.raises(BundleInconsistent, match=rf"^manifest\.json: .*{message}"):
        read_bundle(with_lists(bundle, **entry))


def test_index_that_its_entry_describes_otherwise_is_not_written(tmp_path: Path) -> None:
    contents = tiny_contents()
    told = msgspec.structs.replace(contents.student_entry, index=IndexEntry("inverted", 3, 2))
    with pytest.raises(
        BundleInconsistent, match="flat with 0 of 0 lists looked into, its entry says inverted with 2 of 3"
    ):
        write_bundle(tmp_path, dataclasses.replace(contents, student_entry=told))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("item_blocks", "it does not hold the vectors of item_vectors"),
        ("block_scales", "it does not hold the scales of item_vectors"),
    ],
)
def test_index_of_other_vectors_is_refused(tmp_path: Path, precision: str, name: str, message: str) -> None:
    """Every scale is another item's; or one number of the last item is two steps off."""
    contents = tiny_contents(precision)
    array: Array = contents.student.index.arrays()[name].copy()
    if name == "item_blocks":
        array[2, 0, 7, 3] -= 2
    else:
        array[:40] = array[:40][::-1]
    changes: dict[str, Any] = {name: array}
    index = dataclasses.replace(contents.student.index, **changes)
    student = dataclasses.replace(contents.student, index=index)
    with pytest.raises(BundleInconsistent, match=rf"^{name}\.npy: {message}"):
        write_bundle(tmp_path, dataclasses.replace(contents, student=student))


def test_int8_vectors_must_be_in_the_index_to_the_last_step(tmp_path: Path) -> None:
    contents = tiny_contents("int8")
    blocks = contents.student.index.item_blocks.copy()
    blocks[2, 0, 7, 3] -= 1
    index = dataclasses.replace(contents.student.index, item_blocks=blocks)
    student = dataclasses.replace(contents.student, index=index)
    with pytest.raises(BundleInconsistent, match=r"^item_blocks\.npy: it does not hold the vectors"):
        write_bundle(tmp_path, dataclasses.replace(contents, student=student))


@pytest.mark.parametrize("n_factors", [0, 1025])
def test_vectors_of_a_length_that_cannot_be_searched_are_refused(bundle: Path, n_factors: int) -> None:
    student = msgspec.structs.replace(read_manifest(bundle).student, n_factors=n_factors)
    longer_vectors = np.zeros((40, n_factors), np.float16)
    with pytest.raises(
        BundleInconsistent, match=rf"^item_vectors\.npy: {n_factors} factors, must be 1 to 1024"
    ):
        read_bundle(reseal(bundle, arrays={"item_vectors": longer_vectors}, student=student))


@pytest.mark.parametrize("offsets", [[], [0, 40]])
def test_lists_in_an_index_that_is_said_to_be_flat_are_refused(bundle: Path, offsets: list[int]) -> None:
    other = reseal(bundle, arrays={"list_offsets": np.array(offsets, np.int32)})
    with pytest.raises(
        BundleInconsistent, match=rf"^manifest\.json: the index is flat .*npy has {len(offsets) - 1}"
    ):
        read_bundle(other)
