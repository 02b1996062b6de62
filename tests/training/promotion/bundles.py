"""Bundles whose students are right, or wrong, about which block of items a person goes on with."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from models.bundles.bundle import write_bundle
from models.bundles.golden import record_golden
from models.student import Student
from tests.support.bundles import N_BLOCKS, TEXTS, tiny_contents, tiny_history, with_item_vectors


def block_bundle(store: Path, *, day: int = 1, is_right: bool = True, n_items: int = 40) -> str:
    """Of 12 people who know three items of their block each. A wrong student recommends the next block."""
    contents = tiny_contents(n_items=n_items)
    blocks = (contents.items.segments + (0 if is_right else 1)) % N_BLOCKS
    student = with_item_vectors(contents.student, np.eye(N_BLOCKS, dtype=np.float32)[blocks])
    golden = record_golden(Student(student), contents.text_encoder, [tiny_history(0)], TEXTS)
    written = dataclasses.replace(contents, student=student, golden=golden)
    return write_bundle(store, written, now=datetime(2024, 3, day, tzinfo=UTC)).name
