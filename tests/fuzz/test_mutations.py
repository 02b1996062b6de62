"""Mutations keep to their bounds, and the same seed draws the same."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutations import BYTEWISE, MAX_BYTES, in_pieces, mutated, smaller
from tests.fuzz.replies import draw_reply
from tests.fuzz.requests import HEADWISE, draw_raw, post

SEEDS = st.integers(0, 2**32)


@given(st.binary(max_size=2000), SEEDS)
def test_pieces_are_the_whole_and_none_is_empty(data: bytes, seed: int) -> None:
    pieces = in_pieces(data, Random(seed))
    assert b"".join(pieces) == data
    assert all(pieces) or not data


@given(st.binary(min_size=1, max_size=200), SEEDS)
def test_mutated_is_bounded_and_decided_by_the_seed(data: bytes, seed: int) -> None:
    changed = mutated(data, Random(seed))
    assert len(changed) <= MAX_BYTES
    assert changed == mutated(data, Random(seed))


@given(st.binary(min_size=1, max_size=60))
def test_everything_that_could_be_left_out_is_tried_and_always_something_is(data: bytes) -> None:
    candidates = smaller(data)
    assert all(len(candidate) < len(data) for candidate in candidates)
    assert {data[:at] + data[at + 1 :] for at in range(len(data))} <= set(candidates)


def test_each_mutation_of_heads_changes_the_head_alone() -> None:
    request = post("/recommend", b'{"user_id": "user-1"}', b"accept: */*")
    for mutation in HEADWISE:
        changed = {mutation(request, Random(seed)) for seed in range(30)}
        assert len(changed) > 3
        assert all(each.endswith(b'{"user_id": "user-1"}') for each in changed)


def test_each_mutation_of_bytes_changes_something() -> None:
    for mutation in BYTEWISE:
        assert len({mutation(b"0123456789", Random(seed)) for seed in range(30)}) > 3


def test_requests_range_from_valid_to_noise_and_are_decided_by_the_seed() -> None:
    drawn = [draw_raw(Random(seed), seed) for seed in range(400)]
    assert drawn == [draw_raw(Random(seed), seed) for seed in range(400)]
    assert all(data.startswith(b"POST /recommend HTTP/1.1\r\n") for data, n_valid in drawn if n_valid)
    assert 20 < sum(n_valid > 0 for _, n_valid in drawn) < 120
    assert 100 < sum(data.startswith(b"POST /") for data, _ in drawn) < 390
    assert any(b"\r\ntransfer-encoding: chunked\r\n" in data for data, _ in drawn)


def test_replies_range_from_right_ones_to_huge_ones_and_are_decided_by_the_seed() -> None:
    drawn = [draw_reply(Random(seed)).data for seed in range(1000)]
    assert drawn == [draw_reply(Random(seed)).data for seed in range(1000)]
    assert any(data.startswith(b"*3\r\n$") for data in drawn)
    assert any(data.startswith(b"*999999999\r\n") for data in drawn)
    assert any(data.startswith(b">") for data in drawn)
