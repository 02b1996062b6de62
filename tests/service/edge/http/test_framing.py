"""The end of a head or message is found wherever its bytes are cut."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import httptools
from hypothesis import example, given
from hypothesis import strategies as st

from service.edge.http.framing import CHUNKED, EmptyLine, body_bytes, head_without_upgrade


def stops(pieces: list[bytes], at_most: int = 10**6) -> Iterator[int]:
    """Where reading stops, counted from the first byte."""
    empty_line, done = EmptyLine(), 0
    for piece in pieces:
        while piece:
            n_bytes = empty_line.pieces_end(piece, at_most)
            assert 0 < n_bytes <= min(len(piece), at_most)
            done, piece = done + n_bytes, piece[n_bytes:]
            yield done


@given(
    st.lists(st.sampled_from([b"\r\n\r\n", b"\r\n", b"\r", b"\n", b"a", b"0\r\n\r\n"]), max_size=12).map(
        b"".join
    ),
    st.lists(st.integers(0, 40), max_size=6),
    st.integers(1, 50),
)
@example(b"a\r\n\r\n\r\nb", [3], 50)
def test_reading_stops_at_every_end_that_is_not_within_line_breaks(
    data: bytes, cuts: list[int], at_most: int
) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]
    stopped = set(stops(pieces, at_most))
    ends = {at + 4 for at in range(len(data)) if data[at : at + 4] == b"\r\n\r\n"}
    after_text = {end for end in ends if data[end - 5 : end - 4] not in (b"\r", b"\n")}
    assert after_text <= stopped


def test_length_of_a_body_is_what_the_head_says() -> None:
    assert body_bytes([(b"host", b"x")]) == 0
    assert body_bytes([(b"content-length", b"52")]) == 52
    assert body_bytes([(b"transfer-encoding", b"chunked")]) == CHUNKED


class Seen:
    """What llhttp makes of a head."""

    def __init__(self, raw: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(raw)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.is_complete = True


def test_offer_to_upgrade_is_left_out_and_nothing_else() -> None:
    headers = [
        (b"connection", b"Upgrade, keep-alive, HTTP2-Settings"),
        (b"upgrade", b"h2c"),
        (b"http2-settings", b"AAMAAABkAAQAoAAA"),
        (b"x-mark", b"upgrade"),
        (b"connection", b"upgrade"),
    ]
    seen = Seen(head_without_upgrade(b"POST", b"/recommend?a=b", b"1.1", headers))
    assert seen.is_complete
    assert not seen.parser.should_upgrade()
    assert seen.headers == [(b"connection", b"keep-alive"), (b"x-mark", b"upgrade")]
