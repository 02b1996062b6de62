"""From an item's title and text to a dense vector: one function, used by training and by the service.

Training fits the terms and their projection (training/student/text_vectors.py) and then takes the catalogue's own
vectors from `TextEncoder.encode`; a service takes those of an item that was added today from the same. So the
place that the student learned for a text is the place that a new item with this text gets.
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
    """What is read of an item: its text, which begins with its title, said once."""
    if text.startswith(title):
        return text
    return f"{title}. {text}" if text else title


def terms_of(text: str) -> list[str]:
    """The words of a text, then its pairs of neighbouring words ("red vase"), repeats included.

    Characters are brought to one form first (Unicode NFKC, then case folding), so that É is é, and é is e with an
    accent after it. What lies between words, single letters too, is passed over: the neighbours in "2 x red vase"
    are red and vase. A script that puts no spaces between words gives each run of it as one word.
    """
    words = WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return words + [f"{one} {other}" for one, other in pairwise(words)]


@dataclass(frozen=True)
class TextEncoder:
    """TF-IDF with sublinear counts, projected to few components and scaled to length 1 (latent semantic analysis).

    terms: what the encoder knows. projection: (n_terms, n_components) int8, and scales: (n_terms,) float32; term t
    adds (1 + log count) * scales[t] * projection[t] to a text's vector. The scales carry the idf, and the length of
    the TF-IDF vector itself needs no mention, as it cancels in the length of the result.
    """

    terms: Vocabulary
    projection: npt.NDArray[np.int8]
    scales: Floats

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[np.generic]]) -> TextEncoder:
        """Read back what `arrays()` gave, without copying it."""
        return TextEncoder(
            Vocabulary.from_arrays(arrays, "text_terms"),
            np.asarray(arrays["text_projection"], np.int8),
            np.asarray(arrays["text_scales"], np.float32),
        )

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """The encoder as named arrays, ready for a bundle."""
        return {
            **self.terms.arrays("text_terms"),
            "text_projection": self.projection,
            "text_scales": self.scales,
        }

    @property
    def n_components(self) -> int:
        """Length of a text vector."""
        return int(self.projection.shape[1])

    def encode(self, texts: Sequence[str]) -> Floats:
        """Vectors of length 1, zeros for a text without a known term; (n_texts, n_components).

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
