"""What operators send and get."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from service.contract.schemas import Id, ReadyReply

Why = Annotated[str, Meta(max_length=200, description="Kept with the stop, for whoever looks later.")]


class PromoteRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Put a bundle of the store into service."""

    version: Id


class StopRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Stop an arm of an experiment."""

    arm: Annotated[Id, Meta(description='The arm, or "*" for all of them.')] = "*"
    why: Why = "by hand"


class ResumeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Let a stopped arm go on."""

    arm: Annotated[Id, Meta(description='The arm as it was stopped, or "*".')] = "*"


class BundleLine(msgspec.Struct, frozen=True):
    """One bundle of the store. is_previous: what a roll back would bring."""

    version: str
    is_current: bool
    is_previous: bool
    is_in_service: bool


class BundlesReply(msgspec.Struct, frozen=True):
    """Every bundle of the store, oldest first."""

    bundles: list[BundleLine]


class PromotedReply(msgspec.Struct, frozen=True):
    """version: in service here now; other workers follow within STILLROOM_BUNDLE_POLL_SECONDS. replaced: before it,
    null where there was none. took_ms: from the request to the swap.
    """

    version: str
    replaced: str | None
    took_ms: float


class ExperimentLine(msgspec.Struct, frozen=True):
    """A declared experiment. stopped: arms that get nobody any more."""

    name: str
    layer: str | None
    arms: list[str]
    stopped: list[str]


class ExperimentsReply(msgspec.Struct, frozen=True):
    """What is in force. refused: what is wrong with the file as it is now, empty where it is in force."""

    experiments: list[ExperimentLine]
    refused: str


class StoppedReply(msgspec.Struct, frozen=True):
    """What an experiment has come to: stopped arms after this change. Services follow within
    STILLROOM_BUNDLE_POLL_SECONDS.
    """

    name: str
    stopped: list[str]


class StateReply(msgspec.Struct, frozen=True):
    """The service at a glance. watch: whether Redis tells of changes."""

    ready: ReadyReply
    in_flight: int
    people_in_memory: int
    people_bytes: int
    watch: bool
    spool_bytes: int
    experiments: list[str]
    experiments_refused: str
