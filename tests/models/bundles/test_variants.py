"""What a bundle carries beside the student: read when asked for, right or refused, and never in the student's way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from models.bundles.bundle import read_bundle, read_manifest, write_bundle
from models.bundles.registry import Registry
from models.bundles.variants import GOLDEN_FILE, VariantsGolden, best_items, replay_variants
from models.ensemble.stacking import FittedStacking
from models.errors import (
    BundleError,
    BundleInconsistent,
    FileCorrupt,
    FileMissing,
    GoldenMismatch,
    VariantUnknown,
)
from models.history import History
from tests.models.forging import reseal, seal
from tests.support.bundles import N_ITEMS, WRITTEN_AT, tiny_bundle, tiny_history, tiny_items
from tests.support.variants import MEMBERS, contents_with_variants, tiny_variants

HISTORIES = [History.empty(), tiny_history(1), tiny_history(2)]
NAMES = (*MEMBERS, "ensemble")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "store", contents_with_variants(), now=WRITTEN_AT)


@pytest.mark.parametrize("variant", NAMES)
def test_a_bundle_scores_as_what_was_written_into_it(path: Path, variant: str) -> None:
    found = read_bundle(path).load_variants()
    assert found.names == NAMES
    expected = tiny_variants(tiny_items()).score(variant, HISTORIES)
    assert np.isfinite(expected[1:]).any(axis=1).all()
    np.testing.assert_array_equal(found.score(variant, HISTORIES), expected)


def test_variants_answer_unlike_each_other(path: Path) -> None:
    variants = read_bundle(path).load_variants()
    history = tiny_history(0)  # items 0, 4 and 8, of block 0
    best = {
        name: best_items(variants.score(name, [history])[0], 1, [history.item_indices]).item_indices[0, 0]
        for name in NAMES
    }
    assert best["popularity"] == 1  # of those left
    assert best["knn"] == N_ITEMS - 4  # the highest index of the block
    assert best["ensemble"] not in (-1, 0, 4, 8)


def test_arrays_are_mapped_and_not_read(path: Path) -> None:
    knn = read_bundle(path).load_variants().ensemble.members[2]
    values = knn.arrays()["values"]
    while values.base is not None and not isinstance(values, np.memmap):
        values = values.base
    assert isinstance(values, np.memmap)


def test_a_damaged_variant_is_found_when_it_is_asked_for_and_not_before(path: Path) -> None:
    file = path / "ensemble_als.item_factors.npy"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    bundle = read_bundle(path)
    with pytest.raises(FileCorrupt, match=r"ensemble_als\.item_factors\.npy has sha256"):
        bundle.load_variants()
    with pytest.raises(FileCorrupt):
        Registry(path.parent).promote(path.name)


def test_a_truncated_variant_is_found_at_once(path: Path) -> None:
    file = path / "ensemble_als.item_factors.npy"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(FileCorrupt, match="truncated"):
        read_bundle(path)


def test_a_bundle_of_the_student_alone_says_so(tmp_path: Path) -> None:
    bundle = read_bundle(tiny_bundle(tmp_path))
    with pytest.raises(VariantUnknown, match=f"student alone.*max_variant_items.*{N_ITEMS} items"):
        bundle.load_variants()


def test_a_variant_that_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(VariantUnknown, match="'neural', there are student, popularity, als, knn, ensemble"):
        tiny_variants(tiny_items()).score("neural", HISTORIES)


def golden_of(path: Path) -> VariantsGolden:
    return msgspec.json.decode((path / GOLDEN_FILE).read_bytes(), type=VariantsGolden)


def with_golden(path: Path, change: Callable[[VariantsGolden], object]) -> Path:
    golden = golden_of(path)
    change(golden)
    return reseal(path, blobs={GOLDEN_FILE: msgspec.json.encode(golden)})


def without(name: str) -> Callable[[Path], Path]:
    return lambda path: reseal(path, dropped=[name])


def with_array(name: str, array: np.ndarray) -> Callable[[Path], Path]:
    return lambda path: reseal(path, arrays={name: array})


def with_entry(**changes: tuple[str, ...]) -> Callable[[Path], Path]:
    def change(path: Path) -> Path:
        manifest = read_manifest(path)
        assert manifest.variants is not None
        entry = msgspec.structs.replace(manifest.variants, **changes)
        return seal(path, msgspec.structs.replace(manifest, variants=entry))

    return change


def asked_of(item_index: int) -> Callable[[Path], Path]:
    """A golden request of somebody who knows this item."""
    return lambda path: with_golden(
        path, lambda golden: golden.requests["als"][1].item_indices.append(item_index)
    )


@pytest.mark.parametrize(
    ("damage", "error", "said"),
    [
        (without("ensemble_knn.values.npy"), FileMissing, "values"),
        (without("ensemble_repeats.moments.npy"), FileMissing, "moments"),
        (without("ensemble_strategy0.intercept.npy"), FileMissing, "intercept"),
        (without(GOLDEN_FILE), FileMissing, GOLDEN_FILE),
        (with_entry(members=("popularity", "als", "lucky")), BundleInconsistent, "'lucky'"),
        (
            with_entry(members=("popularity", "als")),
            BundleInconsistent,
            "reads 31 features, 2 members make 28",
        ),
        (with_entry(strategies=()), BundleInconsistent, "no strategy"),
        (
            with_array("ensemble_popularity.scores", np.ones(N_ITEMS + 1, np.float32)),
            BundleInconsistent,
            f"popularity is of {N_ITEMS + 1} items, the catalogue has {N_ITEMS}",
        ),
        (
            with_array("ensemble_repeats.values", np.ones((1, N_ITEMS, 2), np.float16)),
            BundleInconsistent,
            "5 features of each",
        ),
        (
            with_array("ensemble_popularity.scores", np.arange(N_ITEMS, dtype=np.float32)),
            GoldenMismatch,
            "golden request 0 of popularity",
        ),
        (
            lambda path: with_golden(path, lambda golden: golden.requests.pop("als")),
            BundleInconsistent,
            "no requests of als",
        ),
        (asked_of(-1), BundleInconsistent, "beyond the 40"),
        (asked_of(N_ITEMS), BundleInconsistent, "beyond the 40"),
    ],
)
def test_variants_that_are_wrong_are_refused_and_the_student_is_not(
    path: Path, damage: Callable[[Path], Path], error: type[BundleError], said: str
) -> None:
    bundle = read_bundle(damage(path))
    with pytest.raises(error, match=said):
        bundle.load_variants()


def test_variants_that_would_be_refused_are_not_written(tmp_path: Path) -> None:
    contents = contents_with_variants()
    assert contents.variants is not None
    others = dataclasses.replace(contents.variants, variants=tiny_variants(tiny_items(N_ITEMS - 4)))
    with pytest.raises(BundleInconsistent, match="36 items, the catalogue has 40"):
        write_bundle(tmp_path, dataclasses.replace(contents, variants=others))
    assert not list(tmp_path.iterdir())


def test_what_moves_a_score_is_told_by_golden_requests() -> None:
    contents = contents_with_variants()
    assert contents.variants is not None
    variants, golden = contents.variants.variants, contents.variants.golden
    replay_variants(variants, golden)
    weighs_otherwise = FittedStacking(np.ones(31, np.float32), np.zeros((), np.float32))
    ensemble = dataclasses.replace(variants.ensemble, strategy=weighs_otherwise)
    with pytest.raises(GoldenMismatch, match="of ensemble"):
        replay_variants(dataclasses.replace(variants, ensemble=ensemble), golden)


class TestBestItems:
    def test_best_come_first_and_equal_ones_by_item_index(self) -> None:
        found = best_items(np.array([1, 3, 2, 3, 0], np.float32), 3)
        assert found.item_indices.tolist() == [[1, 3, 2]]
        assert found.scores.tolist() == [[3, 3, 2]]

    def test_equal_ones_at_the_edge_are_taken_by_item_index(self) -> None:
        assert best_items(np.array([1, 1, 5, 1], np.float32), 2).item_indices.tolist() == [[2, 0]]

    def test_no_opinion_is_never_among_them(self) -> None:
        found = best_items(np.array([np.nan, 1, -np.inf, 2], np.float32), 4)
        assert found.item_indices.tolist() == [[3, 1, -1, -1]]
        assert found.scores[0, 2:].tolist() == [-np.inf, -np.inf]

    def test_blocked_items_are_not_among_them_and_scores_stay_as_they_are(self) -> None:
        scores = np.array([4, 3, 2, 1], np.float32)
        blocked = [np.array([0], np.int32), np.array([2], np.int32)]
        assert best_items(scores, 3, blocked).item_indices.tolist() == [[1, 3, -1]]
        assert scores.tolist() == [4, 3, 2, 1]

    def test_more_than_there_are_is_filled_up(self) -> None:
        assert best_items(np.zeros(2, np.float32), 3).item_indices.tolist() == [[0, 1, -1]]

    def test_an_empty_catalogue_gives_nothing(self) -> None:
        assert best_items(np.zeros(0, np.float32), 2).item_indices.tolist() == [[-1, -1]]
