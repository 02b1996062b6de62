"""What counts as an answer when it is looked at in full."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loadtest.bench.answers import look_at, overlap
from loadtest.bench.errors import BenchFailed

FULL = {"items": [{"item_id": "a"}, {"item_id": "b"}], "degraded": None}


def looked(*bodies: Any) -> tuple[int, int, int]:
    found = look_at([json.dumps(body).encode() for body in bodies], 2)
    return found.n_replies, found.n_short, found.n_degraded


def test_short_and_degraded_answers_are_told_from_full_ones() -> None:
    assert looked(FULL, FULL | {"items": [{"item_id": "a"}]}, FULL | {"degraded": "deadline"}) == (3, 1, 1)


def test_every_answer_of_a_batch_is_looked_at() -> None:
    assert looked({"replies": [FULL, FULL | {"items": []}]}) == (2, 1, 0)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"detail":"Not Found"}'])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(BenchFailed):
        look_at([body], 2)


def test_overlap_is_a_share_of_our_items() -> None:
    assert overlap(["a", "b", "c", "d"], ["d", "c", "x"]) == 0.5
    assert overlap([], []) == 1.0
