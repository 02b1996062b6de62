"""The schema of the file that declares experiments. `reading` reads and checks it, `assignment` applies it.

A **layer** is the shop's traffic, divided by a hash of its own. Experiments in one layer take shares of it that do
not overlap, so nobody is in two of them; layers are independent of each other. A layer may live inside an arm of an
experiment; then only that arm's units are in it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

CURRENT = "current"
"""An arm's version that stands for whatever is promoted."""

STUDENT = "student"
"""An arm's variant that every bundle can serve."""

NAME = r"^[a-z0-9][a-z0-9_.-]{0,63}$"

Name = Annotated[str, Meta(pattern=NAME)]
Share = Annotated[float, Meta(ge=0, le=1)]
Rate = Annotated[float, Meta(gt=0, lt=1)]
Unit = Literal["person", "session"]
Outcome = Literal["click", "purchase", "value"]


class Layer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """inside: the "experiment/arm" whose units are in this layer; None for everybody.

    placements: the request placements that this layer is for; empty for all.
    """

    name: Name
    inside: str | None = None
    placements: tuple[str, ...] = ()


class Arm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an arm serves. version: of a bundle, or "current". variant: "student", "ensemble" or a member's name.

    weight: the arm's share of the experiment's units.
    """

    name: Name
    weight: Share
    version: str = CURRENT
    variant: str = STUDENT


class Guardrail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Stops an arm that is above the limit, as soon as that is beyond doubt.

    minimum_count: how many answers an arm must have before it is judged at all.
    """

    limit: Annotated[float, Meta(gt=0)]
    minimum_count: Annotated[int, Meta(ge=1)] = 500


class Guardrails(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """p99_ms: milliseconds in the service that 99 of 100 answers stay within. error_rate: share of answers from a
    lower tier or from none. empty_rate: share of answers without an item.
    """

    p99_ms: Guardrail | None = None
    error_rate: Guardrail | None = None
    empty_rate: Guardrail | None = None


class Experiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"arms": "arm"}):
    """arms: the first one is the control, which is never stopped and which the others are compared with.

    layer: None for a layer of its own. share: from and to, of the layer's units. salt: hashed with the units, by
    default the name; a new one deals everybody anew. unit: "person" is the person, else the session. outcome: of a
    unit, within window_seconds after its first answer: whether it clicked or purchased something it was shown, or the
    value of what it purchased. false_alarm_rate: the probability that an experiment without a difference is decided,
    however often one looks. planned_units: in all arms together; there the intervals are narrowest. start, stop:
    answers outside belong to no arm.
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
        """The arm that the others are compared with."""
        return self.arms[0]

    @property
    def seed(self) -> str:
        """The salt that units are hashed with."""
        return self.salt or self.name

    def weights(self) -> dict[str, float]:
        """Return each arm's share of the experiment's units."""
        return {arm.name: arm.weight for arm in self.arms}


class Declaration(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={"layers": "layer", "experiments": "experiment"},
):
    """The whole file. If several layers fit a request, the first with an experiment for its unit applies."""

    layers: tuple[Layer, ...] = ()
    experiments: tuple[Experiment, ...] = ()

    def versions(self) -> frozenset[str]:
        """Return the bundle versions that arms name, besides the current one."""
        named = {arm.version for experiment in self.experiments for arm in experiment.arms}
        return frozenset(named - {CURRENT})

    def versions_with_variants(self) -> frozenset[str]:
        """Return the versions, "current" included, of which an arm requests another variant than the student."""
        arms = [arm for experiment in self.experiments for arm in experiment.arms]
        return frozenset(arm.version for arm in arms if arm.variant != STUDENT)

    def experiment(self, name: str) -> Experiment | None:
        """Return the experiment of this name, or None."""
        return next((each for each in self.experiments if each.name == name), None)
