"""The spool: accepted events on disk."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from service.settings.bundles import BundleSettings


class SpoolSettings(BundleSettings):
    """The spool: accepted events on disk."""

    spool: str = Field(
        default="",
        description="Folder to which accepted events are written first; empty: `spool` beside the store.",
    )
    spool_bytes: int = Field(
        default=1_073_741_824,
        ge=1_048_576,
        le=2**50,
        description="Maximum bytes of events on disk, per process; beyond it, POST /events answers 503.",
    )
    spool_keep_seconds: float = Field(
        default=86_400.0,
        ge=0,
        le=31_536_000,
        description="Seconds that events stay on disk after Redis has them, unless they are exported sooner.",
    )

    @property
    def spool_folder(self) -> Path:
        """The folder to which accepted events are written first."""
        return Path(self.spool) if self.spool else self.store.parent / "spool"
