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
from typing import Final

import numpy as np
import numpy.typing as npt

from models.vocabulary import Vocabulary, id_key

_MARKS = "".join(
    chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code)).startswith("M")
)
"""Combining marks, which Python's \\w leaves out: vowels of Thai and Hindi are such marks."""
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003134f"
)
"""Scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana and Chinese characters."""
_UNWRITTEN = re.compile(
    "[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed\u200b-\u200f\ufeff]"
)
"""Signs that Hebrew and Arabic may write or leave out, and characters without width."""
_PART = re.compile(
    f"(?P<run>[{_UNSPACED}][{_UNSPACED}{_MARKS}]*)|(?P<word>(?:(?![{_UNSPACED}])[\\w{_MARKS}])+)"
)
_SPECIAL = re.compile(f"[{_UNSPACED}{_MARKS}]")
_WORD = re.compile(r"\w\w+")
_CLUSTER = re.compile(f"[^{_MARKS}][{_MARKS}]*")
"""A character with the marks on it."""
N_GRAM = 2
"""Characters of a piece of a run in a script without spaces; most words of Chinese and Japanese have two."""

TERM_MARK: Final = "\x1f"
"""The unit separator: it ends the words of a text, and stands before each term that is read as it is."""

Floats = npt.NDArray[np.float32]


def with_terms(text: str, terms: Sequence[str]) -> str:
    """Return a text that is read with these terms beside its words, each as one term: `brand=acme`."""
    return TERM_MARK.join((text.replace(TERM_MARK, " "), *(term.replace(TERM_MARK, " ") for term in terms)))


def without_terms(text: str) -> str:
    """Return a text as it was before `with_terms`."""
    return text.partition(TERM_MARK)[0]


def item_text(title: str, text: str) -> str:
    """Return the text that is read of an item: it begins with the title, which is not repeated."""
    if text.startswith(title):
        return text
    return f"{title}. {text}" if text else title


def terms_of(text: str) -> list[str]:
    """Return the words of a text, then its pairs of neighbouring words ("red vase"), repeats included.

    Characters are normalised first, so that titles which a reader would call alike are alike: É is é, and é is e with
    a combining accent; İ, I and ı are i; vowel signs of Hebrew and Arabic do not count. What lies between words,
    single letters too, is skipped: the neighbours in "2 x red vase" are red and vase. In a script without spaces
    between words, each two neighbouring characters of a run are a word. Terms of `with_terms` come last.
    """
    told, *terms = text.split(TERM_MARK)
    plain = folded(told)
    if _SPECIAL.search(plain) is None:
        words = _WORD.findall(plain)  # a fifth of the time, and most titles are such
    else:
        words = [word for part in _PART.finditer(plain) for word in _words_of_part(part)]
    return words + [f"{one} {other}" for one, other in pairwise(words)] + [folded(term) for term in terms]


def folded(text: str) -> str:
    """Normalise a text to be compared: Unicode NFKC, then case folding, with the i of Turkish as any other."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _UNWRITTEN.sub("", plain.replace("i\u0307", "i").replace("ı", "i"))


def _words_of_part(part: re.Match[str]) -> list[str]:
    if part["word"] is not None:
        return [part["word"]] if len(part["word"]) > 1 else []
    clusters = _CLUSTER.findall(part["run"])
    if len(clusters) <= N_GRAM:
        return ["".join(clusters)]
    return ["".join(clusters[place : place + N_GRAM]) for place in range(len(clusters) - N_GRAM + 1)]


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
