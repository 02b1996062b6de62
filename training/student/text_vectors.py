"""Fit the text encoder: TF-IDF of the catalogue's texts, reduced by SVD (latent semantic analysis).

Item texts go in, a `TextEncoder` comes out; the vectors that the student learns with are what it makes of the texts.
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
"""Items that a term is in, at least: what one item alone says tells nothing about another. On Online Retail this
leaves a third of the terms and places held-out items as well as all of them do."""

N_ITERATIONS = 5
SMALLEST_SINGULAR_VALUE = 1e-4
"""Relative to the largest. Below it a direction is rounding: no text of the catalogue points there, but a new one
that has one of two words that always came together would."""


def fit_text_encoder(texts: Sequence[str], n_components: int, *, n_features: int, seed: int) -> TextEncoder:
    """Learn terms, their idf and their projection from a catalogue's texts.

    n_components: length of a text vector; where the texts span fewer directions the rest stays zero.
    n_features: terms kept, at most, the most frequent ones. Texts that share no term give an encoder that knows none.
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
    """Terms, idf (n_terms,), and rows of length 1 (n_items, n_terms)."""
    vectorizer = TfidfVectorizer(
        analyzer=terms_of, max_features=n_features, min_df=MIN_ITEMS, sublinear_tf=True, dtype=np.float32
    )
    try:
        matrix = sparse.csr_matrix(vectorizer.fit_transform(texts))
    except (
        ValueError
    ):  # no term is in two texts, or there is no text: a shop whose items are known by id alone
        return [], np.zeros(0, np.float32), sparse.csr_matrix(np.zeros((len(texts), 0), np.float32))
    return vectorizer.get_feature_names_out().tolist(), vectorizer.idf_, matrix
