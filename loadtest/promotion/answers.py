"""Learn what each version says when nothing else goes on, and compare answers under load with that."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from loadtest.promotion.traffic import Answered

TOLERANCE = 0.02
"""How far a score may move, as a share of the median spread of an answer's scores. An 8-bit tower rounds by the
largest number in its batch, so simultaneous requests move it: by at most 0.0093 in 14,000 answers of spread 1.2."""

Part = dict[str, Any]
"""One recommendation: a whole reply, or one part of a batch's reply."""


class Judged(NamedTuple):
    """The judgement of an answer.

    fault: why it has failed, None for a good one. versions: those that it names. is_mixed: it contains something that
    a version that it names does not say.
    """

    fault: str | None
    versions: frozenset[str]
    is_mixed: bool


@dataclass
class References:
    """Known answers. by_version: each version's parts of its answer to each question. limit: allowed score change."""

    by_version: dict[str, list[list[Part]]] = field(default_factory=dict)
    limit: float = 0.0

    def learn(self, version: str, bodies: Sequence[bytes]) -> None:
        """Keep what a version says. bodies: of replies, in the order of the questions.

        Raises ValueError for an answer that failed or that another version gave.
        """
        kept = []
        for number, body in enumerate(bodies):
            parts = parts_of(body)
            faults = [fault for part in parts if (fault := _fault(part)) is not None]
            named = {part["model"]["version"] for part in parts}
            if faults or named != {version}:
                raise ValueError(
                    f"question {number} is not answered by {version} as it should: {faults or named}"
                )
            kept.append(parts)
        self.by_version[version] = kept
        spreads = [_spread(part) for parts in kept for part in parts]
        self.limit = max(self.limit, TOLERANCE * median(spreads))

    def tell_apart(self) -> float:
        """Return the share of questions that all versions answer differently; only there can a mix be detected."""
        answers = list(self.by_version.values())
        n_apart = sum(
            all(
                not self._is_same_answer(one, other)
                for place, one in enumerate(of_each)
                for other in of_each[place + 1 :]
            )
            for of_each in zip(*answers, strict=True)
        )
        return n_apart / len(answers[0])

    def judge(self, answered: Answered) -> Judged:
        """Compare one answer, part by part, with what the version that it names says to the question."""
        if not answered.is_ok:
            return Judged("no answer of status 200", frozenset(), False)
        try:
            parts = parts_of(answered.body)
            faults = [fault for part in parts if (fault := _fault(part)) is not None]
            versions = frozenset(str(part["model"]["version"]) for part in parts)
        except (ValueError, KeyError, TypeError) as error:
            return Judged(f"not a reply: {type(error).__name__}", frozenset(), False)
        if faults:
            return Judged(faults[0], versions, False)
        return Judged(None, versions, not self.holds(answered.question, parts))

    def holds(self, question: int, parts: list[Part]) -> bool:
        """Whether each part equals what the version that it names says to this question."""
        for place, part in enumerate(parts):
            known = self.by_version.get(part["model"]["version"])
            if (
                known is None
                or len(known[question]) != len(parts)
                or not _same(part, known[question][place], self.limit)
            ):
                return False
        return True

    def _is_same_answer(self, one: Sequence[Part], other: Sequence[Part]) -> bool:
        return all(_same(left, right, self.limit) for left, right in zip(one, other, strict=True))


def parts_of(body: bytes) -> list[Part]:
    """Return the recommendations in a reply's body. Raises ValueError if it is not JSON."""
    reply = json.loads(body)
    parts: list[Part] = reply.get("replies", [reply])
    return parts


def count_faults(judged: Sequence[Judged]) -> Mapping[str, int]:
    """Count faults by what was wrong."""
    return Counter(each.fault for each in judged if each.fault is not None)


def _fault(part: Part) -> str | None:
    if part["degraded"] is not None:
        return f"degraded: {part['degraded']}"
    return None if part["items"] else "no items"


def _spread(part: Part) -> float:
    scores = [item["score"] for item in part["items"]]
    return float(max(scores) - min(scores))


def _same(found: Part, known: Part, limit: float) -> bool:
    """Whether two answers have the same items with the same titles and scores, as far as scores can be the same.

    Within the limit two items may change places, and another may replace the last one.
    """
    scores = {item["item_id"]: item["score"] for item in found["items"]}
    expected = {item["item_id"]: item["score"] for item in known["items"]}
    titles = {item["item_id"]: item.get("title") for item in known["items"]}
    if found["tier"] != known["tier"] or len(found["items"]) != len(known["items"]) or not expected:
        return False
    last = min(expected.values())
    moves = [abs(score - expected.get(item_id, last)) for item_id, score in scores.items()]
    # An item that left fell while another rose to pass it, so each moved by half of the distance.
    moves += [(score - last) / 2 for item_id, score in expected.items() if item_id not in scores]
    are_titled_alike = all(
        titles.get(item["item_id"], item.get("title")) == item.get("title") for item in found["items"]
    )
    return are_titled_alike and max(moves) <= limit
