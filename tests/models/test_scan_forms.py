"""Arrays that are not what the kernel goes by: refused at the start, or when a file is changed in place later."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.cooccurrence import COOCCURRENCE_ARRAYS
from models.errors import FileCorrupt
from models.index import INDEX_ARRAYS
from models.scan import ScanQuery
from tests.models.catalogues import (
    assert_equal,
    events_of,
    indices,
    random_catalogue,
    random_people,
    with_vectors,
)


@pytest.mark.parametrize("wrong", [300, 2**16 - 1, 2**31 - 1, -1, -(2**31)])
@pytest.mark.parametrize("is_float", [False, True], ids=["int8", "float"])
@pytest.mark.parametrize("n_lists", [0, 6])
def test_neighbour_that_is_changed_in_place_is_not_followed_and_its_file_is_named(
    kernel: str, wrong: int, is_float: bool, n_lists: int
) -> None:
    is_wide = not 0 <= wrong < 2**16
    catalogue = random_catalogue(
        30, 300, n_neighbours=70, is_wide=is_wide, is_float=is_float, n_lists=n_lists, n_probes=6
    )
    scan, asked = catalogue.scan(), [ScanQuery(np.ones(16, np.float32), events_of(3, 4, 5))]
    expected = scan.top_k(asked, 10)
    term = catalogue.cooccurrence
    place = (
        5,
        int(np.flatnonzero(term.neighbour_weights[5])[-1]),
    )  # of the second event, beyond the first 64
    right = term.neighbour_items[place]
    term.neighbour_items[place] = wrong
    with pytest.raises(FileCorrupt, match=r"^neighbour_items\.npy names a neighbour beyond the 300 items"):
        scan.top_k(asked, 10)
    term.neighbour_items[place] = right
    assert_equal(scan.top_k(asked, 10), expected)


def test_neighbour_that_weighs_nothing_may_be_any() -> None:
    catalogue = random_catalogue(31, 300)
    scan, asked = catalogue.scan(), random_people(1, catalogue, 4)
    expected = scan.top_k(asked, 10)
    term = catalogue.cooccurrence
    term.neighbour_items[term.neighbour_weights == 0] = 2**16 - 1
    assert_equal(scan.top_k(asked, 10), expected)


def test_offsets_of_lists_that_are_changed_in_place_change_nothing() -> None:
    catalogue = random_catalogue(32, 400, n_lists=12, n_probes=4)
    scan, asked = catalogue.scan(), random_people(2, catalogue, 4)
    expected = scan.top_k(asked, 10)
    catalogue.index.list_offsets[:] = np.int32(2**30)
    assert_equal(scan.top_k(asked, 10), expected)


@pytest.mark.parametrize(
    "offsets", [[0, 200, 100, 300], [1, 100, 200, 300], [0, 100, 200, 301], [0, -1, 200, 300], []]
)
def test_lists_that_do_not_hold_the_catalogue_one_after_the_other_are_refused(offsets: list[int]) -> None:
    catalogue = random_catalogue(33, 300, n_lists=3)
    index = dataclasses.replace(catalogue.index, list_offsets=indices(*offsets))
    with pytest.raises(ValueError, match=r"list_offsets|centroid_blocks"):
        dataclasses.replace(catalogue, index=index).scan()


@pytest.mark.parametrize(
    ("part", "name"),
    [
        *(("index", name) for name in INDEX_ARRAYS),
        *(("cooccurrence", name) for name in COOCCURRENCE_ARRAYS),
    ],
)
@pytest.mark.parametrize("change", ["rows", "type"])
def test_array_of_another_form_never_reaches_the_kernel(part: str, name: str, change: str) -> None:
    catalogue = random_catalogue(34, 300, n_lists=17)
    before = getattr(catalogue, part)
    array = getattr(before, name)
    other = array[:-1] if change == "rows" else array.astype(np.float64)
    after = dataclasses.replace(before, **{name: other})
    with pytest.raises(ValueError, match=r"must be|list_offsets"):
        dataclasses.replace(catalogue, **{part: after}).scan()


def test_vectors_longer_than_the_kernel_has_room_for_are_refused() -> None:
    with pytest.raises(ValueError, match="1025 factors, the kernel takes at most 1024"):
        with_vectors(np.ones((3, 1025), np.float32)).scan()
