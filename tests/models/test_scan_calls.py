"""Calls of the kernel leave nothing behind for each other, one after the other or at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import models.scan
from models.index import AllowedItems
from models.scan import (
    ScanQuery,
)
from tests.models.catalogues import (
    assert_equal,
    indices,
    random_catalogue,
    random_people,
)


@pytest.mark.parametrize("n_lists", [0, 15])
@pytest.mark.parametrize("is_float", [False, True], ids=["int8", "float"])
def test_nothing_of_a_call_is_left_for_the_next(kernel: str, n_lists: int, is_float: bool) -> None:
    catalogue = random_catalogue(27, 500, n_lists=n_lists, n_probes=3, is_float=is_float)
    scan, rng = catalogue.scan(), np.random.default_rng(0)
    for seed in range(60):
        asked = random_people(seed, catalogue, int(rng.integers(1, 12)))
        passing = np.flatnonzero(rng.random(500) < rng.choice([0.02, 0.3, 0.95])).astype(np.int32)
        allowed = AllowedItems.of(passing, 500) if seed % 2 else None
        k = int(rng.integers(1, 200))
        if seed % 5 == 0:
            with pytest.raises(IndexError):
                scan.top_k([*asked, ScanQuery(asked[0].vector, asked[0].events, indices(1, 500))], k)
        assert_equal(scan.top_k(asked, k, allowed), catalogue.scan().top_k(asked, k, allowed))


@pytest.fixture
def hurried_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hurried_threads")
@pytest.mark.parametrize("n_lists", [0, 20])
def test_callers_in_several_threads_get_their_own_answers(n_lists: int) -> None:
    catalogue = random_catalogue(28, 2_000, n_lists=n_lists, n_probes=5)
    scan = catalogue.scan()
    questions = [random_people(seed, catalogue, 1 + seed % 3) for seed in range(200)]
    expected = [scan.top_k(asked, 10) for asked in questions]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda asked: scan.top_k(asked, 10), questions))
    for one, other in zip(found, expected, strict=True):
        assert_equal(one, other)


def test_catalogue_that_is_let_go_gives_back_the_memory_of_its_searches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a service would keep some of each bundle that it ever served."""
    given_back = []
    free = models.scan._kernel.free_workspace

    def counted(address: int) -> None:
        given_back.append(address)
        free(address)

    monkeypatch.setattr(models.scan._kernel, "free_workspace", counted)
    catalogue = random_catalogue(29, 100)
    scan = catalogue.scan()
    for _ in range(3):
        scan.top_k(random_people(0, catalogue, 2), 5)
    assert not given_back
    del scan
    assert len(given_back) == 1
