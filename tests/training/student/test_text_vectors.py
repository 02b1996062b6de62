"""The fitted encoder: what scikit-learn's own pipeline says, and what it says of texts that it was not fitted on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from models.text import item_text, terms_of
from training.data.read import read_shop
from training.generator.item_words import COLOURS, MATERIALS, NOUNS
from training.student.text_vectors import MIN_ITEMS, fit_text_encoder


def invented_texts(n_texts: int, seed: int) -> list[str]:
    """Like "Sage OAK lantern, a lantern for the sage": words repeat, in a text and among texts."""
    rng = np.random.default_rng(seed)
    drawn = zip(*(rng.choice(words, n_texts) for words in (COLOURS, MATERIALS, NOUNS)), strict=True)
    return [
        f"{colour.title()} {material.upper()} {noun}, a {noun} for the {colour}"
        for colour, material, noun in drawn
    ]


TEXTS, NEW_TEXTS = (
    invented_texts(400, 0),
    [*invented_texts(20, 1), "Sage lantern, unheard of", "sage sage oak"],
)


@pytest.mark.parametrize("n_components", [8, 64])
def test_encoding_is_tf_idf_svd_and_length_1_within_a_rounding(n_components: int) -> None:
    tf_idf = TfidfVectorizer(analyzer=terms_of, sublinear_tf=True, min_df=MIN_ITEMS, dtype=np.float32)
    svd = TruncatedSVD(n_components, random_state=0).fit(tf_idf.fit_transform(TEXTS))
    expected = normalize(svd.transform(tf_idf.transform(NEW_TEXTS)))
    found = fit_text_encoder(TEXTS, n_components, n_features=100_000, seed=0).encode(NEW_TEXTS)
    # Directions of the SVD may point either way, so all cosines are compared.
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=0.01)
    assert np.ptp(expected @ expected.T) > 0.9


def test_the_same_seed_fits_the_same_encoder() -> None:
    one, other = (fit_text_encoder(TEXTS, 8, n_features=1_000, seed=3) for _ in range(2))
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(other.arrays()[name], array)


def test_only_the_most_frequent_terms_are_kept() -> None:
    texts = ["red vase", "red vase", "red jar", "red jar", "red box"]
    encoder = fit_text_encoder(texts, 4, n_features=1, seed=0)
    assert encoder.terms.ids_of(range(len(encoder.terms))) == ["red"]


def test_term_of_one_item_alone_is_not_kept() -> None:
    encoder = fit_text_encoder(["red vase", "red jar", "tin jar"], 4, n_features=100, seed=0)
    assert sorted(encoder.terms.ids_of(range(len(encoder.terms)))) == ["jar", "red"]


def test_one_of_two_words_that_always_came_together_stands_for_both() -> None:
    texts = ["crimson teapot"] * 5 + ["azure lantern"] * 5
    pair, one, other = fit_text_encoder(texts, 8, n_features=100, seed=0).encode(
        ["crimson teapot", "crimson", "lantern"]
    )
    assert pair @ one > 0.999
    assert abs(one @ other) < 0.01


@pytest.mark.parametrize(
    "texts",
    [[], ["red vase"], ["", "", ""], ["red", "blue"], ["a", "b"]],
    ids=["no items", "one item", "empty", "nothing shared", "no words"],
)
def test_texts_that_share_no_term_give_an_encoder_that_knows_none(texts: list[str]) -> None:
    encoder = fit_text_encoder(texts, 4, n_features=100, seed=0)
    assert len(encoder.terms) == 0
    np.testing.assert_array_equal(encoder.encode(["red vase"]), np.zeros((1, 4)))


def test_catalogue_of_one_text_fills_one_direction() -> None:
    found = fit_text_encoder(["red vase"] * 3, 4, n_features=100, seed=0).encode(["red vase"])
    np.testing.assert_allclose(np.abs(found), [[1, 0, 0, 0]], atol=1e-6)


def test_a_new_items_text_is_put_together_as_the_catalogues_were(tmp_path: Path) -> None:
    rows = [("Red vase", "made of glass"), ("Red vase", "Red vase, large"), ("Red vase", ""), ("Red", "Red")]
    items = pl.DataFrame(rows, schema=["title", "text"], orient="row").with_row_index("item_id")
    items.with_columns(pl.col("item_id").cast(pl.String)).write_parquet(tmp_path / "items.parquet")
    pl.DataFrame({"user_id": ["u"] * 4, "item_id": ["0", "1", "2", "3"], "time": [1, 2, 3, 4]}).write_parquet(
        tmp_path / "interactions.parquet"
    )
    read = read_shop(tmp_path).items.sort("item_id")["text"].to_list()
    assert [item_text(title, text) for title, text in rows] == read
