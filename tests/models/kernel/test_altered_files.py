"""A bundle whose files are changed in place, or that says nonsense: the kernel reads and writes within its arrays."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from models.index import AllowedItems
from models.scan import ScanQuery, available_kernels
from tests.models.catalogues import Catalogue, events_of, random_catalogue
from tests.models.kernel.asking import Question, ask, build, random_questions

N_CATALOGUES = 30
OK, ROW_OUT_OF_RANGE, CATALOGUE_CHANGED = 0, 1, 4
"""Outcomes in kernel/layout.h."""


@pytest.fixture(scope="session")
def watched_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ends at the first step out of an array, or into what C leaves undefined."""
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    sanitizers = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    return build(tmp_path_factory.mktemp("watched") / "ask", "gcc", "-O1", "-g", *sanitizers)


def spoilt(rng: np.random.Generator, array: npt.NDArray[Any], share: float) -> npt.NDArray[Any]:
    """Some of its bytes are any bytes: other items, numbers that are none, weights of any size."""
    copy = np.ascontiguousarray(array).copy()
    flat = copy.reshape(-1).view(np.uint8)
    places = np.flatnonzero(rng.random(flat.size) < share)
    flat[places] = rng.integers(0, 256, len(places))
    return copy


def altered(rng: np.random.Generator, catalogue: Catalogue) -> Catalogue:
    """Every file that is mapped while it is searched; offsets of lists are copied at the start and cannot change."""
    files: dict[str, Any] = {
        name: spoilt(rng, getattr(catalogue.index, name), 0.05)
        for name in ("item_blocks", "block_scales", "centroid_blocks", "centroid_scales")
    }
    of_term: dict[str, Any] = {
        name: spoilt(rng, getattr(catalogue.cooccurrence, name), 0.05)
        for name in ("neighbour_items", "neighbour_weights", "neighbour_scales")
    }
    index = dataclasses.replace(catalogue.index, **files)
    term = dataclasses.replace(catalogue.cooccurrence, **of_term)
    return Catalogue(index, spoilt(rng, catalogue.item_vectors, 0.05), term)


@pytest.mark.parametrize("kernel", available_kernels())
def test_kernel_stays_in_its_arrays_whatever_is_asked(watched_program: Path, kernel: str) -> None:
    for seed in range(N_CATALOGUES):
        catalogue, questions = random_questions(seed)
        answers = ask([watched_program], kernel, catalogue, *questions)
        assert [each.outcome for each in answers] == [OK] * len(questions)


@pytest.mark.parametrize("kernel", available_kernels())
def test_kernel_stays_in_its_arrays_whatever_was_written_into_the_files(
    watched_program: Path, kernel: str
) -> None:
    outcomes = set()
    for seed in range(N_CATALOGUES):
        catalogue, questions = random_questions(seed)
        changed = altered(np.random.default_rng(seed), catalogue)
        outcomes |= {each.outcome for each in ask([watched_program], kernel, changed, *questions)}
    assert outcomes == {OK, CATALOGUE_CHANGED}


@pytest.mark.parametrize("place", ["events", "seen", "excluded", "listed"])
@pytest.mark.parametrize("wrong", [-1, 300, 2**31 - 1, -(2**31)])
def test_item_of_a_question_is_checked_before_it_is_followed(
    watched_program: Path, place: str, wrong: int
) -> None:
    catalogue = random_catalogue(0, 300)
    items, vector = np.array([0, wrong], np.int32), np.ones(16, np.float32)
    asked = {
        "events": ScanQuery(vector, events_of(0, min(wrong, 2**31 - 2))),
        "seen": ScanQuery(vector, events_of(), seen=items),
        "excluded": ScanQuery(vector, events_of(), excluded=items),
        "listed": ScanQuery(vector, events_of()),
    }[place]
    allowed = AllowedItems(2, items, None) if place == "listed" else None
    (answer,) = ask([watched_program], "best", catalogue, Question([asked], 3, allowed))
    assert answer.outcome == ROW_OUT_OF_RANGE


@pytest.mark.parametrize("listed", [[3, 2], [3, 3], [0, 5, 4, 6]])
def test_list_of_a_filter_that_does_not_rise_is_refused(watched_program: Path, listed: list[int]) -> None:
    """An item would be found twice, or one beyond the catalogue lie between two that are in it."""
    catalogue = random_catalogue(0, 300)
    asked = ScanQuery(np.ones(16, np.float32), events_of())
    allowed = AllowedItems(len(listed), np.array(listed, np.int32), None)
    (answer,) = ask([watched_program], "best", catalogue, Question([asked], 3, allowed))
    assert answer.outcome == ROW_OUT_OF_RANGE
