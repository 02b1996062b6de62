"""Fit the text encoder: TF-IDF of the catalogue's texts, reduced by SVD (latent semantic analysis).

Item texts go in and a `TextEncoder` comes out; the student learns with the vectors that it makes of these texts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.extmath import randomized_svd

from models.index import quantize_rows
from models.text import TextEncoder, terms_of
from models.vocabulary import Vocabulary

MIN_ITEMS = 2
"""A term is kept if at least this many items have it: a term of one item says nothing about another item. On Online
Retail this leaves a third of the terms, and held-out items are placed as well as with all of them."""

N_ITERATIONS = 5
SMALLEST_SINGULAR_VALUE = 1e-4
"""A direction is dropped if its singular value is below this share of the largest: it is rounding. No text of the
catalogue points there, but a new text would that has only one of two words that always occurred together."""


def fit_text_encoder(texts: Sequence[str], n_components: int, *, n_features: int, seed: int) -> TextEncoder:
    """Learn terms, their idf and their projection from a catalogue's texts.

    n_components: length of a text vector; if the texts span fewer directions, the rest stays zero.
    n_features: the most terms that are kept, by frequency. If no two texts share a term, the encoder knows no term.
    """
    terms, idf, matrix = _tf_idf(texts, n_features)
    projection = np.zeros((len(terms), n_components), np.float32)
    rank = min(n_components, *matrix.shape)
    if rank:
        _, lengths, directions = randomized_svd(matrix, rank, n_iter=N_ITERATIONS, random_state=seed)
        directions[lengths < SMALLEST_SINGULAR_VALUE * lengths[0]] = 0
        projection[:, :rank] = directions.T * idf[:, None]
    return TextEncoder(Vocabulary.from_ids(terms), *quantize_rows(projection))


def _tf_idf(
    texts: Sequence[str], n_features: int
) -> tuple[list[str], npt.NDArray[np.float32], sparse.csr_matrix]:
    """Return the terms, their idf (n_terms,), and the items' TF-IDF rows of length 1 (n_items, n_terms)."""
    vectorizer = TfidfVectorizer(
        analyzer=terms_of, max_features=n_features, min_df=MIN_ITEMS, sublinear_tf=True, dtype=np.float32
    )
    try:
        matrix = sparse.csr_matrix(vectorizer.fit_transform(texts))
    except (
        ValueError
    ):  # no two texts share a term, or there are no texts: the shop's items are known by id alone
        return [], np.zeros(0, np.float32), sparse.csr_matrix(np.zeros((len(texts), 0), np.float32))
    return vectorizer.get_feature_names_out().tolist(), vectorizer.idf_, matrix
