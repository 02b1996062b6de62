"""The closed loop against a small real server."""

from __future__ import annotations

from itertools import islice, repeat

from loadtest.bench.closed_loop import SAMPLE_EVERY, ClosedResult, run_closed_loop
from loadtest.bench.questions import post
from tests.loadtest.bench.serving import Answer, reply, serving

REQUEST = post("/recommend", b"{}")
MARK = b'"tier":"student"'
STUDENT, POPULAR = reply(b"{" + MARK + b"}"), reply(b'{"tier":"popular"}')


async def run(answer: Answer, n_requests: int = 500, n_connections: int = 4) -> ClosedResult:
    """As many requests as given, however long they take."""
    async with serving(answer) as port:
        requests = islice(repeat(REQUEST), n_requests)
        return await run_closed_loop(port, requests, 60.0, n_connections, MARK)


async def test_every_request_is_answered_and_timed() -> None:
    result = await run(lambda number: STUDENT)
    assert (result.n_replies, result.n_in_time, result.n_failed, result.n_unmarked) == (500, 500, 0, 0)
    assert len(result.latencies) == 500
    assert 0 < max(result.latencies) <= result.seconds


async def test_a_few_replies_are_kept_for_a_full_look() -> None:
    result = await run(lambda number: STUDENT)
    assert result.samples == [b"{" + MARK + b"}"] * len(range(0, 500, SAMPLE_EVERY))


async def test_refusals_count_as_failed_and_simpler_answers_as_unmarked() -> None:
    refused = reply(b"{}", "429 Too Many Requests")
    result = await run(
        lambda number: refused if number % 10 == 0 else POPULAR if number % 5 == 0 else STUDENT
    )
    assert (result.n_replies, result.n_failed, result.n_unmarked) == (500, 50, 50)


async def test_a_connection_that_breaks_is_one_failed_request() -> None:
    result = await run(lambda number: b"" if number == 100 else STUDENT)
    assert result.n_failed == 1
    assert result.n_replies == 499


async def test_a_server_that_hangs_up_on_everybody_ends_the_round() -> None:
    result = await run(lambda number: b"", n_connections=3)
    assert (result.n_replies, result.n_failed) == (0, 3)


async def test_time_ends_a_round_and_what_is_under_way_still_counts() -> None:
    async with serving(lambda number: STUDENT) as port:
        result = await run_closed_loop(port, repeat(REQUEST), 0.05, 4)
    assert result.seconds >= 0.05
    assert result.n_replies - result.n_in_time == 4
