"""Item texts as dense vectors: TF-IDF reduced by SVD (latent semantic analysis)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import normalize

from training.members.content import text_matrix
from training.members.member import Floats


def text_vectors(texts: Sequence[str], n_components: int, *, n_features: int, seed: int) -> Floats:
    """Vectors of length 1, zeros for items without text; (n_items, n_components) float32."""
    matrix = text_matrix(texts, n_features)
    rank = min(n_components, min(matrix.shape) - 1)
    vectors = np.zeros((len(texts), n_components), np.float32)
    if rank > 0:
        vectors[:, :rank] = normalize(TruncatedSVD(rank, random_state=seed).fit_transform(matrix))
    return vectors
