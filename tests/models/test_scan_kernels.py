"""Every processor's kernel gives the same bits; which one runs is chosen, and can be told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import models.kernel_library
from models.errors import KernelMissing
from models.kernel_library import load_kernel
from models.scan import (
    KERNEL,
    KERNELS,
    RESCORE_MARGIN,
    ScanQuery,
    available_kernels,
    choose_kernel,
    kernel_in_use,
)
from tests.models.catalogues import (
    NO_EVENTS,
    assert_best,
    assert_equal,
    expected_scores,
    random_catalogue,
    random_people,
    with_vectors,
)


@pytest.mark.parametrize("n_lists", [0, 12])
@pytest.mark.parametrize("n_factors", [3, 16, 50])
@pytest.mark.parametrize("is_float", [False, True], ids=["int8", "float"])
def test_every_processor_gives_the_same_bits(
    kernel: str, n_lists: int, n_factors: int, is_float: bool
) -> None:
    catalogue = random_catalogue(7, 777, n_factors, n_lists=n_lists, n_probes=4, is_float=is_float)
    asked, scan = random_people(8, catalogue, 10), catalogue.scan()
    choose_kernel("plain")
    plain = scan.top_k(asked, 30)
    assert choose_kernel(kernel) == kernel
    assert_equal(scan.top_k(asked, 30), plain)


def test_best_kernel_is_the_first_that_the_processor_has() -> None:
    assert choose_kernel("best") == KERNEL == available_kernels()[0]


@pytest.mark.parametrize("name", ["", "VNNI", *sorted({*KERNELS} - {*available_kernels()})])
def test_kernel_that_the_processor_lacks_is_refused_and_nothing_changes(name: str) -> None:
    choose_kernel("plain")
    with pytest.raises(ValueError, match=f"no '{name}' instructions; the kernel has .*plain for it"):
        choose_kernel(name)
    assert kernel_in_use() == "plain"
    choose_kernel("best")
    catalogue = random_catalogue(9, 100)
    asked = random_people(1, catalogue, 1)
    assert_best(catalogue.scan().top_k(asked, 5), expected_scores(catalogue, asked), 5)


def test_kernel_that_is_not_built_says_how_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.kernel_library, "__file__", str(tmp_path / "scan.py"))
    with pytest.raises(KernelMissing, match=r"^_scan.*is not built; `pip install -e \.` builds it"):
        load_kernel()


@pytest.mark.parametrize("n_factors", [8, 30, 64])
def test_16_bits_hold_what_is_added_up_in_them_however_a_vector_is_made(kernel: str, n_factors: int) -> None:
    """Bytes of either sign at and about the most that two quads may have together: 128 in a lane of four factors."""
    rng = np.random.default_rng(n_factors)
    extreme = np.where(rng.random((4 * RESCORE_MARGIN, n_factors)) < 0.5, -127, 127).astype(np.float32)
    catalogue = with_vectors(extreme)
    for _ in range(40):
        user = rng.choice([-63, -33, -32, -31, 0, 1, 31, 32, 33, 63], n_factors).astype(np.float32)
        user[rng.integers(n_factors)] = 63  # so that a step is one
        asked = [ScanQuery(user, NO_EVENTS)]
        assert_best(catalogue.scan().top_k(asked, 3), expected_scores(catalogue, asked), 3)


def test_largest_numbers_fit_the_16_bits_in_which_some_processors_add_pairs(kernel: str) -> None:
    """Candidates beyond the margin come from 8 bits alone, so an overflow would lose the best."""
    n_items, n_factors = 4 * RESCORE_MARGIN, 64
    item_vectors = np.where(np.random.default_rng(0).random((n_items, n_factors)) < 0.5, -1, 1)
    item_vectors[7], item_vectors[100] = 1, -1
    for user, best in ((np.ones(n_factors), 7), (-np.ones(n_factors), 100)):
        catalogue = with_vectors(item_vectors.astype(np.float32))
        ranked = catalogue.scan().top_k([ScanQuery(user.astype(np.float32), NO_EVENTS)], 1)
        assert ranked.item_indices.tolist() == [[best]]
        np.testing.assert_allclose(ranked.scores, [[64.0]], rtol=1e-5)
