"""Make the bytes of every request before a round, so that the client only writes them.

Known people are drawn by a power law from a fixed 10,000. Fresh people, each requested once and never again, make the
rounds in which nothing about a person is cached anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, cycle, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from loadtest.bench.errors import BenchFailed

N_KNOWN_PEOPLE = 10_000
EXPONENT = 1.0
"""The person at rank r is requested in proportion to 1 / r, which is harder on a cache than most shops' 80/20."""

LIMIT = 20
BATCH_SIZE = 16
N_CONNECTIONS = 64
"""Number of connections of the closed loop: enough that the server never waits for the client."""

N_EXCLUDED = 500
N_SESSION_EVENTS = 10
RARE_CATEGORY = "one-percent"
"""A category that the generated catalogues have, with one item in a hundred."""

N_BODIES = 2_000
"""Number of bodies with many item ids that are made and then repeated: making one costs more than sending it."""


@dataclass(frozen=True)
class Scenario:
    """One kind of request.

    n_answers: recommendations in one reply. share: of the assumed day; all shares add up to 1. n_connections: of a
    closed loop.
    """

    name: str
    words: str
    share: float
    path: str = "/recommend"
    n_answers: int = 1
    is_fresh: bool = False
    n_connections: int = N_CONNECTIONS


PLAIN = "plain"
COLD_HISTORY = "cold_history"

SCENARIOS = (
    Scenario(PLAIN, "a person asked for before; 20 items", 0.60),
    Scenario("session_of_ten", "the same with ten events of this visit in the request", 0.20),
    Scenario(
        "missing_vector", "first asked for today: no vector in Redis, none in memory", 0.08, is_fresh=True
    ),
    Scenario("filter_one_percent", "a filter that one item in a hundred passes", 0.05),
    Scenario("exclusions_500", "500 items excluded by name", 0.03),
    Scenario(
        "batch_of_16",
        "/recommend/batch of sixteen people, an answer's share",
        0.02,
        "/recommend/batch",
        BATCH_SIZE,
        n_connections=8,  # as many as the lane of batches admits at once
    ),
    Scenario(COLD_HISTORY, "first asked for while there is no Redis: the bundle alone", 0.02, is_fresh=True),
)
"""The shares are an assumption, stated only here: most page views of a day are of people seen a moment ago, one in
five sends its visit along, and each person has a first request. Replace them with a shop's own.
"""


class Questions:
    """The requests of one shop.

    people: ids, of which the first 10,000 (at most half of all) are the known ones. items: ids by falling
    popularity. n_streams: number of streams of one kind, among which the fresh people are divided. Equal seeds make
    equal questions, but within a kind no fresh person comes twice.
    """

    def __init__(self, people: Sequence[str], items: Sequence[str], n_streams: int, seed: int = 0) -> None:
        n_known = min(N_KNOWN_PEOPLE, len(people) // 2)
        if not n_known or not items:
            raise BenchFailed(f"{len(people)} people and {len(items)} items are too few to ask about")
        self.known = list(people[:n_known])
        self._n_fresh = (len(people) - n_known) // n_streams
        self._fresh = {each.name: iter(people[n_known:]) for each in SCENARIOS if each.is_fresh}
        self._items = list(items)
        self._seeds = count(seed)
        weights = np.arange(1, n_known + 1) ** -EXPONENT
        self._weights: npt.NDArray[np.float64] = weights / weights.sum()
        self._plain = [self._request({"user_id": user_id, "limit": LIMIT}) for user_id in self.known]

    def everybody_once(self) -> Iterator[bytes]:
        """Return a plain request for each known person."""
        return iter(self._plain)

    def stream(self, scenario: Scenario) -> Iterator[bytes]:
        """Return endless requests of one kind; a stream of fresh people ends with its equal share of them."""
        random = np.random.default_rng(next(self._seeds))
        if scenario.name == PLAIN:
            return self._plain_stream(random)
        if scenario.is_fresh:
            people = islice(self._fresh[scenario.name], self._n_fresh)
            return iter([self._request({"user_id": user_id, "limit": LIMIT}) for user_id in people])
        bodies = (self._body(scenario, random) for _ in range(N_BODIES))
        return cycle([self._request(body, scenario.path) for body in bodies])

    def _plain_stream(self, random: np.random.Generator) -> Iterator[bytes]:
        while True:
            for row in self._rows(random, 100_000):
                yield self._plain[row]

    def _body(self, scenario: Scenario, random: np.random.Generator) -> dict[str, Any]:
        if scenario.name == "batch_of_16":
            rows = self._rows(random, BATCH_SIZE)
            return {"requests": [{"user_id": self.known[row], "limit": LIMIT} for row in rows]}
        body: dict[str, Any] = {"user_id": self.known[self._rows(random, 1)[0]], "limit": LIMIT}
        match scenario.name:
            case "filter_one_percent":
                body["filter"] = {"categories": [RARE_CATEGORY]}
            case "exclusions_500":
                body["exclude_items"] = self._some_items(random, N_EXCLUDED)
            case "session_of_ten":
                body["session"] = [{"item_id": each} for each in self._some_items(random, N_SESSION_EVENTS)]
            case name:
                raise BenchFailed(f"no body is made for {name!r}; say how in Questions")
        return body

    def _rows(self, random: np.random.Generator, n_rows: int) -> list[int]:
        return [int(row) for row in random.choice(len(self.known), n_rows, p=self._weights)]

    def _some_items(self, random: np.random.Generator, n_items: int) -> list[str]:
        """Draw distinct items, popular ones more often: ranks are the square of a uniform draw."""
        ranks = np.unique((random.random(2 * n_items) ** 2 * len(self._items)).astype(int))
        return [self._items[rank] for rank in random.permutation(ranks)[:n_items]]

    def _request(self, body: dict[str, Any], path: str = "/recommend") -> bytes:
        return post(path, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())


def post(path: str, body: bytes) -> bytes:
    """Make a whole HTTP request."""
    head = f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body
