"""Words of every language, as teacher and student see them: titles that a reader would call alike are alike."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from models.text import terms_of
from training.members.content import text_matrix
from training.student.text_vectors import fit_text_encoder

ALIKE = {
    "Vietnamese": ("Ghế gỗ màu đỏ", unicodedata.normalize("NFD", "GHẾ GỖ MÀU ĐỎ")),
    "Chinese": ("红色 花瓶", "红色花瓶"),
    "Japanese": ("青い花瓶カップ", "青い花瓶ｶｯﾌﾟ"),
    "Thai": ("แจกันสีแดง", unicodedata.normalize("NFD", "แจกันสีแดง")),
    "Hindi": ("लाल फूलदान", unicodedata.normalize("NFD", "लाल फूलदान")),
    "Arabic": ("مزهرية حمراء", "مَزهَرِيّة حَمراء"),
    "Turkish": ("KIRMIZI İĞNE", "kırmızı iğne"),
    "German": ("Große Straße", "GROSSE STRASSE"),
    "Hebrew": ("שלום עולם", "שָׁלוֹם עוֹלָם"),
    "mixed": ("iPhone15 手机壳 Rouge", "IPHONE15手机壳 rouge"),
}
UNLIKE = {
    "Chinese": ("红色花瓶", "蓝色椅子"),
    "Japanese": ("青い花瓶", "赤い椅子"),
    "Thai": ("แจกันสีแดง", "เก้าอี้ไม้"),
    "Hindi": ("लाल फूलदान", "नीली कुर्सी"),
}


@pytest.mark.parametrize("language", ALIKE)
def test_titles_that_a_reader_would_call_alike_have_the_same_words(language: str) -> None:
    one, other = ALIKE[language]
    assert set(terms_of(one)) & set(terms_of(other))
    assert language == "Chinese" or terms_of(one) == terms_of(other)


@pytest.mark.parametrize("language", UNLIKE)
def test_titles_of_other_things_share_no_word(language: str) -> None:
    one, other = UNLIKE[language]
    assert terms_of(one)
    assert terms_of(other)
    assert not set(terms_of(one)) & set(terms_of(other)) - {"色"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("लाल फूलदान", ["लाल", "फूलदान", "लाल फूलदान"]),
        ("红色花瓶", ["红色", "色花", "花瓶", "红色 色花", "色花 花瓶"]),
        ("กันสี", ["กัน", "นสี", "กัน นสี"]),
        ("花", ["花"]),
        ("Ghế gỗ", ["ghế", "gỗ", "ghế gỗ"]),
        ("2 x red vase", ["red", "vase", "red vase"]),
    ],
)
def test_words_are_whole(text: str, words: list[str]) -> None:
    assert terms_of(text) == words


@pytest.mark.parametrize("language", ALIKE)
def test_teacher_and_student_both_see_that_they_are_alike(language: str) -> None:
    one, other = ALIKE[language]
    others = ["oak stool", "oak table", "glass lamp", "glass bowl", "wool rug", "wool scarf"]
    texts = [one, other, *others]
    of_teacher = text_matrix(texts, 1_000).toarray()
    assert of_teacher[0] @ of_teacher[1] > 0.4
    assert np.abs(of_teacher[0] @ of_teacher[2:].T).max() < 0.1
    encoder = fit_text_encoder(texts, 4, n_features=1_000, seed=0)
    of_student = encoder.encode(texts)
    assert of_student[0] @ of_student[1] > 0.9
