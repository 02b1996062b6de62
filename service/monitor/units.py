"""The units of an experiment: each counts once, when the window after its first answer is over.

So the units of an arm are independent of each other and complete when they are looked at, which a repeated test
requires; single clicks of a person are neither.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from models.experiments.sequential import Sample
from models.vocabulary import id_key


class OpenUnit(msgspec.Struct):
    """A unit whose window is not over. arm: "" once it was seen in a second arm; then it counts for none."""

    arm: str
    first_ms: int
    outcome: float = 0.0


class Units(msgspec.Struct):
    """n_by_arm: units by the arm of their first answer, since the weights last changed. samples: outcomes of units
    whose window is over. seen: keys of these units, so that none counts twice. n_crossed: units seen in a second arm
    within their window. n_uncounted: answers of units that came when max_units were known.
    """

    window_ms: int
    max_units: int
    n_by_arm: dict[str, int]
    samples: dict[str, Sample]
    open: dict[str, OpenUnit] = {}
    seen: set[int] = set()
    n_crossed: int = 0
    n_uncounted: int = 0

    def exposed(self, unit: str, arm: str, sent_ms: int) -> None:
        """Note that a unit got an answer of an arm."""
        known = self.open.get(unit)
        if known is not None:
            if known.arm not in (arm, ""):
                known.arm, self.n_crossed = "", self.n_crossed + 1
            return
        if id_key(unit) in self.seen:
            return
        if len(self.open) + len(self.seen) >= self.max_units:
            self.n_uncounted += 1
            return
        self.n_by_arm[arm] = self.n_by_arm.get(arm, 0) + 1
        self.open[unit] = OpenUnit(arm, sent_ms)

    def add_outcome(self, unit: str, at_ms: int, outcome: float, *, is_rate: bool) -> None:
        """Add an outcome of an answer to a unit. is_rate: the unit has it or not, however often."""
        known = self.open.get(unit)
        if known is not None and at_ms - known.first_ms <= self.window_ms:
            known.outcome = 1.0 if is_rate else known.outcome + outcome

    def forget(self, unit: str, before_ms: int) -> None:
        """Drop a unit that first came before a moment. Sums that contain it stay."""
        known = self.open.get(unit)
        if known is None:
            self.seen.discard(id_key(unit))
        elif known.first_ms < before_ms:
            del self.open[unit]

    def mature(self, now_ms: int) -> None:
        """Count the units whose window is over, in order of arrival."""
        for unit in list(self._over(now_ms)):
            done = self.open.pop(unit)
            self.seen.add(id_key(unit))
            if done.arm:
                self.samples.setdefault(done.arm, Sample()).add(done.outcome)

    def _over(self, now_ms: int) -> Iterator[str]:
        """Yield units whose window is over. They lie in reading order, which two clocks may make slightly wrong."""
        for unit, known in self.open.items():
            if known.first_ms + self.window_ms >= now_ms:
                return
            yield unit
