"""What is known of items beside their fields: by item, as terms of their texts, and in a bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.attributes import N_BUCKETS, ItemAttributes, Numbers, Words, edges_of
from models.bundles.bundle import read_bundle
from models.text import TextEncoder, terms_of, with_terms, without_terms
from tests.support.bundles import tiny_attributes


def test_every_value_is_a_term_of_its_item() -> None:
    attributes = tiny_attributes()
    assert attributes.terms(1) == ["material=oak", "material=oak", "weight=~0", "organic=yes"]
    assert attributes.terms(0) == ["material=glass", "organic=no"]  # its weight is unknown


def test_numbers_fall_into_buckets_with_as_many_values() -> None:
    numbers = np.arange(80, dtype=np.float32)
    weight = Numbers(numbers, edges_of(numbers))
    buckets = [weight.terms(item)[0] for item in range(80)]
    assert [buckets.count(f"~{bucket}") for bucket in range(N_BUCKETS)] == [10] * N_BUCKETS
    assert buckets == sorted(buckets)


@pytest.mark.parametrize("numbers", [[], [np.nan], [3.0, 3.0]])
def test_numbers_that_do_not_differ_have_one_bucket(numbers: list[float]) -> None:
    assert len(edges_of(np.array(numbers, np.float32))) == 0


def test_items_can_be_taken_out_in_any_order() -> None:
    attributes = tiny_attributes()
    some = attributes.take(np.array([7, 0, 3]))
    assert [some.terms(row) for row in range(3)] == [attributes.terms(item) for item in (7, 0, 3)]
    assert some.n_items == 3


def test_a_bundle_has_the_attributes_that_were_written(bundle: Path) -> None:
    read = read_bundle(bundle).items.attributes
    assert read.entries() == tiny_attributes().entries()
    assert [read.terms(item) for item in range(40)] == [tiny_attributes().terms(item) for item in range(40)]


def test_a_manifest_says_of_how_many_items_an_attribute_is_known() -> None:
    material, weight, organic = tiny_attributes().entries()
    assert (material.kind, material.n_known, material.n_values) == ("words", 40, 3)
    assert (weight.kind, weight.n_known, weight.n_values) == ("number", 32, 32)
    assert (organic.kind, organic.n_known, organic.n_values) == ("flag", 40, 2)


def test_terms_stand_beside_the_words_of_a_text_as_they_are() -> None:
    text = with_terms("A red vase", ["brand=Old Oak", "path=Home > Rug"])
    assert terms_of(text) == [*terms_of("A red vase"), "brand=old oak", "path=home > rug"]
    assert without_terms(text) == "A red vase"


def test_a_text_cannot_pass_words_as_terms() -> None:
    text = with_terms("A vase\x1fbrand=acme", ["colour=red\x1fprice=low"])
    assert "brand=acme" not in terms_of(text)
    assert terms_of(text)[-1] == "colour=red price=low"


def test_two_items_that_share_only_an_attribute_have_something_in_common(bundle: Path) -> None:
    encoder: TextEncoder = read_bundle(bundle).text_encoder
    known = encoder.terms.id_of(0)
    assert np.any(encoder.encode([with_terms("", [known])]) != 0)


def test_a_catalogue_without_attributes_has_no_terms() -> None:
    nothing = ItemAttributes.none(3)
    assert (nothing.terms(2), nothing.arrays(), nothing.entries()) == ([], {}, ())


def test_an_attribute_can_be_left_out() -> None:
    rest = tiny_attributes().without("material")
    assert list(rest.by_name) == ["weight", "organic"]
    assert isinstance(tiny_attributes().by_name["material"], Words)
