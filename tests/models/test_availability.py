"""What a bundle says of items that may not be recommended, and what it makes of one that says nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from models.bundles.bundle import read_bundle, write_bundle
from models.bundles.golden import replay_golden
from models.bundles.variants import replay_variants
from models.errors import BundleInconsistent, FileMissing, GoldenMismatch
from tests.models.forging import array_of, reseal
from tests.support.bundles import N_ITEMS, WRITTEN_AT, tiny_bundle, tiny_contents, with_unavailable
from tests.support.variants import contents_with_variants

GONE = (12, 13, 14, 15)
"""The best unseen item of each block."""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return write_bundle(tmp_path, with_unavailable(contents_with_variants(), GONE), now=WRITTEN_AT)


def test_a_bundle_carries_which_items_are_available(written: Path) -> None:
    assert np.flatnonzero(~read_bundle(written).items.available).tolist() == list(GONE)


def test_golden_requests_hold_no_item_that_is_not_available(written: Path) -> None:
    bundle = read_bundle(written)
    assert not {item for request in bundle.golden.requests for item in request.item_indices} & set(GONE)
    replay_golden(bundle.load_student(), bundle.text_encoder, bundle.golden, bundle.items.recommendable)
    with pytest.raises(GoldenMismatch):
        replay_golden(bundle.load_student(), bundle.text_encoder, bundle.golden)


def test_golden_requests_of_variants_keep_to_it_too(written: Path) -> None:
    bundle = read_bundle(written)
    variants = bundle.load_variants()  # replays them
    contents = with_unavailable(contents_with_variants(), GONE)
    assert contents.variants is not None
    asked = contents.variants.golden.requests
    assert not {item for own in asked.values() for request in own for item in request.item_indices} & set(
        GONE
    )
    with pytest.raises(GoldenMismatch):
        replay_variants(variants, contents.variants.golden)


def test_a_bundle_of_this_schema_may_not_leave_it_out(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match=r"item_available\.npy"):
        read_bundle(reseal(tiny_bundle(tmp_path), dropped=["item_available.npy"]))


@pytest.mark.parametrize("fault", ["a value", "a row"])
def test_availability_that_makes_no_sense_is_refused(tmp_path: Path, fault: str) -> None:
    bundle = tiny_bundle(tmp_path)
    available = array_of(bundle, "item_available")
    if fault == "a value":
        available[3] = 2
    else:
        available = available[:-1]
    with pytest.raises(BundleInconsistent, match=r"item_available\.npy"):
        read_bundle(reseal(bundle, arrays={"item_available": available}))


def test_a_bundle_whose_golden_requests_forgot_it_does_not_verify(tmp_path: Path) -> None:
    contents = tiny_contents()
    available = np.ones(N_ITEMS, np.bool_)
    available[list(GONE)] = False
    forgetful = dataclasses.replace(contents, items=dataclasses.replace(contents.items, available=available))
    bundle = read_bundle(write_bundle(tmp_path, forgetful, now=WRITTEN_AT))
    with pytest.raises(GoldenMismatch):
        replay_golden(bundle.load_student(), bundle.text_encoder, bundle.golden, bundle.items.recommendable)
