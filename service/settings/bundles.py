"""The store, and the bundle in service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from models.bundles.registry import DEFAULT_STORE
from models.scan import KERNELS, available_kernels
from service.settings.base import RoomSettings


def _instructions(name: str) -> str:
    """Raise ValueError for instructions that do not exist or that this processor lacks."""
    allowed = ("best", *available_kernels())
    if name not in allowed:
        raise ValueError(f"this processor takes {', '.join(allowed)}")
    return name


def _store(store: Path) -> Path:
    """Raise ValueError for a path that can never be a store; a missing folder counts as an empty store."""
    if store.exists() and not store.is_dir():
        raise ValueError("it is no folder; name the folder that bundles are in, or will be")
    return store


class BundleSettings(RoomSettings):
    """The store, and the bundle in service."""

    store: Annotated[Path, AfterValidator(_store)] = Field(
        default=DEFAULT_STORE, description="Folder of bundles, which also holds the `current` pointer."
    )
    require_bundle: bool = Field(
        default=False,
        description="Whether /health/ready is 503 without a bundle; true stops a roll-out that has the "
        "wrong store, false lets a shop start before its first model.",
    )
    bundle_poll_seconds: float = Field(
        default=0.5,
        gt=0,
        le=3600,
        description="Seconds between checks of `current`; raising it delays a promotion or a roll back.",
    )
    kernel: Annotated[str, AfterValidator(_instructions)] = Field(
        default="best",
        json_schema_extra={"enum": ["best", *KERNELS]},
        description="Instruction set for searches of the catalogue; all give the same answers, and `best` "
        "is the fastest that the processor has.",
    )
