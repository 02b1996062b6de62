"""Texts to vectors: what counts as a term, and that a text's place depends on nothing but its terms."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bundles.bundle import read_bundle, write_bundle
from models.bundles.golden import record_golden, replay_golden
from models.history import History
from models.student import Student
from models.text import TextEncoder, item_text, terms_of, with_terms
from models.vocabulary import Vocabulary
from tests.support.bundles import tiny_contents, tiny_text_encoder

ENCODER = tiny_text_encoder()


def one_hot(*blocks: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.eye(4, dtype=np.float32)[list(blocks)].sum(axis=0)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Red VASE", ["red", "vase", "red vase"]),
        ("vase vase", ["vase", "vase", "vase vase"]),
        ("2 x red, a vase!", ["red", "vase", "red vase"]),
        ("T-LIGHT 12cm", ["light", "12cm", "light 12cm"]),
        ("GRÖSSE größe", ["grösse", "grösse", "grösse grösse"]),
        ("cafe\u0301", ["caf\u00e9"]),
        ("ｔｅａ ﬁnest", ["tea", "finest", "tea finest"]),
        ("чай 茶碗", ["чай", "茶碗", "чай 茶碗"]),
        ("a 1 -", []),
        ("", []),
    ],
    ids=["pair", "repeat", "short ones", "digits", "case", "accent", "widths", "scripts", "none", "empty"],
)
def test_terms_are_words_and_pairs_of_neighbours(text: str, terms: list[str]) -> None:
    assert terms_of(text) == terms


@given(st.text())
def test_every_term_of_any_text_is_a_word_or_a_pair_of_its_words(text: str) -> None:
    terms = [tuple(term.split(" ")) for term in terms_of(with_terms(f"  {text}\t!", []))]
    words = [word for term in terms if len(term) == 1 for word in term]
    assert terms == [*((word,) for word in words), *pairwise(words)]
    assert all(
        len(word) > 1 or ord(word) >= 0xE00 for word in words
    )  # a sign of a script without spaces says enough


@pytest.mark.parametrize(
    ("title", "text", "expected"),
    [
        ("Red vase", "", "Red vase"),
        ("", "made of glass", "made of glass"),
        ("Red vase", "made of glass", "Red vase. made of glass"),
        ("Red vase", "Red vase. made of glass", "Red vase. made of glass"),
        ("", "", ""),
    ],
)
def test_text_of_an_item_begins_with_its_title_said_once(title: str, text: str, expected: str) -> None:
    assert item_text(title, text) == expected


def test_known_words_place_a_text_and_unknown_ones_do_not_move_it() -> None:
    found = ENCODER.encode(["block1", "a lantern of BLOCK1, new", "block1 and block3"])
    np.testing.assert_allclose(found, [one_hot(1), one_hot(1), one_hot(1, 3) / np.sqrt(2)], rtol=1e-6)
    assert (found.shape, str(found.dtype)) == ((3, 4), "float32")


def test_word_said_more_often_weighs_more_by_its_logarithm() -> None:
    found = ENCODER.encode(["block1 block1 block1 block2"])[0]
    assert found[1] / found[2] == pytest.approx(1 + np.log(3))


@pytest.mark.parametrize("text", ["", "lantern", "b l o c k", "block1block2", "\ud800"])
def test_text_without_a_known_word_has_no_direction(text: str) -> None:
    np.testing.assert_array_equal(ENCODER.encode([text]), np.zeros((1, 4), np.float32))


def test_encoder_that_knows_no_term_has_vectors_of_zeros() -> None:
    nothing = TextEncoder(Vocabulary.from_ids([]), np.zeros((0, 3), np.int8), np.zeros(0, np.float32))
    np.testing.assert_array_equal(nothing.encode(["block1", ""]), np.zeros((2, 3)))


def test_no_texts_have_no_vectors() -> None:
    assert ENCODER.encode([]).shape == (0, 4)


def random_encoder(n_terms: int, n_components: int) -> TextEncoder:
    rng = np.random.default_rng(0)
    return TextEncoder(
        Vocabulary.from_ids([f"word{term}" for term in range(n_terms)]),
        rng.integers(-127, 128, (n_terms, n_components)).astype(np.int8),
        rng.uniform(0.001, 0.1, n_terms).astype(np.float32),
    )


@given(st.lists(st.lists(st.integers(0, 120)), max_size=8))
def test_text_among_others_has_exactly_the_vector_that_it_has_alone(texts_of_words: list[list[int]]) -> None:
    encoder = random_encoder(100, 16)
    texts = [" ".join(f"word{word}" for word in words) for words in texts_of_words]
    together = encoder.encode(texts)
    for row, text in enumerate(texts):
        np.testing.assert_array_equal(together[row], encoder.encode([text])[0])
    lengths = np.linalg.norm(together, axis=1)
    assert np.all(np.isclose(lengths, 1, atol=1e-6) | (lengths == 0))


def test_bundle_gives_the_encoder_back(tmp_path: Path) -> None:
    texts = ["A vase of block1", "block2 block3", "nothing"]
    read = read_bundle(write_bundle(tmp_path, tiny_contents())).text_encoder
    np.testing.assert_array_equal(read.encode(texts), ENCODER.encode(texts))
    assert read.terms.ids_of(range(4)) == ["block0", "block1", "block2", "block3"]


def test_bundle_of_a_shop_without_texts_is_whole(tmp_path: Path) -> None:
    contents = tiny_contents()
    knows_nothing = TextEncoder(Vocabulary.from_ids([]), np.zeros((0, 4), np.int8), np.zeros(0, np.float32))
    golden = record_golden(Student(contents.student), knows_nothing, [History.empty()], ["Item 1"])
    textless = dataclasses.replace(contents, text_encoder=knows_nothing, golden=golden)
    bundle = read_bundle(write_bundle(tmp_path, textless))
    assert not bundle.text_encoder.encode(["block1"]).any()
    replay_golden(bundle.load_student(), bundle.text_encoder, bundle.golden)
