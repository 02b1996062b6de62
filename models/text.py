"""Turns an item's title and text into a dense vector: one function, used by training and by the service.

Training fits the terms and their projection (training/student/text_vectors.py) and then takes the catalogue's own
vectors from `TextEncoder.encode`; a service encodes an item that was added today by the same function. So a new item
gets the place that the student learned for its text.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from models.vocabulary import Vocabulary, id_key

WORD = re.compile(r"\w\w+")
"""Two or more letters, digits or underscores of any script; a single one says too little."""

Floats = npt.NDArray[np.float32]


def item_text(title: str, text: str) -> str:
    """Return the text that is read of an item: it begins with the title, which is not repeated."""
    if text.startswith(title):
        return text
    return f"{title}. {text}" if text else title


def terms_of(text: str) -> list[str]:
    """Return the words of a text, then its pairs of neighbouring words ("red vase"), repeats included.

    Characters are normalised first (Unicode NFKC, then case folding), so that É is é, and é is e with a combining
    accent. What lies between words, single letters too, is skipped: the neighbours in "2 x red vase" are red and
    vase. In a script without spaces between words, each run of it is one word.
    """
    words = WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return words + [f"{one} {other}" for one, other in pairwise(words)]


@dataclass(frozen=True)
class TextEncoder:
    """TF-IDF with sublinear counts, projected to few components and scaled to length 1 (latent semantic analysis).

    terms: the known terms. projection: (n_terms, n_components) int8, and scales: (n_terms,) float32; term t adds
    (1 + log count) * scales[t] * projection[t] to a text's vector. The scales contain the idf. The length of the
    TF-IDF vector is not needed, since it cancels in the length of the result.
    """

    terms: Vocabulary
    projection: npt.NDArray[np.int8]
    scales: Floats

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[np.generic]]) -> TextEncoder:
        """Read what `arrays()` returned, without copying it."""
        return TextEncoder(
            Vocabulary.from_arrays(arrays, "text_terms"),
            np.asarray(arrays["text_projection"], np.int8),
            np.asarray(arrays["text_scales"], np.float32),
        )

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return the encoder as named arrays, ready for a bundle."""
        return {
            **self.terms.arrays("text_terms"),
            "text_projection": self.projection,
            "text_scales": self.scales,
        }

    @property
    def n_components(self) -> int:
        """The length of a text vector."""
        return int(self.projection.shape[1])

    def encode(self, texts: Sequence[str]) -> Floats:
        """Encode texts to vectors of length 1, or zeros without a known term; (n_texts, n_components).

        A text has the same vector alone and among others.
        """
        vectors = np.zeros((len(texts), self.n_components), np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self._vector(text)
        return vectors

    def _vector(self, text: str) -> Floats:
        counts = Counter(terms_of(text))
        keys = np.fromiter(map(id_key, counts), np.uint64, len(counts))
        rows = self.terms.indices_of_keys(keys)
        is_known = rows >= 0
        known = rows[is_known]
        n_times = np.fromiter(counts.values(), np.float32, len(counts))[is_known]
        weights = (1 + np.log(n_times)) * self.scales[known]
        vector = weights @ self.projection[known].astype(np.float32)
        length = np.linalg.norm(vector)
        return np.asarray(vector / length if length > 0 else vector, np.float32)
