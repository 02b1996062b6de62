"""Numbered ids: the vocabulary that `Vocabulary.from_ids` would make of them."""

from __future__ import annotations

import numpy as np
import pytest

from models.vocabulary import Vocabulary
from training.scale import ids
from training.scale.ids import numbered_ids


@pytest.mark.parametrize("at_once", [1, 7, 100_000])
def test_numbered_ids_are_the_vocabulary_of_their_texts(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(ids, "IDS_AT_ONCE", at_once)
    numbers = np.random.default_rng(0).permutation(100)
    expected = Vocabulary.from_ids([f"u{number:03d}" for number in numbers]).arrays("ids")
    for name, array in numbered_ids("u", 3, numbers).arrays("ids").items():
        np.testing.assert_array_equal(array, expected[name], strict=True)


def test_number_with_too_many_digits_is_refused() -> None:
    assert len(numbered_ids("u", 2, np.array([99]))) == 1
    with pytest.raises(ValueError, match="number 100 of 'u' ids has more than 2 digits"):
        numbered_ids("u", 2, np.array([0, 100]))
