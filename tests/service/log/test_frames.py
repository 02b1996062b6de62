"""Records in a file: what a crash left half-written is passed over, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.log.frames import MARK, MAX_PAYLOAD_BYTES, frame, read_frames


def payloads_of(data: bytes) -> list[bytes]:
    """Of all whole frames."""
    return [payload for payload, _ in read_frames(data)]


@given(st.lists(st.binary(max_size=50) | st.just(MARK * 3), max_size=5), st.integers(0, 100))
def test_whole_frames_are_read_back_and_a_torn_tail_is_not(payloads: list[bytes], n_cut: int) -> None:
    data = b"".join(map(frame, payloads)) + frame(b"the last one, with some length to it" * 3)[: -n_cut - 1]
    assert payloads_of(data) == payloads
    ends = [end for _, end in read_frames(data)]
    assert ends == [sum(len(frame(one)) for one in payloads[: n + 1]) for n in range(len(payloads))]


def test_damage_in_the_middle_loses_that_record_alone() -> None:
    data = bytearray(frame(b"first") + frame(b"second") + frame(b"third"))
    data[len(frame(b"first")) + 14] ^= 1
    assert payloads_of(bytes(data)) == [b"first", b"third"]


def test_record_that_could_not_be_read_back_is_refused() -> None:
    class Long(bytes):
        def __len__(self) -> int:
            return MAX_PAYLOAD_BYTES + 1

    with pytest.raises(ValueError, match="at most 67,108,864"):
        frame(Long())
