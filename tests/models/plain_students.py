"""Students with random vectors and no boosts, in either precision, and questions to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from models.cooccurrence import Boosts
from models.index import AllowedItems
from models.scan import Ranked, ScanQuery
from models.student import Floats, Student, StudentFiles
from tests.models.catalogues import NO_EVENTS, indices
from tests.support.bundles import (
    tiny_items,
    tiny_student,
    with_item_vectors,
)

Indices = npt.NDArray[np.int32]
PRECISIONS = ["fp32", "int8"]
N_ITEMS, N_FACTORS = 500, 16


def files_of(item_vectors: Floats, precision: str) -> StudentFiles:
    """A mean-pooling student with these answer vectors and no boosts."""
    n_items, n_factors = item_vectors.shape
    return with_item_vectors(tiny_student(tiny_items(n_items, n_factors), precision, n_factors), item_vectors)


def top_k(
    student: Student,
    user_vectors: Floats,
    k: int,
    *,
    blocked: Sequence[Indices] | None = None,
    allowed: AllowedItems | None = None,
) -> Ranked:
    """The best of people whose events add nothing. blocked: what each of them has seen."""
    seen = [indices()] * len(user_vectors) if blocked is None else blocked
    asked = [ScanQuery(vector, NO_EVENTS, items) for vector, items in zip(user_vectors, seen, strict=True)]
    return student.top_k(asked, k, allowed=allowed)


def score_items(student: Student, user_vectors: Floats, item_indices: Any) -> Floats:
    """Scores of chosen items for people whose events add nothing."""
    return student.score_items(user_vectors, Boosts.none(len(user_vectors)), item_indices)


def random_vectors(n_rows: int, seed: int) -> Floats:
    """Normal numbers that float16 holds exactly, so both precisions can give the same scores."""
    return np.random.default_rng(seed).normal(size=(n_rows, N_FACTORS)).astype(np.float16).astype(np.float32)


ITEM_VECTORS = random_vectors(N_ITEMS, 0)
STUDENTS = {precision: Student(files_of(ITEM_VECTORS, precision)) for precision in PRECISIONS}
each_student = pytest.mark.parametrize("student", STUDENTS.values(), ids=STUDENTS)
