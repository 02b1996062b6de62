"""Make the requests of a shop's visitors, and judge the answers to them.

These are pure functions of a random generator, without Locust, so that tests and other clients can use them too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from loadtest.errors import IdsMissing

POWER = 0.8
"""Exponent of popularity: the person or item at rank r is requested in proportion to 1 / r ** POWER."""

MIX = {
    "recommend known person": 50,
    "recommend known person in a visit": 15,
    "recommend known person, narrowed": 10,
    "recommend unknown person": 5,
    "recommend anonymous visit": 10,
    "similar": 10,
}
"""Number of requests of each kind in a hundred."""

PRICE_BOUNDS = (10, 25, 50, 100)


class Call(NamedTuple):
    """One request. name: its kind, as in MIX."""

    name: str
    path: str
    body: dict[str, Any]


@dataclass
class Answer:
    """The answer to one call. fault: None for a good answer, else why it is not one."""

    fault: str | None = "no answer"
    tier: str = ""
    degraded: str = ""

    def judge(self, status: int, body: bytes | None) -> None:
        """Judge an answer. A good one is a 200 with items, or with the reason for having none."""
        if status != 200:
            self.fault = f"status {status}" if status else "no answer"
            return
        try:
            reply = json.loads(body or b"")
            n_items, shortfall = len(reply["items"]), reply["shortfall"]
            self.tier, self.degraded = str(reply["tier"]), str(reply["degraded"] or "")
        except (ValueError, KeyError, TypeError) as error:
            self.fault = f"not a reply: {type(error).__name__}"
            return
        self.fault = None if n_items or shortfall else "no items and no shortfall"


class PowerLaw:
    """Draws ids by a power law; popularity falls in the order given."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = ids
        self._cumulative = list(accumulate(1 / rank**POWER for rank in range(1, len(ids) + 1)))

    def draw(self, random: Random, n_ids: int = 1) -> list[str]:
        """Draw with replacement."""
        return random.choices(self._ids, cum_weights=self._cumulative, k=n_ids)


class Crowd:
    """The visitors of one shop. The same random generator state gives the same next call."""

    def __init__(self, people: Sequence[str], items: Sequence[str], random: Random) -> None:
        self._people = PowerLaw(people)
        self._items = PowerLaw(items)
        self._random = random

    def next_call(self) -> Call:
        """Return the next request to send, in proportion to MIX."""
        [name] = self._random.choices(list(MIX), weights=list(MIX.values()))
        return self.call(name)

    def call(self, name: str) -> Call:
        """Make a request of one kind."""
        if name == "similar":
            return Call(name, "/similar", {"item_id": self._item(), "limit": 10})
        body: dict[str, Any] = {"limit": self._random.choice((5, 10, 20))}
        if "known person" in name:
            body["user_id"] = self._people.draw(self._random)[0]
        if "unknown person" in name:
            body["user_id"] = f"nobody-{self._random.getrandbits(40):x}"
        if "visit" in name:
            body["session"] = self._visit()
        if "narrowed" in name:
            body["exclude_items"] = sorted(set(self._items.draw(self._random, 5)))
            body["filter"] = {"max_price": self._random.choice(PRICE_BOUNDS)}
        return Call(name, "/recommend", body)

    def _item(self) -> str:
        return self._items.draw(self._random)[0]

    def _visit(self) -> list[dict[str, str]]:
        n_events = self._random.randint(1, 5)
        kinds = self._random.choices(("view", "click", "cart"), weights=(7, 2, 1), k=n_events)
        return [{"item_id": self._item(), "kind": kind} for kind in kinds]


def read_ids(source: str) -> list[str]:
    """Read ids from a file, one per line, or number them: "user-{}:500" is user-0 to user-499.

    Raises IdsMissing if the file is missing or empty.
    """
    if "{}" in source:
        pattern, _, count = source.rpartition(":")
        if not (pattern and count.isdigit() and int(count)):
            raise IdsMissing(f"{source!r} is no pattern of ids; write it as in 'user-{{}}:500'")
        return [pattern.format(number) for number in range(int(count))]
    try:
        ids = Path(source).read_text().splitlines()
    except OSError as error:
        raise IdsMissing(
            f"no ids in {source}: {error.strerror}; write them with `python -m models ids`"
        ) from error
    if not ids:
        raise IdsMissing(f"{source} is empty; write ids to it with `python -m models ids`")
    return ids
