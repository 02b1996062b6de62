"""Make the questions of the drill: every way of asking whose answer depends only on the bundle.

Each event has its time, so that an answer is the same whenever it is given. Nobody asks for diversity, because one
item that changes places with its neighbour would change all that follow.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

DEADLINE_MS = 1000
"""Long enough that nobody gets a fallback answer for lack of time, which would say nothing of the bundle."""

VISIT_BEGAN = 1_750_000_000
MIX = (
    ("plain",) * 10
    + ("visit",) * 3
    + ("narrowed",) * 2
    + ("explained", "explained", "cold_start", "batch", "similar")
)


@dataclass(frozen=True)
class Question:
    """One question. body: of a POST to this path."""

    path: str
    body: dict[str, Any]

    @property
    def request(self) -> bytes:
        """The request as it is sent on a connection that stays open."""
        body = json.dumps(self.body).encode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: drill\r\ncontent-type: application/json\r\ncontent-length: "
        )
        return f"{head}{len(body)}\r\n\r\n".encode() + body


def heavy_question(people: Sequence[str]) -> Question:
    """Make a question that keeps a worker busy for 10 ms or more, whose answer nobody looks at."""
    request = {"user_id": people[0], "limit": 100, "diversity": 0.5, "deadline_ms": DEADLINE_MS}
    return Question("/recommend/batch", {"requests": [request] * 64})


def draw_questions(
    people: Sequence[str],
    items: Sequence[str],
    n_questions: int,
    seed: int,
    deadline_ms: int = DEADLINE_MS,
) -> list[Question]:
    """Draw questions in proportion to `MIX`."""
    random = Random(seed)
    drawn = [_question(MIX[number % len(MIX)], people, items, random) for number in range(n_questions)]
    return [_in_time(question, deadline_ms) for question in drawn]


def _in_time(question: Question, deadline_ms: int) -> Question:
    """Give each of a question's requests this deadline."""
    requests = question.body.get("requests")
    if requests is None:
        return Question(question.path, {**question.body, "deadline_ms": deadline_ms})
    return Question(question.path, {"requests": [{**each, "deadline_ms": deadline_ms} for each in requests]})


def _question(kind: str, people: Sequence[str], items: Sequence[str], random: Random) -> Question:
    if kind == "similar":
        return Question("/similar", {"item_id": random.choice(items)})
    if kind == "batch":
        kinds = ("plain", "visit", "narrowed", "explained")
        return Question(
            "/recommend/batch", {"requests": [_body(each, people, items, random) for each in kinds]}
        )
    return Question("/recommend", _body(kind, people, items, random))


def _body(kind: str, people: Sequence[str], items: Sequence[str], random: Random) -> dict[str, Any]:
    body: dict[str, Any] = {"limit": random.choice((5, 10, 20))}
    if kind != "cold_start":
        body["user_id"] = random.choice(people)
    if kind in ("visit", "cold_start"):
        body["session"] = [
            {"item_id": random.choice(items), "kind": "click", "time": VISIT_BEGAN + minute * 60}
            for minute in range(random.randint(1, 5))
        ]
        body["known_items"] = "leave_out_touched"
    if kind == "narrowed":
        body |= {"exclude_items": random.sample(items, 5), "filter": {"max_price": random.choice((10, 50))}}
    if kind == "explained":
        body["explain"] = True
    return body
