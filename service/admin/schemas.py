"""Requests and replies of the operators' routes."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from service.contract.schemas import Id, ReadyReply

Why = Annotated[str, Meta(max_length=200, description="The reason for the stop, stored with it.")]


class PromoteRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Put a bundle of the store into service."""

    version: Id


class StopRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Stop an arm of an experiment."""

    arm: Annotated[Id, Meta(description='The arm, or "*" for all arms.')] = "*"
    why: Why = "by hand"


class ResumeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Resume a stopped arm."""

    arm: Annotated[
        Id,
        Meta(description='The arm, or "*" for all arms. If all were stopped together, only "*" is possible.'),
    ] = "*"


class BundleLine(msgspec.Struct, frozen=True):
    """A bundle of the store. is_previous: whether a roll back would bring it back."""

    version: str
    is_current: bool
    is_previous: bool
    is_in_service: bool


class BundlesReply(msgspec.Struct, frozen=True):
    """Every bundle of the store, oldest first."""

    bundles: list[BundleLine]


class PromotedReply(msgspec.Struct, frozen=True):
    """The result of a promotion or a roll back. version: the bundle that this worker now serves; other workers follow
    within STILLROOM_BUNDLE_POLL_SECONDS. replaced: the bundle before it, null if there was none. took_ms:
    milliseconds from the request to the swap.
    """

    version: str
    replaced: str | None
    took_ms: float


class ExperimentLine(msgspec.Struct, frozen=True):
    """A declared experiment. stopped: the arms that are no longer served to anybody."""

    name: str
    layer: str | None
    arms: list[str]
    stopped: list[str]


class ExperimentsReply(msgspec.Struct, frozen=True):
    """The experiments in force. refused: what is wrong with the present file; empty if it is in force."""

    experiments: list[ExperimentLine]
    refused: str


class StoppedReply(msgspec.Struct, frozen=True):
    """An experiment after this change. stopped: the arms that are stopped now. Services follow within
    STILLROOM_BUNDLE_POLL_SECONDS.
    """

    name: str
    stopped: list[str]


class StateReply(msgspec.Struct, frozen=True):
    """The state of the service. watch: whether Redis reports changes."""

    ready: ReadyReply
    in_flight: int
    people_in_memory: int
    people_bytes: int
    watch: bool
    spool_bytes: int
    experiments: list[str]
    experiments_refused: str
