"""The file that declares experiments: what may stand in it. `reading` reads and checks it, `assignment` obeys it.

A **layer** is the shop's traffic, divided by a hash of its own. Experiments in one layer take shares of it that do
not overlap, so nobody is in two of them; what one layer does says nothing about another. A layer may live inside an
arm of an experiment; then only that arm's units are in it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

CURRENT = "current"
"""As an arm's version: whatever is promoted."""

STUDENT = "student"
"""As an arm's variant: what every bundle can answer as."""

NAME = r"^[a-z0-9][a-z0-9_.-]{0,63}$"

Name = Annotated[str, Meta(pattern=NAME)]
Share = Annotated[float, Meta(ge=0, le=1)]
Rate = Annotated[float, Meta(gt=0, lt=1)]
Unit = Literal["person", "session"]
Outcome = Literal["click", "purchase", "value"]


class Layer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """inside: "experiment/arm" whose units are in this layer; None for everybody.

    placements: of requests that this layer is for; empty for all.
    """

    name: Name
    inside: str | None = None
    placements: tuple[str, ...] = ()


class Arm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is served. version: of a bundle, or "current". variant: "student", "ensemble" or a member's name.

    weight: share of the experiment's units.
    """

    name: Name
    weight: Share
    version: str = CURRENT
    variant: str = STUDENT


class Guardrail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An arm that is above the limit is stopped, as soon as that is beyond doubt.

    minimum_count: answers of the arm before it is judged at all.
    """

    limit: Annotated[float, Meta(gt=0)]
    minimum_count: Annotated[int, Meta(ge=1)] = 500


class Guardrails(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """p99_ms: milliseconds in the service that 99 of 100 answers stay within. error_rate: share of answers that a
    lower tier gave, or nobody. empty_rate: share of answers without an item.
    """

    p99_ms: Guardrail | None = None
    error_rate: Guardrail | None = None
    empty_rate: Guardrail | None = None


class Experiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"arms": "arm"}):
    """arms: the first one is the control, which is never stopped and which the others are compared with.

    layer: None for a layer of its own. share: from and to, of the layer's units. salt: what units are hashed with,
    the name if empty; a new one deals everybody anew. unit: "person" is the person, else the session. outcome: of a
    unit, within window_seconds after its first answer: whether it clicked or purchased something of what it was
    shown, or the value of what it purchased. false_alarm_rate: at which an experiment without a difference is decided
    all the same, however often one looks. planned_units: in all arms; where the intervals are narrowest.
    start, stop: answers outside are of no arm.
    """

    name: Name
    arms: Annotated[tuple[Arm, ...], Meta(min_length=2, max_length=16)]
    layer: str | None = None
    share: tuple[Share, Share] = (0.0, 1.0)
    salt: Annotated[str, Meta(max_length=128)] = ""
    unit: Unit = "person"
    outcome: Outcome = "click"
    window_seconds: Annotated[int, Meta(ge=1, le=2_592_000)] = 1800
    guardrails: Guardrails = Guardrails()
    false_alarm_rate: Rate = 0.05
    planned_units: Annotated[int, Meta(ge=100, le=10**9)] = 20_000
    start: datetime | None = None
    stop: datetime | None = None

    @property
    def control(self) -> Arm:
        """What the other arms are compared with."""
        return self.arms[0]

    @property
    def seed(self) -> str:
        """What units are hashed with."""
        return self.salt or self.name

    def weights(self) -> dict[str, float]:
        """Share of the experiment's units by arm."""
        return {arm.name: arm.weight for arm in self.arms}


class Declaration(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={"layers": "layer", "experiments": "experiment"},
):
    """The whole file. Of several layers for a request, the first one with an experiment for its unit answers."""

    layers: tuple[Layer, ...] = ()
    experiments: tuple[Experiment, ...] = ()

    def versions(self) -> frozenset[str]:
        """The bundle versions that arms name, beside the current one."""
        named = {arm.version for experiment in self.experiments for arm in experiment.arms}
        return frozenset(named - {CURRENT})

    def versions_with_variants(self) -> frozenset[str]:
        """The versions, "current" among them, of which an arm asks another variant than the student."""
        arms = [arm for experiment in self.experiments for arm in experiment.arms]
        return frozenset(arm.version for arm in arms if arm.variant != STUDENT)

    def experiment(self, name: str) -> Experiment | None:
        """The experiment of this name."""
        return next((each for each in self.experiments if each.name == name), None)
