"""Ids and rows: found by key, compared byte for byte, never guessed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models.vocabulary
from models.errors import StillroomError, UnknownId
from models.vocabulary import StringTable, Vocabulary, id_key

LONE_SURROGATE = "user-\ud800"

ids_of_a_shop = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12), unique=True, max_size=40
)


@pytest.mark.parametrize("text", ["", "a", "ΑΒΓ", "商品-7", "🛒", "nul\0inside", " spaced ", "x" * 256])
def test_id_of_any_script_is_found_at_its_row(text: str) -> None:
    vocabulary = Vocabulary.from_ids(["before", text, "after"])
    assert vocabulary.find(text) == 1
    assert vocabulary.id_of(1) == text


@given(ids_of_a_shop)
def test_ids_come_back_from_their_rows_and_rows_from_their_ids(ids: list[str]) -> None:
    vocabulary = Vocabulary.from_arrays(Vocabulary.from_ids(ids).arrays("ids"), "ids")
    assert vocabulary.ids_of(range(len(ids))) == ids
    assert [vocabulary.find(text) for text in ids] == list(range(len(ids)))


@given(ids_of_a_shop, ids_of_a_shop)
def test_only_ids_of_the_vocabulary_are_found(ids: list[str], asked: list[str]) -> None:
    vocabulary = Vocabulary.from_ids(ids)
    assert [vocabulary.find(text) is not None for text in asked] == [text in ids for text in asked]


def test_composed_and_decomposed_letters_are_different_ids() -> None:
    vocabulary = Vocabulary.from_ids(["caf\u00e9", "cafe\u0301"])
    assert (vocabulary.find("caf\u00e9"), vocabulary.find("cafe\u0301")) == (0, 1)


def test_duplicate_id_is_refused_by_name() -> None:
    with pytest.raises(StillroomError, match="'twice'"):
        Vocabulary.from_ids(["twice", "once", "twice"])


def test_two_ids_of_one_key_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.vocabulary, "id_key", lambda text: 7)
    with pytest.raises(StillroomError, match="share a key"):
        Vocabulary.from_ids(["a", "b"])


def test_stranger_whose_key_is_somebody_elses_is_not_taken_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.vocabulary, "id_key", lambda text: 7)
    assert Vocabulary.from_ids(["somebody"]).find("stranger") is None


def test_key_of_an_id_is_the_same_in_every_version() -> None:
    assert id_key("user-7") == 11_056_362_442_684_682_814


def test_lone_surrogate_is_an_unknown_id() -> None:
    assert Vocabulary.from_ids(["user-"]).find(LONE_SURROGATE) is None


def test_lone_surrogate_cannot_become_an_id() -> None:
    with pytest.raises(StillroomError, match="lone surrogate"):
        Vocabulary.from_ids([LONE_SURROGATE])


def test_unknown_id_is_raised_by_name() -> None:
    with pytest.raises(UnknownId, match="'nobody'"):
        Vocabulary.from_ids(["a", "b"]).indices_of(["a", "nobody"], unknown="raise")


def test_unknown_id_is_dropped() -> None:
    found = Vocabulary.from_ids(["a", "b"]).indices_of(["b", "nobody", "a"], unknown="drop")
    np.testing.assert_array_equal(found, np.array([1, 0], np.int32), strict=True)


def test_unknown_id_is_marked() -> None:
    found = Vocabulary.from_ids(["a", "b"]).indices_of(["b", "nobody", "a"], unknown="mark")
    np.testing.assert_array_equal(found, np.array([1, -1, 0], np.int32), strict=True)


def test_no_ids_give_no_rows() -> None:
    found = Vocabulary.from_ids(["a"]).indices_of([], unknown="raise")
    np.testing.assert_array_equal(found, np.zeros(0, np.int32), strict=True)


def test_empty_vocabulary_finds_nothing() -> None:
    empty = Vocabulary.from_ids([])
    assert len(empty) == 0
    assert empty.find("a") is None
    np.testing.assert_array_equal(empty.indices_of_keys(np.array([1, 2], np.uint64)), [-1, -1])


@pytest.mark.parametrize("row", [-1, 2])
def test_row_that_does_not_exist_has_no_id(row: int) -> None:
    with pytest.raises(IndexError):
        Vocabulary.from_ids(["a", "b"]).id_of(row)


def test_rows_are_found_by_key_and_minus_one_where_there_is_none() -> None:
    vocabulary = Vocabulary.from_ids(["a", "b", "c"])
    keys = np.array([id_key("c"), 0, id_key("a"), 2**64 - 1], np.uint64)
    np.testing.assert_array_equal(
        vocabulary.indices_of_keys(keys), np.array([2, -1, 0, -1], np.int32), strict=True
    )


@given(ids_of_a_shop)
def test_keys_by_index_are_the_keys_of_the_ids(ids: list[str]) -> None:
    assert Vocabulary.from_ids(ids).keys_by_index().tolist() == [id_key(text) for text in ids]


@pytest.mark.parametrize("other", [["b", "a"], ["a"], ["a", "b", ""], ["ab", ""], ["", "ab"]])
def test_other_ids_or_another_order_hash_otherwise(other: list[str]) -> None:
    assert Vocabulary.from_ids(other).sha256() != Vocabulary.from_ids(["a", "b"]).sha256()


def test_same_ids_hash_the_same_whatever_holds_the_arrays() -> None:
    vocabulary = Vocabulary.from_ids(["a", "b"])
    copies = {name: array.copy() for name, array in vocabulary.arrays("ids").items()}
    assert Vocabulary.from_arrays(copies, "ids").sha256() == vocabulary.sha256()


def test_arrays_are_shared_and_not_copied() -> None:
    arrays = Vocabulary.from_ids(["a", "b"]).arrays("ids")
    again = Vocabulary.from_arrays(arrays, "ids").arrays("ids")
    assert all(np.shares_memory(again[name], array) for name, array in arrays.items())


def test_title_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(StillroomError, match="lone surrogate"):
        StringTable.from_strings(["a teapot", LONE_SURROGATE])


def test_rows_are_found_by_the_highest_bits_of_keys_alone() -> None:
    vocabulary = Vocabulary.from_ids(["a", "b", "c"])
    kept = ~np.uint64(2**19 - 1)
    keys = np.array([id_key("c"), 0, id_key("a"), 2**64 - 1], np.uint64) & kept
    assert vocabulary.indices_of_keys(keys, n_bits=45).tolist() == [2, -1, 0, -1]
    assert vocabulary.indices_of_keys(keys).tolist() == [-1, -1, -1, -1]


def vocabulary_of_keys(keys: list[int], monkeypatch: pytest.MonkeyPatch) -> Vocabulary:
    """Ids "0", "1", … under these keys, found by guessing however few there are."""
    monkeypatch.setattr(
        models.vocabulary, "id_key", lambda text: keys[int(text)] if int(text) >= 0 else -int(text)
    )
    monkeypatch.setattr(models.vocabulary, "INTERPOLATED_FROM", 0)
    return Vocabulary.from_ids([str(number) for number in range(len(keys))])


SKEWS = {
    "even": lambda number: number * (2**64 // 5000),
    "crowded at the start": lambda number: number,
    "crowded at the end": lambda number: 2**64 - 1 - number,
    "in two heaps": lambda number: number if number % 2 else 2**63 + number,
    "bent": lambda number: number**4,
}


@pytest.mark.parametrize("skew", SKEWS)
def test_guess_of_where_a_key_stands_never_misses_it(skew: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [SKEWS[skew](number) for number in range(5000)]
    vocabulary = vocabulary_of_keys(keys, monkeypatch)
    assert [vocabulary.find(str(number)) for number in range(0, 5000, 7)] == list(range(0, 5000, 7))
    assert vocabulary.find(str(-(2**61))) is None


def test_ids_are_found_among_many_by_guessing() -> None:
    n_ids = models.vocabulary.INTERPOLATED_FROM + 1000
    vocabulary = Vocabulary.from_ids([f"user-{number}" for number in range(n_ids)])
    asked = range(0, n_ids, 97)
    assert [vocabulary.find(f"user-{number}") for number in asked] == list(asked)
    assert vocabulary.find("stranger") is None
