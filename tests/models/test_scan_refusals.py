"""What the kernel cannot be asked is refused or answered with NaN, and the next answer is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.history import EncodedHistory
from models.index import AllowedItems
from models.scan import (
    ScanQuery,
)
from tests.models.catalogues import (
    NO_EVENTS,
    assert_equal,
    events_of,
    indices,
    random_catalogue,
    random_people,
    rows_of,
)

WRONG_QUESTIONS = {
    "event of row 0": {
        "events": EncodedHistory(
            indices(5, 0),
            np.zeros(2, np.float32),
            np.zeros(2, np.uint8),
            np.zeros(2, np.float32),
            np.zeros(2, np.float32),
        )
    },
    "event beyond": {"events": events_of(3, 300)},
    "negative event": {"events": events_of(3, -7)},
    "seen beyond": {"seen": indices(4, 300)},
    "negative seen": {"seen": indices(-1)},
    "excluded beyond": {"excluded": indices(2**31 - 1)},
    "negative excluded": {"excluded": indices(4, -300)},
}


@pytest.mark.parametrize("wrong", WRONG_QUESTIONS.values(), ids=WRONG_QUESTIONS)
@pytest.mark.parametrize("n_lists", [0, 6])
def test_item_that_does_not_exist_is_refused_and_the_next_answer_is_right(
    wrong: dict[str, Any], n_lists: int
) -> None:
    catalogue = random_catalogue(23, n_lists=n_lists, n_probes=6)
    scan, asked = catalogue.scan(), random_people(8, catalogue, 12)
    question: dict[str, Any] = {"events": events_of(1, 2), "seen": indices(5), "excluded": indices(6)} | wrong
    spoilt = ScanQuery(asked[0].vector, **question)
    for place in (0, 3, 10):
        with pytest.raises(IndexError, match="an item index is beyond the catalogue"):
            scan.top_k([*asked[:place], spoilt, *asked[place:]], 5)
        assert_equal(scan.top_k(asked, 30), catalogue.scan().top_k(asked, 30))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n_lists", [0, 6])
@pytest.mark.parametrize("is_filtered", [False, True])
def test_vector_that_is_not_finite_is_answered_with_nan_and_others_as_ever(
    value: float, n_lists: int, is_filtered: bool
) -> None:
    catalogue = random_catalogue(24, n_lists=n_lists, n_probes=2)
    scan, asked = catalogue.scan(), random_people(9, catalogue, 10)
    allowed = AllowedItems.of(np.arange(9, dtype=np.int32), 300) if is_filtered else None
    expected = scan.top_k(asked, 5, allowed)
    spoilt = asked[4].vector.copy()
    spoilt[3] = value
    ranked = scan.top_k([*asked[:4], ScanQuery(spoilt, asked[4].events), *asked[4:]], 5, allowed)
    assert ranked.item_indices[4].tolist() == [-1] * 5
    assert np.isnan(ranked.scores[4]).all()
    assert_equal(rows_of(ranked, slice(4)), rows_of(expected, slice(4)))
    assert_equal(rows_of(ranked, slice(5, None)), rows_of(expected, slice(4, None)))


@pytest.mark.parametrize("n_factors", [0, 15, 17, 64])
def test_vector_of_another_length_is_refused(n_factors: int) -> None:
    scan = random_catalogue(25).scan()
    with pytest.raises(ValueError, match="a user vector is not of the catalogue's 16 factors"):
        scan.top_k([ScanQuery(np.ones(n_factors, np.float32), NO_EVENTS)], 3)


@pytest.mark.parametrize("n_probes", [0, -1, 8])
def test_number_of_lists_that_cannot_be_looked_into_is_refused(n_probes: int) -> None:
    catalogue = random_catalogue(26, n_lists=7)
    with pytest.raises(ValueError, match=f"{n_probes} of 7 lists cannot be looked into, must be 1 to 7"):
        catalogue.scan().top_k(random_people(1, catalogue, 1), 3, n_probes=n_probes)
